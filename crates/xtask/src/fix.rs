//! `fix` and `proto`: write what `verify` would complain about and a program can mend.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::stage::{Error, Outcome, Stages};
use crate::tree::Tree;

/// Directories at the root that hold nothing of ours.
const NOT_OURS: [&str; 4] = [".git", "target", "data", ".venv"];

/// Endings of the text files that we write by hand.
const TEXT: [&str; 7] = ["rs", "md", "toml", "py", "proto", "txt", "yml"];

/// Removes trailing space, renews what is generated and formats the code.
pub(crate) fn fix(tree: &Tree) -> Outcome {
    let mut stages = Stages::new();
    stages.step("trailing space", || {
        let mut files = Vec::new();
        for entry in entries(tree.root())? {
            let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !NOT_OURS.contains(&name.as_str()) {
                collect(&entry, &mut files)?;
            }
        }
        files.iter().try_for_each(|file| trim(file))
    })?;
    stages.check("README", blessed(tree, "commands", "readme"));
    stages.check("format", tree.cargo(["fmt", "--all"]));
    stages.finish()
}

/// Generates the code of `proto/` anew.
pub(crate) fn proto(tree: &Tree) -> Outcome {
    let mut stages = Stages::new();
    stages.check("proto", blessed(tree, "rpc", "generated"));
    stages.finish()
}

/// A test that compares something generated with what is checked in, told to write it instead.
fn blessed(tree: &Tree, package: &str, test: &str) -> Command {
    let mut command = tree.cargo(["test", "--quiet", "-p", package, "--test", test]);
    command.env("BLESS", "1");
    command
}

/// Appends the text files at or below `path`.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Outcome {
    if path.is_dir() {
        return entries(path)?.iter().try_for_each(|entry| collect(entry, files));
    }
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    if TEXT.contains(&ending.as_ref()) {
        files.push(path.to_path_buf());
    }
    Ok(())
}

fn entries(dir: &Path) -> Outcome<Vec<PathBuf>> {
    let read = fs::read_dir(dir).map_err(|error| failed(dir, &error))?;
    let mut paths = Vec::new();
    for entry in read {
        paths.push(entry.map_err(|error| failed(dir, &error))?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Rewrites `file` without blanks at the ends of its lines, if it has any.
fn trim(file: &Path) -> Outcome {
    let text = fs::read_to_string(file).map_err(|error| failed(file, &error))?;
    let trimmed = trimmed(&text);
    if trimmed == text {
        return Ok(());
    }
    eprintln!("{}", file.display());
    fs::write(file, trimmed).map_err(|error| failed(file, &error))
}

/// The lines of `text`, each without the blanks at its end and with a newline.
fn trimmed(text: &str) -> String {
    text.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::Failed(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::trimmed;

    #[test]
    fn lines_lose_their_blanks_and_nothing_else() {
        assert_eq!(trimmed("a \t\n\n  b\r\nc"), "a\n\n  b\nc\n");
        assert_eq!(trimmed(""), "");
    }
}

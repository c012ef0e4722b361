//! The data directory's place, and the file for the process id.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use node::config::Settings;

/// Makes the paths absolute, so that what is shown and kept does not depend on where the process was started.
pub(crate) fn make_absolute(settings: &mut Settings) -> anyhow::Result<()> {
    for path in [&mut settings.dir, &mut settings.logfile, &mut settings.pidfile] {
        if !path.is_empty() {
            *path = absolute(path)?;
        }
    }
    Ok(())
}

/// Without asking the file system, so that the path need not exist.
fn absolute(path: &str) -> anyhow::Result<String> {
    let absolute = std::path::absolute(path).with_context(|| format!("finding the place of {path}"))?;
    let path: PathBuf = absolute.components().collect();
    path.into_os_string().into_string().ok().context("the working directory's name is not UTF-8")
}

/// The file that names the process; removed when dropped.
pub(crate) struct PidFile {
    path: Option<PathBuf>,
}

impl PidFile {
    /// Writes the file of `pidfile`, if there is one.
    pub(crate) fn write(path: &str) -> anyhow::Result<Self> {
        if path.is_empty() {
            return Ok(Self { path: None });
        }
        let path = Path::new(path).to_owned();
        fs::write(&path, format!("{}\n", std::process::id())).with_context(|| {
            format!("cannot write the pidfile {}: correct pidfile, or leave it out", path.display())
        })?;
        Ok(Self { path: Some(path) })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Gone already: somebody else tidied up.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_absolute_and_plain() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(absolute("./data").unwrap(), here.join("data").to_str().unwrap());
        assert_eq!(absolute("/a//b/./c/").unwrap(), "/a/b/c");
    }
}

//! In a cluster: commands that reach beyond the slot of their key, refused in Redis's words.

use commands::Spec;
use resp::Arguments;
use slot::Slot;

/// Why a cluster refuses a command, whatever its keys; `None` if it does not.
pub(super) fn in_cluster(spec: &Spec, arguments: Arguments<'_>) -> Option<&'static str> {
    match spec.name {
        "MOVE" => Some("ERR MOVE is not allowed in cluster mode"),
        "SWAPDB" => Some("ERR SWAPDB is not allowed in cluster mode"),
        "COPY" => copies_to_another_database(arguments)
            .then_some("ERR Copying to another database is not allowed in cluster mode"),
        "SORT" | "SORT_RO" => sorts_by_keys_elsewhere(arguments),
        _ => None,
    }
}

/// `COPY source destination [DB number] [REPLACE]`. What is no number the command itself refuses.
fn copies_to_another_database(arguments: Arguments<'_>) -> bool {
    let words: Vec<&[u8]> = arguments.iter().skip(3).collect();
    let number = |word: &[u8]| std::str::from_utf8(word).ok()?.parse::<i64>().ok();
    words
        .windows(2)
        .any(|pair| pair[0].eq_ignore_ascii_case(b"DB") && number(pair[1]).is_some_and(|number| number != 0))
}

/// SORT key [BY pattern] [GET pattern ...]: the keys that a pattern makes must be of the key's own slot.
fn sorts_by_keys_elsewhere(arguments: Arguments<'_>) -> Option<&'static str> {
    let key = Slot::of_key(arguments.get(1)?);
    let words: Vec<&[u8]> = arguments.iter().skip(2).collect();
    words.windows(2).find_map(|pair| {
        let (by, get) = (pair[0].eq_ignore_ascii_case(b"BY"), pair[0].eq_ignore_ascii_case(b"GET"));
        let makes_keys = pair[1].contains(&b'*') && slot_of_pattern(pair[1]) != Some(key);
        match (makes_keys, by, get) {
            (true, true, _) => Some(
                "ERR BY option of SORT denied in cluster mode when keys formed by the pattern may be in different slots.",
            ),
            (true, _, true) => Some(
                "ERR GET option of SORT denied in cluster mode when keys formed by the pattern may be in different slots.",
            ),
            _ => None,
        }
    })
}

/// The slot of all keys that a pattern makes, if its hash tag says so.
fn slot_of_pattern(pattern: &[u8]) -> Option<Slot> {
    let open = pattern.iter().position(|&byte| byte == b'{')?;
    let length = pattern[open + 1..].iter().position(|&byte| byte == b'}')?;
    let tag = &pattern[open + 1..open + 1 + length];
    // A star before or in it could change the tag.
    let is_fixed = !tag.is_empty() && !pattern[..open + 1 + length].contains(&b'*');
    is_fixed.then(|| Slot::of_key(pattern))
}

#[cfg(test)]
mod tests {
    use resp::ArgumentRanges;

    use super::*;

    fn refused(line: &str) -> Option<&'static str> {
        let (mut raw, mut ranges) = (Vec::new(), ArgumentRanges::default());
        let words: Vec<&str> = line.split(' ').collect();
        resp::write_command(&mut raw, words.iter().map(|word| word.as_bytes()));
        let arguments = resp::parse_stored(&raw, &mut ranges).unwrap();
        in_cluster(commands::resolve(arguments).unwrap(), arguments)
    }

    #[test]
    fn what_reaches_beyond_a_slot_is_refused() {
        for line in
            ["MOVE key 1", "SWAPDB 0 1", "COPY a b DB 1", "COPY a b replace db 2", "SORT key BY w_*", "SORT key GET *"]
        {
            assert!(refused(line).is_some(), "{line}");
        }
        for line in
            ["COPY a b", "COPY a b DB 0", "COPY a DB", "SORT key BY nosort GET #", "SORT {t}key BY {t}w_*", "GET key"]
        {
            assert_eq!(refused(line), None, "{line}");
        }
    }
}

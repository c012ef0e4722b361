//! Where a reply ends, without looking into it.

/// Where the complete RESP2 or RESP3 value that starts at `at` ends, attributes before it included. `None` if it is
/// cut short or not a value. Takes no memory however deep the value is.
pub fn skip_value(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    // A value announces at most `bytes.len()` elements that are there; more cannot be skipped.
    let mut pending = 1_usize;
    while pending > 0 {
        let line = bytes.get(at..)?;
        let end = line.windows(2).position(|two| two == b"\r\n")?;
        let (&kind, text) = line[..end].split_first()?;
        at += end + 2;
        pending -= 1;
        match kind {
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => {}
            b'$' | b'=' | b'!' => {
                if let Some(length) = length(text)? {
                    let end = at.checked_add(length)?;
                    if bytes.get(end..end.checked_add(2)?)? != b"\r\n" {
                        return None;
                    }
                    at = end + 2;
                }
            }
            b'*' | b'~' | b'>' => pending = pending.checked_add(length(text)?.unwrap_or(0))?,
            b'%' => pending = pending.checked_add(length(text)?.unwrap_or(0).checked_mul(2)?)?,
            // Attributes stand before the value that they are about.
            b'|' => pending = pending.checked_add(length(text)?.unwrap_or(0).checked_mul(2)?)?.checked_add(1)?,
            _ => return None,
        }
    }
    Some(at)
}

/// The length that a line tells: `Some(None)` for the null of RESP2, `None` if it is not a length.
pub(crate) fn length(text: &[u8]) -> Option<Option<usize>> {
    match crate::number::integer(text)? {
        -1 => Some(None),
        length => usize::try_from(length).ok().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_end_of_every_kind_of_value() {
        for value in [
            "+OK\r\n",
            "-ERR no\r\n",
            ":-5\r\n",
            "$-1\r\n",
            "$0\r\n\r\n",
            "$4\r\na\r\nb\r\n",
            "*-1\r\n",
            "*0\r\n",
            "*2\r\n*1\r\n:1\r\n$1\r\nx\r\n",
            "_\r\n",
            "#t\r\n",
            ",1.5\r\n",
            "(123\r\n",
            "=5\r\ntxt:a\r\n",
            "!3\r\nERR\r\n",
            "%1\r\n+k\r\n~1\r\n:1\r\n",
            ">2\r\n+message\r\n+x\r\n",
            "|1\r\n+ttl\r\n:9\r\n*1\r\n+x\r\n",
        ] {
            let bytes = format!("+before\r\n{value}+behind\r\n").into_bytes();
            assert_eq!(skip_value(&bytes, 9), Some(9 + value.len()), "{value:?}");
            let whole = value.as_bytes();
            for cut in 0..whole.len() {
                assert_eq!(skip_value(&whole[..cut], 0), None, "{value:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn refuses_what_is_not_a_value() {
        for value in [
            "",
            "\r\n",
            "PING\r\n",
            "$x\r\n",
            "$-2\r\n",
            "$1\r\nabc\r\n",
            "*01\r\n:1\r\n",
            "$9223372036854775807\r\n",
            "*9223372036854775807\r\n%9223372036854775807\r\n",
        ] {
            assert_eq!(skip_value(value.as_bytes(), 0), None, "{value:?}");
        }
        assert_eq!(skip_value(b"+OK\r\n", 6), None);
        let deep = "*1\r\n".repeat(1_000_000);
        assert_eq!(skip_value(format!("{deep}:1\r\n").as_bytes(), 0), Some(deep.len() + 4));
    }
}

//! Inline commands: a line of words as one types it into a bare connection. // redis: sds.c sdssplitargs
//!
//! Words are separated by spaces, tabs and line ends; before a word and behind a quote, vertical tabs and form feeds
//! count as space too, within one they do not. Within double quotes `\n \r \t \b \a` and `\xHH` stand for bytes, and `\`
//! before any other byte for that byte; within single quotes only `\'` does. A quote may open within a word, but
//! where it closes the word must end.

/// The quotes of the line are not in order.
pub(crate) struct UnbalancedQuotes;

/// Takes the next word off the front of `line` and appends it to `word`; false when there is none left.
pub(crate) fn next_word(line: &mut &[u8], word: &mut Vec<u8>) -> Result<bool, UnbalancedQuotes> {
    let start = line.iter().position(|&byte| !is_space(byte)).unwrap_or(line.len());
    *line = &line[start..];
    if line.is_empty() {
        return Ok(false);
    }
    while let Some((&byte, rest)) = line.split_first() {
        *line = rest;
        match byte {
            b'"' => return double_quoted(line, word).map(|()| true),
            b'\'' => return single_quoted(line, word).map(|()| true),
            b' ' | b'\t' | b'\n' | b'\r' => break,
            _ => word.push(byte),
        }
    }
    Ok(true)
}

fn double_quoted(line: &mut &[u8], word: &mut Vec<u8>) -> Result<(), UnbalancedQuotes> {
    loop {
        let (byte, rest) = match **line {
            [b'\\', b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (hex(high) << 4 | hex(low), &line[4..])
            }
            [b'\\', escaped, ..] => (unescape(escaped), &line[2..]),
            [b'"', ..] => return close(line),
            [byte, ..] => (byte, &line[1..]),
            [] => return Err(UnbalancedQuotes),
        };
        word.push(byte);
        *line = rest;
    }
}

fn single_quoted(line: &mut &[u8], word: &mut Vec<u8>) -> Result<(), UnbalancedQuotes> {
    loop {
        let (byte, rest) = match **line {
            [b'\\', b'\'', ..] => (b'\'', &line[2..]),
            [b'\'', ..] => return close(line),
            [byte, ..] => (byte, &line[1..]),
            [] => return Err(UnbalancedQuotes),
        };
        word.push(byte);
        *line = rest;
    }
}

/// Steps over a closing quote, behind which the word must end.
fn close(line: &mut &[u8]) -> Result<(), UnbalancedQuotes> {
    *line = &line[1..];
    if line.first().is_none_or(|&next| is_space(next)) { Ok(()) } else { Err(UnbalancedQuotes) }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// White space as C's isspace has it, which counts the vertical tab.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

//! What redis-server 7.0 and valkey-server 9.1 answered to these bytes, and that reads may cut them anywhere.

use super::*;
use crate::{Protocol, Reply, write_command};

type Command = Vec<Vec<u8>>;

/// Everything that a connection's loop decodes when the bytes arrive in reads of `read` bytes.
pub(crate) fn run(bytes: &[u8], limits: &Limits, read: usize) -> (Vec<Command>, Option<ProtocolError>, usize) {
    let (mut decoder, mut buffer, mut commands) = (RequestDecoder::new(), Vec::new(), Vec::new());
    for chunk in bytes.chunks(read) {
        buffer.extend_from_slice(chunk);
        let mut start = 0;
        loop {
            match decoder.decode(&buffer[start..], limits) {
                Ok(Decoded::Command { consumed }) => {
                    let arguments = decoder.arguments(&buffer[start..]);
                    let mut canonical = Vec::new();
                    write_command(&mut canonical, arguments.iter());
                    assert_eq!(arguments.raw(), canonical);
                    commands.push(arguments.iter().map(<[u8]>::to_vec).collect());
                    start += consumed;
                }
                Ok(Decoded::Nothing { consumed }) => start += consumed,
                Ok(Decoded::Incomplete { needed }) => {
                    assert!(needed > 0);
                    break;
                }
                Err(error) => return (commands, Some(error), 0),
            }
        }
        // Elsewhere in memory, as after a read that made the buffer grow.
        buffer = buffer[start..].to_vec();
    }
    (commands, None, buffer.len())
}

/// The commands of the bytes, which are complete and right, in reads of every size.
fn commands(bytes: &[u8]) -> Vec<Command> {
    let limits = Limits::default();
    let whole = run(bytes, &limits, bytes.len().max(1));
    assert_eq!((whole.1, whole.2), (None, 0), "{}", bytes.escape_ascii());
    for read in 1..bytes.len() {
        assert_eq!(run(bytes, &limits, read), whole, "{} in reads of {read}", bytes.escape_ascii());
    }
    whole.0
}

/// The line that the client gets, whatever the size of the reads; "" when it still waits.
fn error_line(bytes: &[u8], limits: &Limits) -> Vec<u8> {
    let whole = run(bytes, limits, bytes.len());
    for read in [1, 2, 3, 7, 1000] {
        assert_eq!(
            run(bytes, limits, read),
            whole,
            "{} in reads of {read}",
            bytes[..bytes.len().min(50)].escape_ascii()
        );
    }
    let mut reply = Reply::new(Protocol::Resp2);
    if let Some(error) = whole.1 {
        reply.protocol_error(error);
    }
    reply.into_bytes()
}

fn command(words: &[&str]) -> Command {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

#[test]
fn arrays_are_decoded() {
    assert_eq!(
        commands(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\n"),
        [command(&["GET", "k"]), command(&["PING"])]
    );
    assert_eq!(commands(b"*1\r\n$0\r\n\r\n"), [command(&[""])]);
    assert_eq!(commands(b"*2\r\n$4\r\nECHO\r\n$6\r\n\r\n$1\r\n\r\n"), [command(&["ECHO", "\r\n$1\r\n"])]);
    let eleven = ["a"; 11];
    let mut bytes = Vec::new();
    write_command(&mut bytes, eleven);
    assert_eq!(commands(&bytes), [command(&eleven)]);
}

#[test]
fn what_asks_for_nothing_is_skipped() {
    assert_eq!(commands(b"\r\n\r\n\n*0\r\n*-1\r\n*-5\r\n  \t \r\nPING\r\n"), [command(&["PING"])]);
    assert_eq!(commands(b""), Vec::<Command>::new());
}

#[test]
fn inline_commands_are_unquoted() {
    for (line, words) in [
        (&b"PING\n"[..], &["PING"][..]),
        (b" \t PING  \r\n", &["PING"]),
        (b"\x0bPING\r\n", &["PING"]),
        (b"PING\r\r\n", &["PING"]),
        (b"ECHO \"a\\n\\x41\\q\\a\\b\\t\\r\\\\\\\"\"\r\n", &["ECHO", "a\nAq\x07\x08\t\r\\\""]),
        (b"ECHO 'a\\'b\\n'\r\n", &["ECHO", "a'b\\n"]),
        (b"ECHO a'b c'\r\n", &["ECHO", "ab c"]),
        (b"ECHO \"\"\r\n", &["ECHO", ""]),
        (b"\"\" a\r\n", &["", "a"]),
        (b"ECHO a\x0bb\r\n", &["ECHO", "a\x0bb"]),
        (b"ECHO \"\\x4\"\r\n", &["ECHO", "x4"]),
        (b"ECHO a\\nb\r\n", &["ECHO", "a\\nb"]),
        (b"ECHO \"a\r\"\r\n", &["ECHO", "a\r"]),
        (b"ECHO a\rb\r\n", &["ECHO", "a", "b"]),
        (b"ECHO \"\x0bb\"\x0bc\r\n", &["ECHO", "\x0bb", "c"]),
        (b"ECHO a\x00b\r\n", &["ECHO", "a\x00b"]),
    ] {
        assert_eq!(commands(line), [command(words)], "{}", line.escape_ascii());
    }
    assert_eq!(commands(b"ECHO \"\\xfF\"\r\n"), [vec![b"ECHO".to_vec(), vec![255]]]);
}

#[test]
fn errors_are_those_of_redis() {
    for (bytes, line) in [
        (&b"*x\r\n"[..], "invalid multibulk length"),
        (b"*+1\r\n", "invalid multibulk length"),
        (b"* 1\r\n", "invalid multibulk length"),
        (b"*1 \r\n", "invalid multibulk length"),
        (b"*01\r\n$4\r\nPING\r\n", "invalid multibulk length"),
        (b"*\r\n", "invalid multibulk length"),
        (b"*-0\r\n", "invalid multibulk length"),
        (b"*\n\r\n", "invalid multibulk length"),
        (b"*1\n$4\r\nPING\r\n", "invalid multibulk length"),
        (b"*2147483648\r\n", "invalid multibulk length"),
        (b"*9223372036854775808\r\n", "invalid multibulk length"),
        (b"*1\r\nx4\r\nPING\r\n", "expected '$', got 'x'"),
        (b"*1\r\nx4\rZ", "expected '$', got 'x'"),
        (b"*1\r\n\r\n", "expected '$', got ' '"),
        (b"*1\r\n\x00\r\n", "expected '$', got '\x00'"),
        (b"*1\r\n$x\r\n", "invalid bulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$-0\r\n", "invalid bulk length"),
        (b"*1\r\n$04\r\n", "invalid bulk length"),
        (b"*1\r\n$+4\r\n", "invalid bulk length"),
        (b"*1\r\n$\r\n", "invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b"PING\r\n*1\r\n$4\r\nPING\r\n*x\r\n", "invalid multibulk length"),
        (b"ECHO \"abc\r\n", "unbalanced quotes in request"),
        (b"ECHO 'abc\r\n", "unbalanced quotes in request"),
        (b"ECHO \"a\"b\r\n", "unbalanced quotes in request"),
        (b"ECHO 'a'b\r\n", "unbalanced quotes in request"),
        // From here on as Valkey has it.
        (b"*x\rZ", "invalid CRLF in request"),
        (b"*1\rZ$4\r\nPING\r\n", "invalid CRLF in request"),
        (b"*1\r\n$x\rZ", "invalid CRLF in request"),
        (b"*1\r\n$4\rZPING\r\n", "invalid CRLF in request"),
        (b"*1\r\n$4\r\nPINGxx", "invalid CRLF in request"),
        (b"*1\r\n$4\r\nPING\rZ", "invalid CRLF in request"),
    ] {
        let expected = format!("-ERR Protocol error: {line}\r\n").into_bytes();
        assert_eq!(error_line(bytes, &Limits::default()), expected, "{}", bytes.escape_ascii());
    }
    let quoted = error_line(b"*1\r\n\xe9\r\n", &Limits::default());
    assert_eq!(quoted, b"-ERR Protocol error: expected '$', got '\xe9'\r\n");
}

#[test]
fn what_could_still_become_a_command_waits() {
    for bytes in [
        &b"*x"[..],
        b"*1\r",
        b"*1\r\nx",
        b"*1\r\n$4\r\nPINGx",
        b"*1\n$4\nPING\n",
        b"*1048576\r\n",
        b"*1\r\n$536870912\r\n",
    ] {
        assert_eq!(error_line(bytes, &Limits::default()), b"", "{}", bytes.escape_ascii());
    }
}

#[test]
fn lines_are_bounded() {
    let (limits, limit) = (Limits { inline_max_bytes: 3000, ..Limits::default() }, 3000);
    for (start, line) in [
        ("", "too big inline request"),
        ("*", "too big mbulk count string"),
        ("*1\r\n", "too big bulk count string"),
        ("*1\r\n$", "too big bulk count string"),
    ] {
        let line_start = start.len() - start.trim_end_matches(['*', '$']).len();
        let fits = format!("{start}{}", "1".repeat(limit - line_start));
        assert_eq!(error_line(fits.as_bytes(), &limits), b"", "{start:?}");
        let over = format!("{fits}1");
        let expected = format!("-ERR Protocol error: {line}\r\n").into_bytes();
        assert_eq!(error_line(over.as_bytes(), &limits), expected, "{start:?}");
    }
}

#[test]
fn a_client_that_has_not_authenticated_gets_little() {
    let limits = Limits { authenticated: false, ..Limits::default() };
    for (bytes, line) in [
        (&b"*11\r\n"[..], "unauthenticated multibulk length"),
        (b"1 2 3 4 5 6 7 8 9 10 11\r\n", "unauthenticated multibulk length"),
        (b"*1\r\n$16385\r\n", "unauthenticated bulk length"),
        (b"*999999999999\r\n", "invalid multibulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
    ] {
        let expected = format!("-ERR Protocol error: {line}\r\n").into_bytes();
        assert_eq!(error_line(bytes, &limits), expected, "{}", bytes.escape_ascii());
    }
    assert_eq!(error_line(b"*10\r\n$16384\r\n", &limits), b"");
}

#[test]
fn limits_are_asked_at_each_call() {
    let bytes = b"*2\r\n$4\r\nECHO\r\n$20000\r\n";
    let mut decoder = RequestDecoder::new();
    let unauthenticated = Limits { authenticated: false, ..Limits::default() };
    assert_eq!(decoder.decode(&bytes[..16], &unauthenticated), Ok(Decoded::Incomplete { needed: 1 }));
    assert_eq!(decoder.decode(bytes, &Limits::default()), Ok(Decoded::Incomplete { needed: 20002 }));
}

#[test]
fn a_large_argument_tells_how_much_is_missing_and_keeps_its_place() {
    let value = vec![b'v'; 1 << 20];
    let mut bytes = Vec::new();
    write_command(&mut bytes, [&b"SET"[..], b"k", &value]);
    let mut decoder = RequestDecoder::new();
    for end in (30..bytes.len()).step_by(16384) {
        let needed = bytes.len() - end;
        assert_eq!(decoder.decode(&bytes[..end], &Limits::default()), Ok(Decoded::Incomplete { needed }));
        assert_eq!((decoder.left, decoder.at), (1, 20), "two arguments are behind it");
    }
    assert_eq!(decoder.decode(&bytes, &Limits::default()), Ok(Decoded::Command { consumed: bytes.len() }));
    assert_eq!(decoder.arguments(&bytes).get(2), Some(&value[..]));
}

#[test]
fn a_line_in_progress_is_not_scanned_again() {
    let bytes = vec![b'a'; 60_000];
    let mut decoder = RequestDecoder::new();
    for end in [1, 1000, 60_000] {
        assert_eq!(decoder.decode(&bytes[..end], &Limits::default()), Ok(Decoded::Incomplete { needed: 1 }));
        assert_eq!(decoder.scanned, end);
    }
}

#[test]
fn the_memory_of_an_unusual_command_is_given_back() {
    let mut decoder = RequestDecoder::new();
    let line = format!("{}\r\n", "a ".repeat(30_000)).into_bytes();
    assert_eq!(decoder.decode(&line, &Limits::default()), Ok(Decoded::Command { consumed: line.len() }));
    assert_eq!(decoder.arguments(&line).len(), 30_000);
    assert_eq!(decoder.decode(b"", &Limits::default()), Ok(Decoded::Incomplete { needed: 1 }));
    assert!(decoder.scratch.capacity() <= SCRATCH_KEPT_BYTES);
}

#[test]
fn debugging_shows_no_arguments() {
    let mut decoder = RequestDecoder::new();
    decoder.decode(b"AUTH secret\r\n", &Limits::default()).unwrap();
    let shown = format!("{decoder:?} {:?}", decoder.arguments(b"AUTH secret\r\n"));
    assert!(!shown.contains("secret"), "{shown}");
}

//! Any bytes, cut anywhere, are the same commands or the same refusal, and nothing panics or exceeds its limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resp::{ArgumentRanges, Decoded, Limits, ProtocolError, RequestDecoder};
use resp::{parse_reply, parse_stored, skip_value, write_command};

/// Small, so that the fuzzer meets them.
const LIMITS: Limits = Limits { bulk_max_bytes: 100, args_max: 12, inline_max_bytes: 80, authenticated: true };

fuzz_target!(|input: (u8, bool, &[u8])| {
    let (read, authenticated, bytes) = input;
    let limits = Limits { authenticated, ..LIMITS };
    let whole = decode(bytes, &limits, bytes.len().max(1));
    assert_eq!(decode(bytes, &limits, usize::from(read).max(1)), whole);

    let mut ranges = ArgumentRanges::new();
    if let Ok(arguments) = parse_stored(bytes, &mut ranges) {
        let mut again = Vec::new();
        write_command(&mut again, arguments.iter());
        assert_eq!(again, arguments.raw());
    }
    if let Ok(Some((_, end))) = parse_reply(bytes) {
        assert_eq!(skip_value(bytes, 0), Some(end));
    }
});

/// The arrays of all commands in the bytes, which arrive in reads of `read` bytes, and the error that ended them.
fn decode(bytes: &[u8], limits: &Limits, read: usize) -> (Vec<Vec<u8>>, Option<ProtocolError>) {
    let (mut decoder, mut buffer, mut commands) = (RequestDecoder::new(), Vec::new(), Vec::new());
    for chunk in bytes.chunks(read) {
        buffer.extend_from_slice(chunk);
        let mut start = 0;
        loop {
            match decoder.decode(&buffer[start..], limits) {
                Ok(Decoded::Command { consumed }) => {
                    let arguments = decoder.arguments(&buffer[start..]);
                    assert!(arguments.iter().all(|argument| argument.len() <= limits.bulk_max_bytes));
                    commands.push(arguments.raw().to_vec());
                    start += consumed;
                }
                Ok(Decoded::Nothing { consumed }) => start += consumed,
                Ok(Decoded::Incomplete { .. }) => break,
                Err(error) => return (commands, Some(error)),
            }
        }
        buffer.drain(..start);
    }
    (commands, None)
}

//! What holds for every stream of bytes and every reply. The cases are the same at each run.

use crate::decoder::tests::run;
use crate::{ArgumentRanges, Limits, Protocol, Reply, Value, parse_reply, parse_stored, skip_value, write_command};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

fn config() -> Config {
    Config { cases: 512, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..Config::default() }
}

/// Bytes of which most mean something to the protocol.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => proptest::sample::select(b"*$\r\n0123456789-+ '\"\\x:%~|>_#,(=!".to_vec()),
        1 => any::<u8>(),
    ];
    let line = proptest::sample::select(vec![
        &b"\r\n"[..],
        b"*1\r\n",
        b"*2\r\n",
        b"$1\r\n",
        b"$0\r\n",
        b"PING\r\n",
        b"%1\r\n",
    ]);
    let piece = prop_oneof![vec(byte, 0..6), line.prop_map(<[u8]>::to_vec)];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn command() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(vec(any::<u8>(), 0..40), 1..6)
}

/// A stream of commands as arrays and as quoted inline commands, with empty ones between; and the commands.
fn stream() -> impl Strategy<Value = (Vec<u8>, Vec<Vec<Vec<u8>>>)> {
    vec((command(), 0..5), 0..8).prop_map(|items| {
        let (mut bytes, mut commands) = (Vec::new(), Vec::new());
        for (words, form) in items {
            match form {
                0 => {
                    for word in &words {
                        bytes.push(b'"');
                        word.iter().for_each(|byte| bytes.extend_from_slice(format!("\\x{byte:02X}").as_bytes()));
                        bytes.extend_from_slice(b"\" ");
                    }
                    bytes.extend_from_slice(b"\r\n");
                }
                1 => {
                    bytes.extend_from_slice(b"\r\n*-1\r\n");
                    write_command(&mut bytes, &words);
                }
                _ => write_command(&mut bytes, &words),
            }
            commands.push(words);
        }
        (bytes, commands)
    })
}

/// A reply of any type; as RESP2 would not tell some apart, of RESP3.
fn value() -> impl Strategy<Value = Value> {
    let text = || vec(any::<u8>(), 0..12);
    let line = || vec(proptest::sample::select(b"ab 1.".to_vec()), 0..6);
    let leaf = prop_oneof![
        line().prop_map(Value::Simple),
        line().prop_map(Value::Error),
        any::<i64>().prop_map(Value::Integer),
        text().prop_map(Value::Bulk),
        Just(Value::Null),
        any::<bool>().prop_map(Value::Boolean),
        line().prop_map(Value::Double),
        line().prop_map(Value::BigNumber),
        text().prop_map(|text| Value::Verbatim { format: *b"txt", text }),
    ];
    leaf.prop_recursive(4, 40, 14, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..14).prop_map(Value::Array),
            vec(inner.clone(), 0..14).prop_map(Value::Set),
            vec(inner.clone(), 0..4).prop_map(Value::Push),
            vec((inner.clone(), inner.clone()), 0..12).prop_map(Value::Map),
            (vec((inner.clone(), inner.clone()), 0..3), inner)
                .prop_map(|(attributes, value)| Value::Attributed { attributes, value: Box::new(value) }),
        ]
    })
}

fn write(reply: &mut Reply, value: &Value) {
    let pairs = |reply: &mut Reply, pairs: &[(Value, Value)]| {
        for (key, value) in pairs {
            write(reply, key);
            write(reply, value);
        }
    };
    match value {
        Value::Simple(text) => reply.simple(text),
        Value::Error(text) => reply.error(text),
        Value::Integer(value) => reply.integer(*value),
        Value::Bulk(text) => reply.bulk(text),
        Value::Null => reply.null(),
        Value::NullArray => reply.null_array(),
        Value::Boolean(value) => reply.boolean(*value),
        Value::Double(text) => reply.double(text),
        Value::BigNumber(text) => reply.big_number(text),
        Value::Verbatim { format, text } => reply.verbatim(format, text),
        Value::Array(elements) => {
            let deferred = reply.array_deferred();
            elements.iter().for_each(|element| write(reply, element));
            reply.finish(deferred, elements.len());
        }
        Value::Set(members) => {
            reply.set(members.len());
            members.iter().for_each(|member| write(reply, member));
        }
        Value::Push(elements) => {
            reply.push(elements.len());
            elements.iter().for_each(|element| write(reply, element));
        }
        Value::Map(entries) => {
            let deferred = reply.map_deferred();
            pairs(reply, entries);
            reply.finish(deferred, entries.len());
        }
        Value::Attributed { attributes, value } => {
            if reply.attribute(attributes.len()) {
                pairs(reply, attributes);
            }
            write(reply, value);
        }
    }
}

/// How a value looks to a client of RESP2.
fn in_resp2(value: &Value) -> Value {
    let flat =
        |pairs: &[(Value, Value)]| pairs.iter().flat_map(|(key, value)| [in_resp2(key), in_resp2(value)]).collect();
    match value {
        Value::Boolean(value) => Value::Integer(i64::from(*value)),
        Value::Double(text) | Value::BigNumber(text) | Value::Verbatim { text, .. } => Value::Bulk(text.clone()),
        Value::Array(elements) | Value::Set(elements) | Value::Push(elements) => {
            Value::Array(elements.iter().map(in_resp2).collect())
        }
        Value::Map(pairs) => Value::Array(flat(pairs)),
        Value::Attributed { value, .. } => in_resp2(value),
        plain => plain.clone(),
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn commands_are_the_same_however_the_stream_is_cut((bytes, commands) in stream(), read in 1..60_usize) {
        let expected = (commands, None, 0);
        prop_assert_eq!(&run(&bytes, &Limits::default(), bytes.len().max(1)), &expected);
        prop_assert_eq!(&run(&bytes, &Limits::default(), read), &expected);
    }

    #[test]
    fn noise_is_read_the_same_however_it_is_cut(bytes in noise(), read in 1..9_usize, authenticated: bool) {
        let limits = Limits { bulk_max_bytes: 20, args_max: 3, inline_max_bytes: 16, authenticated };
        let whole = run(&bytes, &limits, bytes.len().max(1));
        prop_assert_eq!(&run(&bytes, &limits, read), &whole);
        for command in &whole.0 {
            prop_assert!(command.len() <= 9 && command.iter().all(|argument| argument.len() <= 20), "{:?}", command);
        }
    }

    #[test]
    fn a_stored_command_is_shown_as_it_was_decoded(command in command(), behind in noise()) {
        let mut bytes = Vec::new();
        write_command(&mut bytes, &command);
        let end = bytes.len();
        bytes.extend_from_slice(&behind);
        let mut ranges = ArgumentRanges::new();
        let arguments = parse_stored(&bytes, &mut ranges).unwrap();
        prop_assert_eq!(arguments.raw().len(), end);
        prop_assert_eq!(arguments.iter().collect::<Vec<_>>(), command);
    }

    #[test]
    fn noise_is_never_more_than_refused(bytes in noise()) {
        let mut ranges = ArgumentRanges::new();
        if let Ok(arguments) = parse_stored(&bytes, &mut ranges) {
            let mut again = Vec::new();
            write_command(&mut again, arguments.iter());
            prop_assert_eq!(again, arguments.raw());
        }
        if let Ok(Some((_, end))) = parse_reply(&bytes) {
            prop_assert_eq!(skip_value(&bytes, 0), Some(end));
        }
        for at in 0..bytes.len() + 2 {
            prop_assert!(skip_value(&bytes, at).is_none_or(|end| end > at && end <= bytes.len()));
        }
    }

    #[test]
    fn a_reply_is_read_as_it_was_meant(value in value(), before in noise()) {
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            let mut reply = Reply::over(before.clone(), protocol);
            let mark = reply.mark();
            write(&mut reply, &value);
            let bytes = reply.since(mark);
            let expected = if protocol == Protocol::Resp2 { in_resp2(&value) } else { value.clone() };
            prop_assert_eq!(parse_reply(bytes), Ok(Some((expected, bytes.len()))));
            prop_assert_eq!(skip_value(reply.as_bytes(), before.len()), Some(reply.len()));
            for cut in 0..bytes.len() {
                prop_assert_eq!(parse_reply(&bytes[..cut]), Ok(None));
                prop_assert_eq!(skip_value(&bytes[..cut], 0), None);
            }
        }
    }
}

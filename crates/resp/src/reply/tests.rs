//! What each call writes in each protocol, and what can be taken back.

use super::*;
use crate::skip_value;

/// What `write` writes in RESP2 and in RESP3.
fn both(write: impl Fn(&mut Reply)) -> [String; 2] {
    [Protocol::Resp2, Protocol::Resp3].map(|protocol| {
        let mut reply = Reply::new(protocol);
        write(&mut reply);
        String::from_utf8(reply.into_bytes()).unwrap()
    })
}

#[test]
fn what_both_protocols_spell_alike() {
    let same = |write: fn(&mut Reply), bytes: &str| assert_eq!(both(write), [bytes, bytes]);
    same(Reply::ok, "+OK\r\n");
    same(|reply| reply.simple("QUEUED"), "+QUEUED\r\n");
    same(|reply| reply.simple("a\r\nb"), "+a  b\r\n");
    same(|reply| reply.error("ERR no\nsuch\rthing"), "-ERR no such thing\r\n");
    same(|reply| reply.integer(-42), ":-42\r\n");
    same(|reply| reply.integer(i64::MIN), ":-9223372036854775808\r\n");
    same(|reply| reply.count(7), ":7\r\n");
    same(|reply| reply.bulk("a\r\nb"), "$4\r\na\r\nb\r\n");
    same(|reply| reply.bulk(b""), "$0\r\n\r\n");
    same(|reply| reply.bulk_parts([&b"ab"[..], b"", b"c"].into_iter()), "$3\r\nabc\r\n");
    same(|reply| reply.bulk_integer(-10), "$3\r\n-10\r\n");
    same(|reply| reply.array(12), "*12\r\n");
    same(
        |reply| reply.protocol_error(ProtocolError::ExpectedBulk(b'\r')),
        "-ERR Protocol error: expected '$', got ' '\r\n",
    );
}

#[test]
fn what_only_resp3_has_a_type_for() {
    assert_eq!(both(Reply::null), ["$-1\r\n", "_\r\n"]);
    assert_eq!(both(Reply::null_array), ["*-1\r\n", "_\r\n"]);
    assert_eq!(both(|reply| reply.boolean(true)), [":1\r\n", "#t\r\n"]);
    assert_eq!(both(|reply| reply.boolean(false)), [":0\r\n", "#f\r\n"]);
    assert_eq!(both(|reply| reply.double("1.5")), ["$3\r\n1.5\r\n", ",1.5\r\n"]);
    assert_eq!(both(|reply| reply.big_number("123")), ["$3\r\n123\r\n", "(123\r\n"]);
    assert_eq!(both(|reply| reply.verbatim(b"txt", "a:b")), ["$3\r\na:b\r\n", "=7\r\ntxt:a:b\r\n"]);
    assert_eq!(both(|reply| reply.map(3)), ["*6\r\n", "%3\r\n"]);
    assert_eq!(both(|reply| reply.set(3)), ["*3\r\n", "~3\r\n"]);
    assert_eq!(both(|reply| reply.push(3)), ["*3\r\n", ">3\r\n"]);
    let attributed = |reply: &mut Reply| {
        if reply.attribute(1) {
            reply.simple("ttl");
            reply.integer(5);
        }
        reply.ok();
    };
    assert_eq!(both(attributed), ["+OK\r\n", "|1\r\n+ttl\r\n:5\r\n+OK\r\n"]);
}

#[test]
fn lengths_may_be_told_later() {
    for count in [0, 1, 9, 10, 11, 12345] {
        let told_later = both(|reply| {
            reply.ok();
            let deferred = reply.map_deferred();
            let inner = reply.set_deferred();
            reply.finish(inner, 0);
            (0..count * 2 - count.min(1)).for_each(|_| reply.integer(1));
            reply.finish(deferred, count);
            reply.null();
        });
        let told_first = both(|reply| {
            reply.ok();
            reply.map(count);
            reply.set(0);
            (0..count * 2 - count.min(1)).for_each(|_| reply.integer(1));
            reply.null();
        });
        assert_eq!(told_later, told_first);
    }
    let array = both(|reply| {
        let deferred = reply.array_deferred();
        reply.finish(deferred, 0);
    });
    assert_eq!(array, ["*0\r\n", "*0\r\n"]);
}

#[test]
fn what_was_written_since_a_mark_can_be_taken_back() {
    let mut reply = Reply::over(b"+first\r\n".to_vec(), Protocol::Resp2);
    let mark = reply.mark();
    reply.array(2);
    let deferred = reply.array_deferred();
    reply.bulk("half");
    reply.finish(deferred, 1);
    assert_eq!(reply.since(mark), b"*2\r\n*1\r\n$4\r\nhalf\r\n");
    reply.rollback(mark);
    reply.error("ERR value is not an integer or out of range");
    assert_eq!(reply.as_bytes(), b"+first\r\n-ERR value is not an integer or out of range\r\n");
    assert_eq!(skip_value(reply.as_bytes(), 8), Some(reply.len()));
}

#[test]
fn the_buffer_comes_and_goes() {
    let mut reply = Reply::new(Protocol::Resp2);
    reply.ok();
    assert_eq!(reply.take(), b"+OK\r\n");
    assert!(reply.is_empty());
    let mut spare = b"+x\r\n".to_vec();
    reply.ok();
    reply.swap(&mut spare);
    assert_eq!((reply.as_bytes(), &spare[..]), (&b"+x\r\n"[..], &b"+OK\r\n"[..]));
    reply.clear();
    reply.set_protocol(Protocol::Resp3);
    reply.null();
    reply.raw(&spare);
    assert_eq!((reply.protocol(), reply.into_bytes()), (Protocol::Resp3, b"_\r\n+OK\r\n".to_vec()));
}

#[test]
fn a_discarding_encoder_drops_everything() {
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let mut reply = Reply::discarding(protocol);
        let mark = reply.mark();
        let deferred = reply.map_deferred();
        reply.ok();
        reply.simple("a");
        reply.error("ERR a");
        reply.integer(1);
        reply.count(1);
        reply.bulk("a");
        reply.bulk_parts([&b"a"[..]].into_iter());
        reply.bulk_integer(1);
        reply.null();
        reply.null_array();
        reply.boolean(true);
        reply.double("1");
        reply.big_number("1");
        reply.verbatim(b"txt", "a");
        reply.array(1);
        reply.map(1);
        reply.set(1);
        reply.push(1);
        reply.raw(b"+OK\r\n");
        let _ = reply.attribute(1);
        reply.finish(deferred, 100);
        assert!(reply.is_discarding() && reply.is_empty() && reply.since(mark).is_empty());
        reply.rollback(mark);
        assert_eq!(reply.into_bytes().capacity(), 0);
    }
}

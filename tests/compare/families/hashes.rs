//! Hashes.

use super::*;

pub(crate) const FAMILY: Family = Family {
    name: "hashes",
    templates: &[
        "HSET <h> { <f> <v> }",
        "HSET <h> { <f> <v> }",
        "HMSET <h> { <f> <v> }",
        "HSETNX <h> <f> <v>",
        "HGET <h> <f>",
        "HMGET <h> { <f> }",
        "HGETALL <h>",
        "HKEYS <h>",
        "HVALS <h>",
        "HLEN <h>",
        "HSTRLEN <h> <f>",
        "HEXISTS <h> <f>",
        "HDEL <h> { <f> }",
        "HINCRBY <h> <f> <i>",
        "HINCRBYFLOAT <h> <f> <float>",
        "HRANDFIELD <h> [ <count> [ WITHVALUES ] ]",
        "HSCAN <h> <count> [ MATCH <pattern> ] [ COUNT <i> ] [ NOVALUES ]",
    ],
    keys: &[KeySort::new("h", "HGETALL")],
    rule,
    ..Family::NONE
};

fn rule(name: &str, _: &[&[u8]]) -> Option<Rule> {
    Some(match name {
        "HKEYS" | "HVALS" => Rule::AnyOrder,
        "HGETALL" => Rule::AnyOrderOfPairs,
        "HRANDFIELD" => Rule::Shape,
        "HSCAN" => Rule::Anything,
        _ => return None,
    })
}

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
        "COPY <h> <h> REPLACE",
        "RENAME <h> <h>",
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
        "HSCAN <h> 0 COUNT 1000 [ MATCH <pattern> ] [ NOVALUES ]",
        "HEXPIRE <h> <seconds> [ ( NX | XX | GT | LT ) ] [ ( NX | XX | GT | LT ) ] FIELDS ( 1 <f> | 2 <f> <f> | 3 <f> <f> <f> | <i> <f> )",
        "HPEXPIRE <h> <ms> [ ( NX | XX | GT | LT ) ] FIELDS ( 1 <f> | 2 <f> <f> | 3 <f> <f> <f> | <i> <f> )",
        "HEXPIREAT <h> <at> [ ( NX | XX | GT | LT ) ] FIELDS ( 1 <f> | 2 <f> <f> | 3 <f> <f> <f> | <i> <f> )",
        "HPEXPIREAT <h> <atms> [ ( NX | XX | GT | LT ) ] FIELDS ( 1 <f> | 2 <f> <f> | 3 <f> <f> <f> | <i> <f> )",
        "HPERSIST <h> FIELDS ( 1 <f> | 2 <f> <f> | 3 <f> <f> <f> | <i> <f> )",
        "HTTL <h> FIELDS ( 1 <f> | 2 <f> <f> | 3 <f> <f> <f> | <i> <f> )",
        "HPTTL <h> FIELDS ( 1 <f> | 2 <f> <f> | 3 <f> <f> <f> | <i> <f> )",
        "HEXPIRETIME <h> FIELDS ( 1 <f> | 2 <f> <f> | 3 <f> <f> <f> | <i> <f> )",
        "HPEXPIRETIME <h> FIELDS ( 1 <f> | 2 <f> <f> | 3 <f> <f> <f> | <i> <f> )",
        "HGETEX <h> [ ( EX <seconds> | PX <ms> | EXAT <at> | PXAT <atms> | PERSIST ) ] FIELDS ( 1 <f> | 2 <f> <f> | 3 <f> <f> <f> | <i> <f> )",
        "HGETEX <h> [ EX <seconds> ] [ ( PERSIST | KEEPTTL | PXAT <atms> ) ] FIELDS ( 1 <f> | 2 <f> <f> | 3 <f> <f> <f> | <i> <f> )",
        "HSETEX <h> [ ( NX | XX ) ] [ ( FNX | FXX ) ] [ ( EX <seconds> | PX <ms> | EXAT <at> | PXAT <atms> | KEEPTTL ) ] FIELDS ( 1 <f> <v> | 2 <f> <v> <f> <v> | <fields> <f> <v> )",
        "HSETEX <h> [ FNX ] [ FXX ] [ EX <seconds> ] [ KEEPTTL ] FIELDS ( 1 <f> <v> | 2 <f> <v> <f> <v> | <fields> <f> <v> )",
        "HSETEX <h> { ( EX <seconds> | FNX | KEEPTTL | PX <ms> ) } FIELDS 1 <f> <v>",
        "HGETEX <h> { ( EX <seconds> | PERSIST | PX <ms> ) } FIELDS 1 <f>",
        "HGETDEL <h> FIELDS ( 1 <f> | 2 <f> <f> | 3 <f> <f> <f> | <i> <f> )",
    ],
    keys: &[KeySort::new("h", "HGETALL")],
    word: |what, dice| match what {
        // Not the least integer but one: twice that overflows in valkey-server's HSETEX, and passes for two.
        "fields" => Some(dice.pick(&["0", "1", "1", "2", "-1", "x", "", "9223372036854775807"]).as_bytes().to_vec()),
        _ => None,
    },
    rule,
    ours: &[("HIMPORT", "Redis 8.10")],
    ..Family::NONE
};

fn rule(name: &str, words: &[&[u8]]) -> Option<Rule> {
    let has = |word: &str| words.iter().any(|given| given.eq_ignore_ascii_case(word.as_bytes()));
    Some(match name {
        // As for the keys' own EXPIRE.
        "HEXPIRE" | "HPEXPIRE" if has("GT") || has("LT") => Rule::Near(1),
        "HKEYS" | "HVALS" => Rule::AnyOrder,
        "HGETALL" => Rule::AnyOrderOfPairs,
        "HRANDFIELD" => Rule::Shape,
        "HTTL" | "HEXPIRETIME" => Rule::Close(2),
        "HPTTL" | "HPEXPIRETIME" => Rule::Close(3000),
        "HSCAN" => Rule::of_walk(words, 2, if has("NOVALUES") { 1 } else { 2 }),
        _ => return None,
    })
}

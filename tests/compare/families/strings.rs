//! Strings, and counters on keys of their own.

use super::*;

pub(crate) const FAMILY: Family = Family {
    name: "strings",
    templates: &[
        "SET <s> <v>",
        "SET <s> <v> [ ( NX | XX ) ] [ GET ] [ ( EX <seconds> | PX <ms> | EXAT <at> | PXAT <atms> | KEEPTTL ) ]",
        "SET <s> <v> [ GET ] { ( EX <seconds> | EX x | PX <ms> | KEEPTTL | NX ) }",
        "SET <s> <v> IFEQ <v> [ GET ] [ ( EX <seconds> | KEEPTTL ) ]",
        "SET <n> <i> [ ( NX | XX ) ] IFEQ <i> [ GET ]",
        "SET <n> <i>",
        "GET <s>",
        "GETSET <s> <v>",
        "GETDEL <s>",
        "GETEX <s> [ ( EX <seconds> | PX <ms> | EXAT <at> | PXAT <atms> | PERSIST ) ]",
        "GETEX <s> { ( EX <seconds> | EX x | PERSIST ) }",
        "SETEX <s> <seconds> <v>",
        "PSETEX <s> <ms> <v>",
        "SETNX <s> <v>",
        "MSET { <s> <v> }",
        "MSETNX { <s> <v> }",
        // With a time that has passed, the keys are counted by valkey-server until it looks at them.
        "MSETEX ( 1 <s> <v> | 2 <s> <v> <s> <v> | <i> <s> <v> ) [ ( NX | XX ) ] [ ( EX <seconds> | PX <ms> | EXAT 4000000000 | PXAT 4000000000000 | KEEPTTL ) ]",
        "DELIFEQ <s> <v>",
        "DELIFEQ <n> <i>",
        "MGET { <k> }",
        "APPEND <s> <v>",
        "STRLEN <s>",
        "GETRANGE <s> <index> <index>",
        "SUBSTR <s> <i> <i>",
        "SETRANGE <s> <index> <v>",
        "SETRANGE <s> <i> <m>",
        "INCR <n>",
        "DECR <n>",
        "INCRBY <n> <i>",
        "DECRBY <n> <i>",
        "INCRBYFLOAT <n> <float>",
        "INCRBYFLOAT <n> ( 0x1p3 | -0X.8 | 0x | 0x1p-2 | 0xg | 0x1p16384 )",
        "SET <n> ( 0x1f | 1e2 )",
        "LCS <s> <s> [ LEN ] [ IDX ] [ MINMATCHLEN <i> ] [ WITHMATCHLEN ]",
    ],
    ours: &[("DIGEST", "Redis 8.4"), ("DELEX", "Redis 8.4"), ("INCREX", "Redis 8.8")],
    keys: &[KeySort::new("s", "GET"), KeySort::new("n", "GET")],
    ..Family::NONE
};

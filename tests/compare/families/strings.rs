//! Strings, and counters on keys of their own.

use super::*;

pub(crate) const FAMILY: Family = Family {
    name: "strings",
    templates: &[
        "SET <s> <v>",
        "SET <s> <v> [ ( NX | XX ) ] [ GET ] [ ( EX <seconds> | PX <ms> | EXAT <at> | PXAT <atms> | KEEPTTL ) ]",
        "SET <n> <i>",
        "GET <s>",
        "GETSET <s> <v>",
        "GETDEL <s>",
        "GETEX <s> [ ( EX <seconds> | PX <ms> | EXAT <at> | PXAT <atms> | PERSIST ) ]",
        "SETEX <s> <seconds> <v>",
        "PSETEX <s> <ms> <v>",
        "SETNX <s> <v>",
        "MSET { <s> <v> }",
        "MSETNX { <s> <v> }",
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
        "LCS <s> <s> [ LEN ] [ IDX ] [ MINMATCHLEN <i> ] [ WITHMATCHLEN ]",
    ],
    keys: &[KeySort::new("s", "GET"), KeySort::new("n", "GET")],
    ..Family::NONE
};

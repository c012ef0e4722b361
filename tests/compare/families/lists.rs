//! Lists.

use super::*;

pub(crate) const FAMILY: Family = Family {
    name: "lists",
    templates: &[
        "LPUSH <l> { <v> }",
        "RPUSH <l> { <v> }",
        "RPUSH <l> { <m> }",
        "LPUSHX <l> { <v> }",
        "RPUSHX <l> { <m> }",
        "LPOP <l> [ <count> ]",
        "RPOP <l> [ <count> ]",
        "LMPOP ( 1 <l> | 2 <l> <l> | <i> <l> ) ( LEFT | RIGHT ) [ COUNT <i> ]",
        "LLEN <l>",
        "LINDEX <l> <index>",
        "LRANGE <l> <index> <index>",
        "LSET <l> <index> <v>",
        "LINSERT <l> ( BEFORE | AFTER ) <m> <v>",
        "LREM <l> <index> <m>",
        "LTRIM <l> <index> <index>",
        "LPOS <l> <m> [ RANK <index> ] [ COUNT <count> ] [ MAXLEN <count> ]",
        "LMOVE <l> <l> ( LEFT | RIGHT ) ( LEFT | RIGHT )",
        "RPOPLPUSH <l> <l>",
        "BLPOP { <l> } <patience>",
        "BRPOP { <l> } <patience>",
        "BLMPOP <patience> ( 1 <l> | 2 <l> <l> | <i> <l> ) ( LEFT | RIGHT ) [ COUNT <i> ]",
        "BLMOVE <l> <l> ( LEFT | RIGHT ) ( LEFT | RIGHT ) <patience>",
        "BRPOPLPUSH <l> <l> <patience>",
    ],
    without_template: &[
        ("LMOVEM", "Redis 8.10 has it, valkey-server 9.1 has not"),
        ("BLMOVEM", "Redis 8.10 has it, valkey-server 9.1 has not"),
    ],
    ours: &[("LMOVEM", "Redis 8.10"), ("BLMOVEM", "Redis 8.10")],
    keys: &[KeySort::new("l", "LRANGE").with(" 0 -1")],
    ..Family::NONE
};

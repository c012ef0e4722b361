//! Streams. Ids are told, not taken from the clocks; times are compared by what can be equal of them.

use super::*;

pub(crate) const FAMILY: Family = Family {
    name: "streams",
    templates: &[
        "XADD <r> <newid> { <f> <v> }",
        "XADD <r> <newid> a <m>",
        "XADD <r> <newid> a <m> b 1",
        "XADD <r> [ NOMKSTREAM ] [ ( MAXLEN | MINID ) [ ( = | ~ ) ] <threshold> [ LIMIT <count> ] ] <newid> { <f> <m> }",
        "XTRIM <r> ( MAXLEN | MINID ) [ ( = | ~ ) ] <threshold> [ LIMIT <count> ]",
        "XDEL <r> { <id> }",
        "XSETID <r> <newid> [ ENTRIESADDED <count> ] [ MAXDELETEDID <id> ]",
        "XLEN <r>",
        "XRANGE <r> <bound-id> <bound-id> [ COUNT <count> ]",
        "XREVRANGE <r> <bound-id> <bound-id> [ COUNT <count> ]",
        "XREAD [ COUNT <count> ] STREAMS ( <r> <id> | <r> <r> <id> <id> | <r> + | <r> <r> $ 0 )",
        "XREAD [ COUNT <count> ] BLOCK <patience-ms> STREAMS ( <r> <id> | <r> <r> <id> <id> | <r> + | <r> <r> $ 0 )",
        "XREADGROUP GROUP <group> <consumer> [ COUNT <count> ] [ NOACK ] STREAMS <r> ( > | <id> )",
        "XREADGROUP GROUP <group> <consumer> BLOCK <patience-ms> [ NOACK ] STREAMS <r> ( > | <id> )",
        "XREADGROUP GROUP <group> <consumer> [ COUNT <count> ] STREAMS <r> >",
        "XREADGROUP GROUP <group> <consumer> COUNT 2 STREAMS <r> <r> ( > > | > 0 | $ <id> )",
        "XACK <r> <group> { <id> }",
        "XPENDING <r> <group>",
        "XPENDING <r> <group> <bound-id> <bound-id> <count> [ <consumer> ]",
        "XCLAIM <r> <group> <consumer> 0 { <id> } [ RETRYCOUNT <count> ] [ FORCE ] [ JUSTID ] [ LASTID <id> ]",
        "XCLAIM <r> <group> <consumer> 0 { <id> } [ TIME ( 0 | 1000 | -1 | x ) ] [ FORCE ] [ RETRYCOUNT <count> ] [ JUSTID ]",
        "XCLAIM <r> <group> <consumer> <idle> { <id> } [ IDLE <idle> ] [ JUSTID ]",
        "XAUTOCLAIM <r> <group> <consumer> 0 <bound-id> [ COUNT <count> ] [ JUSTID ]",
        "XGROUP CREATE <r> <group> ( $ | <id> ) [ MKSTREAM ] [ ENTRIESREAD <count> ]",
        "XGROUP CREATE <r> <group> 0 MKSTREAM",
        "XGROUP SETID <r> <group> ( $ | <id> ) [ ENTRIESREAD <count> ]",
        "XGROUP CREATECONSUMER <r> <group> <consumer>",
        "XGROUP DELCONSUMER <r> <group> <consumer>",
        "XGROUP DESTROY <r> other",
        "XINFO GROUPS <r>",
        "XINFO STREAM <r>",
        "XINFO CONSUMERS <r> <group>",
        "XINFO STREAM <r> FULL [ COUNT <count> ]",
        "COPY <r> <r> [ REPLACE ]",
    ],
    keys: &[KeySort::new("r", "XINFO STREAM").with(" FULL COUNT 0")],
    word: |what, dice| {
        let number = |dice: &mut Dice, most: usize| format!("{}", dice.below(most));
        Some(match what {
            // Mostly behind the last one, and never from the clock.
            "newid" => match dice.below(12) {
                0 => dice
                    .pick(&["0-0", "0-*", "x", "5-", "18446744073709551615", "1-1-1", "-", "007-1"])
                    .as_bytes()
                    .to_vec(),
                1 => format!("{}-{}", dice.below(60), dice.below(3)).into_bytes(),
                number => format!("{}-*", 40 + number).into_bytes(),
            },
            "id" => match dice.below(10) {
                0 => dice
                    .pick(&["0", "x", "0-0", "-", "+", "(5", "18446744073709551615-18446744073709551615"])
                    .as_bytes()
                    .to_vec(),
                _ => format!("{}-{}", 40 + dice.below(14), dice.below(9)).into_bytes(),
            },
            "bound-id" => match dice.below(10) {
                0..3 => b"-".to_vec(),
                3..6 => b"+".to_vec(),
                6 => dice
                    .pick(&["(0-0", "(-", "(18446744073709551615-18446744073709551615", "(", "x"])
                    .as_bytes()
                    .to_vec(),
                7 => format!("({}-{}", 40 + dice.below(14), dice.below(9)).into_bytes(),
                _ => number(dice, 60).into_bytes(),
            },
            "threshold" => match dice.below(4) {
                0 => dice.pick(&["-1", "x", "1000", "0"]).as_bytes().to_vec(),
                _ => number(dice, 60).into_bytes(),
            },
            "group" => dice.pick(&["group", "group", "group", "other", "nobody"]).as_bytes().to_vec(),
            "consumer" => dice.pick(&["anna", "bert", "carl"]).as_bytes().to_vec(),
            // Nothing is pending for so long, or everything is.
            "idle" => dice.pick(&["0", "-1", "100000000", "x"]).as_bytes().to_vec(),
            _ => return None,
        })
    },
    rule: |name, words| match name {
        "XPENDING" if words.len() > 3 => Some(Rule::Near(10_000)),
        "XINFO" if words.len() > 3 => Some(Rule::Near(10_000)),
        _ => None,
    },
    follow: |command| match command.name() {
        // What a group was given is part of its key here: EXEC behind a WATCH of it is refused, where Valkey overlooks the change.
        "XREADGROUP" | "XACK" | "XCLAIM" | "XAUTOCLAIM" | "XGROUP" | "XSETID" => vec![Command::of("UNWATCH")],
        _ => Vec::new(),
    },
    ours: &[
        ("XDELEX", "Redis 8.2"),
        ("XACKDEL", "Redis 8.2"),
        ("XCFGSET", "Redis 8.6"),
        ("XIDMPRECORD", "Redis 8.6"),
        ("XNACK", "Redis 8.8"),
    ],
    ..Family::NONE
};

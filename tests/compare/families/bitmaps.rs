//! Bitmaps, on strings of their own and on any other.

use super::*;

pub(crate) const FAMILY: Family = Family {
    name: "bitmaps",
    templates: &[
        "SETBIT <b> <bit> ( 0 | 1 | <i> )",
        "SETBIT <b> <bit> ( 0 | 1 )",
        "SETBIT <s> <bit> 1",
        "SETRANGE <b> <index> <v>",
        "GETBIT <b> <bit>",
        "BITCOUNT <b> [ <bit> [ <bit> [ ( BYTE | BIT | NIBBLE ) ] ] ]",
        "BITCOUNT <s> <bit> <bit> BIT",
        "BITPOS <b> ( 0 | 1 | <i> ) [ <bit> [ <bit> [ ( BYTE | BIT | BITE ) ] ] ]",
        "BITPOS <b> ( 0 | 1 ) <bit> <bit> ( BYTE | BIT )",
        "BITOP ( AND | OR | XOR ) <b> { <b> }",
        "BITOP ( AND | or | XOR | NOT | NAND ) ( <b> | <s> ) <b> <s>",
        "BITOP NOT <b> <b>",
        "BITFIELD <b> { GET <width> <field> }",
        "BITFIELD <b> { [ OVERFLOW ( WRAP | SAT | FAIL | NONE ) ] ( GET <width> <field> | SET <width> <field> <i> | INCRBY <width> <field> <i> ) }",
        "BITFIELD <b> [ OVERFLOW ( SAT | FAIL ) ] { INCRBY <width> <field> <i> }",
        "BITFIELD <s> SET <width> <field> <i>",
        "BITFIELD_RO <b> { GET <width> <field> } [ SET u8 0 1 ]",
    ],
    keys: &[KeySort::new("b", "GET")],
    word: |what, dice| match what {
        // Around the ends of bytes and of chunks; the last lets a string be of many megabytes, so it comes seldom.
        "bit" => Some(match dice.below(12) {
            0 => dice.pick(&["131071", "131072", "131080", "262143", "x", "4294967296", "01"]).as_bytes().to_vec(),
            1 => dice.pick(&["-1", "-8", "-9", "-100", "-9223372036854775808"]).as_bytes().to_vec(),
            _ => format!("{}", dice.below(200)).into_bytes(),
        }),
        "width" => Some(match dice.below(8) {
            0 => dice.pick(&["i64", "u63", "u64", "i65", "i0", "u1", "i1", "x8", "u", "", "u08"]).as_bytes().to_vec(),
            _ => format!("{}{}", dice.pick(&["i", "u"]), 1 + dice.below(63)).into_bytes(),
        }),
        "field" => Some(match dice.below(12) {
            0 => {
                dice.pick(&["#-1", "#", "-1", "x", "131070", "#2048", "4294967296", "#99999999999"]).as_bytes().to_vec()
            }
            1..4 => format!("#{}", dice.below(20)).into_bytes(),
            _ => format!("{}", dice.below(200)).into_bytes(),
        }),
        _ => None,
    },
    follow: |command| match command.name() {
        // If all changes are refused, valkey-server has the string grown to where they would have ended, and tells nobody who watches it; here EXEC is
        // refused, as behind any change.
        "BITFIELD" if command.words().iter().any(|word| word.eq_ignore_ascii_case(b"FAIL")) => {
            vec![Command::of("UNWATCH")]
        }
        _ => Vec::new(),
    },
    ..Family::NONE
};

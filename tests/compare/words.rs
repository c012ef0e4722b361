//! Random words that commands of several families take.

use crate::harness::Dice;

/// Something random of a sort; `None`: that is a family's.
pub(crate) fn word(what: &str, dice: &mut Dice) -> Option<Vec<u8>> {
    Some(match what {
        // Fields and members.
        "f" | "m" => match dice.below(24) {
            0 => Vec::new(),
            1 => b"a member that is longer than what is kept in a small encoding, by a few bytes".to_vec(),
            2 => b"\x00\xff\r\n".to_vec(),
            number if number < 12 => format!("{}", number - 3).into_bytes(),
            number => vec![b'a' + u8::try_from(number - 12).expect("below 12")],
        },
        "v" => value(dice),
        "i" => integer(dice),
        "index" => format!("{}", i64::try_from(dice.below(12)).expect("small") - 6).into_bytes(),
        "offset" => format!("{}", i64::try_from(dice.below(8)).expect("small") - 3).into_bytes(),
        "float" => float(dice),
        "score" => match dice.below(3) {
            0 => float(dice),
            _ => format!("{}", dice.below(10)).into_bytes(),
        },
        // Behind any command.
        "word" => stray(dice),
        _ => {
            let choices: &[&str] = match what {
                "count" => &["0", "1", "2", "3", "5", "10", "-1", "-3", "100"],
                "seconds" => &[
                    "1000",
                    "5000",
                    "100000",
                    "0",
                    "-1",
                    "9223372036854775807",
                    "-9223372036854775808",
                    "1e3",
                    "9223372036854775",
                ],
                "ms" => &["1000000", "5000000", "0", "-1", "9223372036854775807", "x"],
                // How long to wait for what is not there: never for ever, nor for longer than a test may take.
                "patience" => &["0.001", "0.001", "0.001", "0.002", "1e-3", "0x1p-9", "-1", "nan", "x", "1e30", "-0.5"],
                "patience-ms" => &["1", "1", "1", "2", "-1", "x", "1.5", "9223372036854775807"],
                "pattern" => &["*", "s*", "?0", "[hl]1", "[^s]*", "*1", "", "\\s0", "[a-", "n[0-9]"],
                _ => return None,
            };
            dice.pick(choices).as_bytes().to_vec()
        }
    })
}

fn value(dice: &mut Dice) -> Vec<u8> {
    match dice.below(12) {
        0 => Vec::new(),
        1 => b"a value that is too long for the embedded encoding of strings".to_vec(),
        2 => vec![b'x'; 70],
        3 => b"\x00\x01\xfe\xff".to_vec(),
        4 | 5 => integer(dice),
        6 => float(dice),
        7 => vec![b'y'; 300 + dice.below(3000)],
        number => format!("value {number}").into_bytes(),
    }
}

fn integer(dice: &mut Dice) -> Vec<u8> {
    let absurd = [
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "-9223372036854775807",
        "4611686018427387904",
        "007",
        "+1",
        "-0",
        " 1",
        "1 ",
        "1.0",
        "",
        "one",
        "99999999999999999999999",
    ];
    match dice.below(6) {
        0 => dice.pick(&absurd).as_bytes().to_vec(),
        _ => format!("{}", i64::try_from(dice.below(40)).expect("small") - 15).into_bytes(),
    }
}

fn float(dice: &mut Dice) -> Vec<u8> {
    let absurd = [
        "inf",
        "-inf",
        "+inf",
        "infinity",
        "nan",
        "1e308",
        "-1e308",
        "1e-320",
        "1e400",
        "0.1",
        "0.2",
        "3.0e3",
        "-0.0",
        "-0",
        "1e17",
        "1e21",
        "123456789012345678",
        "0.30000000000000004",
        "1.",
        ".5",
        "5.",
        "",
        "1e",
        " 1",
        "1,5",
        "9007199254740993",
        "4611686018427387904",
        "9223372036854775808",
        "1e-7",
        "123456.789e3",
    ];
    match dice.below(3) {
        0 => dice.pick(&absurd).as_bytes().to_vec(),
        1 => format!("{}", i64::try_from(dice.below(200)).expect("small") - 100).into_bytes(),
        _ => format!("{}.{}", dice.below(100), dice.below(10_000)).into_bytes(),
    }
}

fn stray(dice: &mut Dice) -> Vec<u8> {
    let words = [
        "",
        "0",
        "-1",
        "1",
        "x",
        "NX",
        "XX",
        "GT",
        "LT",
        "EX",
        "KEEPTTL",
        "COUNT",
        "WITHSCORES",
        "LIMIT",
        "GET",
        "CH",
        "INCR",
        "MATCH",
        "LEFT",
        "RIGHT",
        "s0",
        "h1",
        "9223372036854775807",
        "1.5",
        "nan",
        "withscores",
        "REPLACE",
        "DB",
    ];
    dice.pick(&words).as_bytes().to_vec()
}

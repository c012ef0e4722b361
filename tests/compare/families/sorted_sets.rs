//! Sorted sets. Those at `x` have equal scores: only of those is an order by name promised, so nothing absurd is added to them.

use super::*;

pub(crate) const FAMILY: Family = Family {
    name: "sorted_sets",
    templates: &[
        "ZADD <z> { <score> <m> }",
        "ZADD <z> { <score> <m> }",
        "ZADD <z> [ ( NX | XX ) ] [ ( GT | LT ) ] [ CH ] [ INCR ] <score> <m>",
        "ZADD <z> [ XX ] [ CH ] { <score> <m> }",
        "= ZADD <x> 0 a 0 b 0 c 0 d 0 e",
        "= ZADD <x> { 0 <m> }",
        "ZREM <x> <m>",
        "ZINCRBY <z> <float> <m>",
        "ZSCORE <z> <m>",
        "ZMSCORE <z> { <m> }",
        "ZCARD <z>",
        "ZCOUNT <z> <bound> <bound>",
        "ZLEXCOUNT <x> <lex> <lex>",
        "ZRANK <z> <m> [ WITHSCORE ]",
        "ZREVRANK <z> <m> [ WITHSCORE ]",
        "ZREM <z> { <m> }",
        "ZREMRANGEBYRANK <z> <index> <index>",
        "ZREMRANGEBYSCORE <z> <bound> <bound>",
        "ZREMRANGEBYLEX <x> <lex> <lex>",
        "ZRANGE <z> <index> <index> [ REV ] [ WITHSCORES ]",
        "ZRANGE <z> <bound> <bound> BYSCORE [ REV ] [ LIMIT <offset> <count> ] [ WITHSCORES ]",
        "ZRANGE <x> <lex> <lex> BYLEX [ REV ] [ LIMIT <offset> <count> ]",
        "ZREVRANGE <z> <index> <index> [ WITHSCORES ]",
        "ZRANGEBYSCORE <z> <bound> <bound> [ WITHSCORES ] [ LIMIT <offset> <count> ]",
        "ZREVRANGEBYSCORE <z> <bound> <bound> [ WITHSCORES ] [ LIMIT <offset> <count> ]",
        "ZRANGEBYLEX <x> <lex> <lex> [ LIMIT <offset> <count> ]",
        "ZREVRANGEBYLEX <x> <lex> <lex> [ LIMIT <offset> <count> ]",
        "ZRANGESTORE <z> <z> <index> <index> [ REV ]",
        "ZRANGESTORE <z> <z> <bound> <bound> BYSCORE [ REV ] [ LIMIT <offset> <count> ]",
        "ZRANGESTORE <z> <x> <lex> <lex> BYLEX [ REV ] [ LIMIT <offset> <count> ]",
        "ZUNION ( 1 <z> | 3 <z> <t> <z> | <i> <z> ) [ WITHSCORES ]",
        "ZINTER ( 1 <t> | 3 <z> <t> <z> | <i> <z> ) [ AGGREGATE MAX ] [ WITHSCORES ]",
        "ZDIFF ( 1 <t> | 3 <z> <t> <z> | <i> <z> ) [ WITHSCORES ]",
        "ZPOPMIN <z> [ <count> ]",
        "ZPOPMAX <z> [ <count> ]",
        "ZMPOP ( 1 <z> | 2 <z> <z> | <i> <z> ) ( MIN | MAX ) [ COUNT <i> ]",
        "BZPOPMIN { <z> } <patience>",
        "BZPOPMAX { <z> } <patience>",
        "BZMPOP <patience> ( 1 <z> | 2 <z> <z> | <i> <z> ) ( MIN | MAX ) [ COUNT <i> ]",
        "ZRANDMEMBER <z> [ <count> [ WITHSCORES ] ]",
        "ZUNION 2 <z> <z> [ WEIGHTS <float> <score> ] [ AGGREGATE ( SUM | MIN | MAX ) ] [ WITHSCORES ]",
        "ZINTER 2 <z> <t> [ WEIGHTS <score> <score> ] [ AGGREGATE ( SUM | MIN | MAX ) ] [ WITHSCORES ]",
        "ZDIFF 2 <z> <z> [ WITHSCORES ]",
        "ZUNIONSTORE <z> 2 <z> <t> [ WEIGHTS <score> <float> ] [ AGGREGATE ( SUM | MIN | MAX ) ]",
        "ZINTERSTORE <z> 2 <z> <z> [ WEIGHTS <score> <score> ] [ AGGREGATE ( SUM | MIN | MAX ) ]",
        "ZDIFFSTORE <z> ( 1 <z> | 2 <z> <z> | <i> <z> )",
        "ZINTERCARD ( 1 <z> | 2 <z> <z> | <i> <z> ) [ LIMIT <count> ]",
        "ZSCAN <z> 0 COUNT 1000 [ MATCH <pattern> ]",
        "ZSCAN <z> <count> [ MATCH <pattern> ] [ COUNT <i> ] [ ( NOSCORES | NOVALUES ) ]",
    ],
    keys: &[
        KeySort::new("z", "ZRANGE").with(" 0 -1 WITHSCORES"),
        KeySort::new("x", "ZRANGE").with(" 0 -1 WITHSCORES").of_its_own(),
    ],
    word,
    rule,
    ..Family::NONE
};

fn word(what: &str, dice: &mut Dice) -> Option<Vec<u8>> {
    Some(match what {
        "lex" => dice.pick(&["-", "+", "[a", "(a", "[c", "(e", "[zz", "[", "(", "[1", "a"]).as_bytes().to_vec(),
        "bound" => bound(dice),
        _ => return None,
    })
}

fn bound(dice: &mut Dice) -> Vec<u8> {
    match dice.below(6) {
        0 => b"-inf".to_vec(),
        1 => b"+inf".to_vec(),
        2 => format!("({}", dice.below(10)).into_bytes(),
        3 => dice.pick(&["inf", "(inf", "(-inf", "nan", "(", "", "[1", "(1e400", "x"]).as_bytes().to_vec(),
        _ => format!("{}", dice.below(10)).into_bytes(),
    }
}

fn rule(name: &str, words: &[&[u8]]) -> Option<Rule> {
    match name {
        "ZRANDMEMBER" => Some(Rule::Shape),
        "ZSCAN" => Some(Rule::of_walk(words, 2, 2)),
        _ => name.trim_start_matches('B').starts_with('Z').then_some(Rule::Scores),
    }
}

//! HyperLogLogs. Their bytes are compared, with the last estimate in them.

use super::*;

pub(crate) const FAMILY: Family = Family {
    name: "hyperloglogs",
    templates: &[
        "PFADD <p>",
        "PFADD <p> { <m> }",
        "PFADD <p> { <element> }",
        "PFADD <p> <element> <element> <element> <element> <element> <element> <element> <element> <element> <element>",
        "PFCOUNT <p>",
        "PFCOUNT { <p> }",
        "PFMERGE <p> { <p> }",
        "PFMERGE <p>",
        "PFDEBUG ( ENCODING | DECODE | TODENSE | NOSUCH ) <p>",
        "PFDEBUG GETREG <p>",
        "DEL <p>",
    ],
    without_template: &[("PFSELFTEST", "takes its time; it has a golden script")],
    // What other commands make of such bytes is no sketch, as a rule.
    keys: &[KeySort::new("p", "GET").of_its_own()],
    word: |what, dice| match what {
        "element" => Some(format!("{}", dice.below(3000)).into_bytes()),
        _ => None,
    },
    ..Family::NONE
};

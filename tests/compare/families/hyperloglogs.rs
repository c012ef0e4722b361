//! HyperLogLogs. Their bytes are compared by GETRANGE, without those in which valkey-server keeps the last estimate.

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
    // The count that valkey-server writes into the first 16 bytes as PFCOUNT asks is not seen; elsewhere it would be.
    keys: &[KeySort::new("p", "GETRANGE").with(" 16 -1").of_its_own()],
    word: |what, dice| match what {
        "element" => Some(format!("{}", dice.below(3000)).into_bytes()),
        _ => None,
    },
    ..Family::NONE
};

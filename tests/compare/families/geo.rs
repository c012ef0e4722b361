//! Places, in sorted sets of their own and in any other.

use super::*;

pub(crate) const FAMILY: Family = Family {
    name: "geo",
    templates: &[
        "GEOADD <g> { <lon> <lat> <place> }",
        "GEOADD <g> { <lon> <lat> <place> }",
        "GEOADD <g> [ ( NX | XX ) ] [ CH ] { <lon> <lat> <place> }",
        "ZADD <g> <score> <m>",
        "ZREM <g> { <place> }",
        "GEOPOS <g> { <place> }",
        "GEOPOS <z> { <m> }",
        "GEOHASH <g> { <place> }",
        "GEODIST <g> <place> <place> [ <unit> ]",
        "GEOSEARCH <g> ( FROMLONLAT <lon> <lat> | FROMMEMBER <place> ) ( BYRADIUS <size> <unit> | BYBOX <size> <size> <unit> ) [ ( ASC | DESC ) ] [ COUNT <i> [ ANY ] ] [ WITHCOORD ] [ WITHDIST ] [ WITHHASH ]",
        "GEOSEARCH <g> ( BYRADIUS <size> <unit> | BYBOX <size> <size> <unit> ) ( FROMLONLAT <lon> <lat> | FROMMEMBER <place> ) [ WITHDIST ]",
        "GEOSEARCH <g> BYPOLYGON 3 <lon> <lat> <lon> <lat> <lon> <lat> ( ASC | DESC ) [ COUNT <i> ] [ WITHDIST ]",
        "GEOSEARCH <g> BYPOLYGON 5 <lon> <lat> <lon> <lat> <lon> <lat> <lon> <lat> <lon> <lat> ASC [ WITHCOORD ] [ WITHHASH ]",
        "GEOSEARCH <g> BYPOLYGON <i> <lon> <lat> <lon> <lat> <lon> <lat> ASC",
        "GEOSEARCH <g> BYPOLYGON 4 <lon> <lat> <lon> <lat> <lon> <lat> <lon> <lat>",
        "GEOSEARCH <g> BYPOLYGON 3 <date> <lat> <date> <lat> <date> <lat> [ ( ASC | DESC ) ] [ COUNT <i> [ ANY ] ]",
        "GEOSEARCHSTORE <g> <g> ( FROMLONLAT <lon> <lat> | FROMMEMBER <place> ) ( BYRADIUS <size> <unit> | BYBOX <size> <size> <unit> ) [ COUNT <i> ]",
        "GEOSEARCHSTORE <y> <g> FROMLONLAT <lon> <lat> BYBOX <size> <size> <unit> [ COUNT <i> ] STOREDIST",
        "GEOSEARCHSTORE <y> <g> BYPOLYGON 3 <lon> <lat> <lon> <lat> <lon> <lat> [ STOREDIST ]",
        "GEORADIUS <g> <lon> <lat> <size> <unit> [ WITHCOORD ] [ WITHDIST ] [ WITHHASH ] [ COUNT <i> [ ANY ] ] [ ( ASC | DESC ) ]",
        "GEORADIUS <g> <lon> <lat> <size> <unit> [ ( STORE <g> | STOREDIST <y> ) ] [ COUNT <i> ]",
        "GEORADIUS_RO <g> <lon> <lat> <size> <unit> [ WITHDIST ] [ COUNT <i> ] [ STORE <g> ]",
        "GEORADIUSBYMEMBER <g> <place> <size> <unit> [ WITHDIST ] [ COUNT <i> ] [ ( ASC | DESC ) ]",
        "GEORADIUSBYMEMBER <g> <place> <size> <unit> ( STORE <g> | STOREDIST <y> )",
        "GEORADIUSBYMEMBER_RO <g> <place> <size> <unit> [ WITHCOORD ] [ WITHHASH ] [ COUNT <i> [ ANY ] ]",
    ],
    // The sines of libm and of valkey-server's C library may differ in the last of 53 bits: distances that are stored as scores show that, so
    // of those only the order is compared.
    keys: &[
        KeySort::new("g", "ZRANGE").with(" 0 -1 WITHSCORES"),
        KeySort::new("y", "ZRANGE").with(" 0 -1").of_its_own(),
    ],
    word: |what, dice| match what {
        "place" => Some(format!("place{}", dice.below(30)).into_bytes()),
        "unit" => Some(dice.pick(&["m", "km", "KM", "ft", "mi", "Mi", "km", "km", "yd"]).as_bytes().to_vec()),
        // Mostly within one region, so that something is found; no two alike, since what is equally far comes in any order.
        "lon" => Some(coordinate(dice, 10, &["180", "-180", "180.0001", "x", "nan", "-179.999999", "0"])),
        "lat" => Some(coordinate(dice, 40, &["85.05112878", "-85.05112878", "85.06", "90", "0", "84.9", "-inf"])),
        // On both sides of the meridian of 180 degrees, and not around a pole: where the middle is too near to it, valkey-server searches in a cell
        // that memory happens to hold.
        "date" => {
            Some(format!("{}{}.{:06}", dice.pick(&["", "-"]), 100 + dice.below(80), dice.below(1_000_000)).into_bytes())
        }
        "size" => Some(match dice.below(12) {
            0 => dice.pick(&["0", "-1", "x", "inf", "1e400", "0.001", "25000", "1e9"]).as_bytes().to_vec(),
            1..4 => format!("{}", dice.below(9000)).into_bytes(),
            _ => format!("{}.{}", dice.below(900), dice.below(1000)).into_bytes(),
        }),
        _ => None,
    },
    ..Family::NONE
};

fn coordinate(dice: &mut Dice, around: usize, absurd: &[&'static str]) -> Vec<u8> {
    match dice.below(40) {
        0 => dice.pick(absurd).as_bytes().to_vec(),
        1..4 => format!("-{}.{:06}", dice.below(80), dice.below(1_000_000)).into_bytes(),
        4..8 => format!("{}.{:06}", dice.below(80), dice.below(1_000_000)).into_bytes(),
        _ => format!("{}.{:06}", around + dice.below(8), dice.below(1_000_000)).into_bytes(),
    }
}

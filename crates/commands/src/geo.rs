//! Places: members of sorted sets whose scores are coordinates. Searches have a file of their own.

mod search;

use keyspace::{Context, Keyspace, Position, SortedSetValue};
use resp::Reply;

use crate::args::Args;
use crate::error::{CommandError, CommandResult, GeoError};
use crate::sorted_sets::{AddOptions, add};
use crate::spec::{Arity::*, KeyUse, Keys, Spec};

const ONE: Keys = Keys::One(1);

#[rustfmt::skip]
pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("GEOADD",               AtLeast(5), ONE, geoadd,  "Adds places to a sorted set, or moves them.").denyoom(),
    Spec::read ("GEOPOS",               AtLeast(2), ONE, geopos,  "Returns the coordinates of members."),
    Spec::read ("GEOHASH",              AtLeast(2), ONE, geohash, "Returns the geohashes of members."),
    Spec::read ("GEODIST",              AtLeast(4), ONE, geodist, "Returns the distance between two members."),
    Spec::read ("GEOSEARCH",            AtLeast(7), ONE, search::geosearch, "Returns the members within a circle, a box or a polygon."),
    Spec::write("GEOSEARCHSTORE",       AtLeast(8), Keys::Range { first: 1, last: 2, step: 1 }, search::geosearchstore, "Stores the members that GEOSEARCH would return.").denyoom().uses(&[KeyUse::OVERWRITE, KeyUse::READ]),
    Spec::write("GEORADIUS",            AtLeast(6), search::STORED_BY_RADIUS, search::georadius, "Returns the members within a distance from coordinates, or stores them.").denyoom().uses(search::STORED_USES),
    Spec::write("GEORADIUSBYMEMBER",    AtLeast(5), search::STORED_BY_MEMBER, search::georadiusbymember, "Returns the members within a distance from a member, or stores them.").denyoom().uses(search::STORED_USES),
    Spec::read ("GEORADIUS_RO",         AtLeast(6), ONE, search::georadius_ro, "Returns the members within a distance from coordinates."),
    Spec::read ("GEORADIUSBYMEMBER_RO", AtLeast(5), ONE, search::georadiusbymember_ro, "Returns the members within a distance from a member."),
];

/// Takes a longitude and a latitude.
fn position(args: &mut Args<'_>) -> Result<Position, CommandError> {
    let (longitude, latitude) = (args.double()?, args.double()?);
    Position::new(longitude, latitude).ok_or_else(|| GeoError::out_of_range(longitude, latitude).into())
}

/// Takes a unit; its length in metres.
fn unit_m(args: &mut Args<'_>) -> Result<f64, CommandError> {
    const UNITS: [(&str, f64); 4] = [("M", 1.0), ("KM", 1000.0), ("FT", 0.3048), ("MI", 1609.34)];
    let unit = UNITS.into_iter().find(|(name, _)| args.keyword(name));
    unit.map(|(_, metres)| metres).ok_or_else(|| GeoError::UnknownUnit.into())
}

/// Replies with a distance, to four places behind the point.
fn write_distance(distance: f64, reply: &mut Reply) {
    #[expect(clippy::cast_possible_truncation, reason = "no way around the earth is as long; saturates")]
    let scaled = (distance * 10_000.0).round_ties_even() as i64;
    reply.bulk(format!("{}.{:04}", scaled / 10_000, scaled % 10_000));
}

fn write_position(position: Position, reply: &mut Reply) {
    reply.array(2);
    for degrees in [position.longitude, position.latitude] {
        let places = format!("{degrees:.17}");
        let text = places.trim_end_matches('0').trim_end_matches('.');
        reply.double(if text == "-0" { "0" } else { text });
    }
}

fn geoadd(keyspace: &mut Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    let options = AddOptions::parse_for_places(args);
    let count = args.remaining() / 3;
    if !args.remaining().is_multiple_of(3) || options.only_new && options.only_present {
        return Err(CommandError::Syntax);
    }
    let mut pairs = Vec::with_capacity(count);
    while !args.is_empty() {
        pairs.push((position(args)?.to_score(), args.bytes()?));
    }
    if pairs.is_empty() {
        return Err(CommandError::Syntax);
    }
    add(keyspace, context, key, &options, &pairs, reply)
}

/// Replies for each member that is left in the arguments, with its place if it is there.
fn write_places(
    keyspace: &Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
    write: fn(Option<Position>, &mut Reply),
) -> CommandResult {
    let (key, members) = (args.bytes()?, args.take_rest());
    let set = keyspace.read::<SortedSetValue>(context, key)?;
    reply.array(members.clone().count());
    for member in members {
        write(set.and_then(|set| set.score(member)).map(Position::of_score), reply);
    }
    Ok(())
}

fn geopos(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    write_places(keyspace, args, context, reply, |place, reply| match place {
        Some(place) => write_position(place, reply),
        None => reply.null_array(),
    })
}

fn geohash(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    write_places(keyspace, args, context, reply, |place, reply| match place {
        Some(place) => reply.bulk(place.to_geohash()),
        None => reply.null(),
    })
}

fn geodist(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let (key, from, to) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let unit_m = match args.remaining() {
        0 => 1.0,
        1 => unit_m(args)?,
        _ => return Err(CommandError::Syntax),
    };
    let set = keyspace.read::<SortedSetValue>(context, key)?;
    let place = |member| set.and_then(|set| set.score(member)).map(Position::of_score);
    match (place(from), place(to)) {
        (Some(from), Some(to)) => write_distance(from.distance_m(to) / unit_m, reply),
        _ => reply.null(),
    }
    Ok(())
}

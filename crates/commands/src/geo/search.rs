//! GEOSEARCH and GEORADIUS, and what they store.

use keyspace::{Context, Found, Keyspace, Position, Search, Shape, SortedSetValue, parse_integer};
use resp::{Arguments, Reply};

use super::{position, unit_m, write_distance, write_position};
use crate::args::Args;
use crate::error::{CommandError, CommandResult, GeoError};
use crate::spec::{KeyPlaces, KeyUse, Keys, KeywordKeys};

/// GEORADIUS may name a destination behind the unit, GEORADIUSBYMEMBER one place earlier.
pub(super) const STORED_BY_RADIUS: Keys =
    Keys::Keywords(&KeywordKeys { first: 1, keywords: &["STORE", "STOREDIST"], from: 6, find: find_stored });
pub(super) const STORED_BY_MEMBER: Keys =
    Keys::Keywords(&KeywordKeys { first: 1, keywords: &["STORE", "STOREDIST"], from: 5, find: find_stored });
const DESTINATION: KeyUse = KeyUse::OVERWRITE.with(KeyUse::VARIABLE);
pub(super) const STORED_USES: &[KeyUse] = &[KeyUse::READ, DESTINATION, DESTINATION];

/// The source, and the last destination.
fn find_stored(arguments: Arguments<'_>) -> Option<KeyPlaces> {
    let (mut at, mut stored) = (5, None);
    while let Some(word) = arguments.get(at) {
        let is_store = ["STORE", "STOREDIST"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword.as_bytes()));
        if is_store && at + 1 < arguments.len() {
            at += 1;
            stored = Some(at);
        }
        at += 1;
    }
    let (next, end) = stored.map_or((0, 0), |stored| (stored, stored + 1));
    Some(KeyPlaces { also: Some(1), next, end, step: 1 })
}

/// The forms of a search.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// GEORADIUS: coordinates and a radius. Whether it may store.
    Coordinates(bool),
    /// GEORADIUSBYMEMBER: a member and a radius. Likewise.
    Member(bool),
    /// GEOSEARCH: everything is an option.
    Options,
    /// GEOSEARCHSTORE: the destination, the source, then options.
    OptionsStored,
}

impl Form {
    fn has_shape_options(self) -> bool {
        matches!(self, Self::Options | Self::OptionsStored)
    }

    fn may_store(self) -> bool {
        matches!(self, Self::Coordinates(true) | Self::Member(true))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Nearest,
    Farthest,
}

/// Where a search begins.
#[derive(Clone, Copy)]
enum From {
    Coordinates(Position),
    /// `None`: there is no source key, so there is no member.
    Member(Option<Position>),
}

/// What is to be found.
enum By {
    /// A circle or a box, and the metres of its unit.
    Shape(Shape, f64),
    Polygon(Vec<Position>),
}

/// Everything that the arguments say.
struct Query<'a> {
    form: Form,
    from: Option<From>,
    by: Option<By>,
    with_distance: bool,
    with_hash: bool,
    with_position: bool,
    order: Option<Order>,
    count: usize,
    any: bool,
    /// The destination, and whether distances become its scores.
    store: Option<(&'a [u8], bool)>,
}

impl<'a> Query<'a> {
    fn new(form: Form, store: Option<&'a [u8]>) -> Self {
        Self {
            form,
            from: None,
            by: None,
            with_distance: false,
            with_hash: false,
            with_position: false,
            order: None,
            count: 0,
            any: false,
            store: store.map(|key| (key, false)),
        }
    }

    /// Takes what stands before the options.
    fn parse_head(&mut self, args: &mut Args<'a>, source: Option<&SortedSetValue>) -> CommandResult {
        match self.form {
            Form::Coordinates(_) => {
                self.from = Some(From::Coordinates(position(args)?));
                self.by = Some(circle(args)?);
            }
            Form::Member(_) => {
                self.from = Some(member(args.bytes()?, source)?);
                if source.is_some() {
                    self.by = Some(circle(args)?);
                } else {
                    // redis: geo.c georadiusGeneric does not look at them then.
                    args.bytes()?;
                    args.bytes()?;
                }
            }
            Form::Options | Form::OptionsStored => {}
        }
        Ok(())
    }

    fn parse_options(&mut self, args: &mut Args<'a>, source: Option<&SortedSetValue>) -> CommandResult {
        while !args.is_empty() {
            match () {
                () if args.keyword("WITHDIST") => self.with_distance = true,
                () if args.keyword("WITHHASH") => self.with_hash = true,
                () if args.keyword("WITHCOORD") => self.with_position = true,
                () if args.keyword("ANY") => self.any = true,
                () if args.keyword("ASC") => self.order = Some(Order::Nearest),
                () if args.keyword("DESC") => self.order = Some(Order::Farthest),
                () if args.remaining() > 1 && args.keyword("COUNT") => self.count = count(args)?,
                () if self.form.has_shape_options() => self.parse_shape_option(args, source)?,
                () if self.form.may_store() && args.keyword("STORE") => self.store = Some((args.bytes()?, false)),
                () if self.form.may_store() && args.keyword("STOREDIST") => self.store = Some((args.bytes()?, true)),
                () => return Err(CommandError::Syntax),
            }
        }
        Ok(())
    }

    /// Takes an option of GEOSEARCH or GEOSEARCHSTORE.
    fn parse_shape_option(&mut self, args: &mut Args<'a>, source: Option<&SortedSetValue>) -> CommandResult {
        let left = args.remaining();
        let is_polygon = matches!(self.by, Some(By::Polygon(_)));
        let is_around = |from: &Option<From>, is_member| match from {
            None => !is_polygon,
            Some(From::Member(_)) => is_member,
            Some(From::Coordinates(_)) => !is_member,
        };
        let (is_circle, is_box) = match &self.by {
            Some(By::Shape(shape, _)) => (matches!(shape, Shape::Circle { .. }), matches!(shape, Shape::Box { .. })),
            _ => (false, false),
        };
        match () {
            () if self.form == Form::OptionsStored && args.keyword("STOREDIST") => {
                self.store = self.store.map(|(key, _)| (key, true));
            }
            () if left > 1 && is_around(&self.from, true) && args.keyword("FROMMEMBER") => {
                self.from = Some(member(args.bytes()?, source)?);
            }
            () if left > 2 && is_around(&self.from, false) && args.keyword("FROMLONLAT") => {
                self.from = Some(From::Coordinates(position(args)?));
            }
            () if left > 2 && !is_box && !is_polygon && args.keyword("BYRADIUS") => self.by = Some(circle(args)?),
            () if left > 3 && !is_circle && !is_polygon && args.keyword("BYBOX") => self.by = Some(rectangle(args)?),
            () if left > 2 && self.from.is_none() && !is_circle && !is_box && args.keyword("BYPOLYGON") => {
                self.by = Some(polygon(args)?);
            }
            () => return Err(CommandError::Syntax),
        }
        Ok(())
    }

    /// Refuses what does not go together. The name of the command is as the client wrote it.
    fn check(&self, name: &[u8]) -> CommandResult {
        let is_polygon = matches!(self.by, Some(By::Polygon(_)));
        if self.store.is_some() && (self.with_distance || self.with_hash || self.with_position) {
            let who = if self.form.has_shape_options() { "GEOSEARCHSTORE" } else { "STORE option in GEORADIUS" };
            return Err(GeoError::StoreWithMore(who).into());
        }
        if self.form.has_shape_options() && self.from.is_none() && !is_polygon {
            return Err(GeoError::from_nowhere(name).into());
        }
        if self.form.has_shape_options() && self.by.is_none() {
            return Err(GeoError::without_shape(name).into());
        }
        if self.any && self.count == 0 {
            return Err(GeoError::AnyWithoutCount.into());
        }
        Ok(())
    }

    /// What is found in the source, and the metres of the unit.
    fn run(self, source: Option<&SortedSetValue>) -> (Vec<Found>, f64) {
        let (search, unit_m) = match (self.from, self.by) {
            (_, Some(By::Polygon(vertices))) => (Search::within(vertices), 1.0),
            (Some(From::Coordinates(middle) | From::Member(Some(middle))), Some(By::Shape(shape, unit_m))) => {
                (Search::around(middle, shape, unit_m), unit_m)
            }
            _ => return (Vec::new(), 1.0),
        };
        let Some(source) = source else { return (Vec::new(), unit_m) };
        let mut found = search.find(source, if self.any { self.count } else { 0 });
        // A number of them are the nearest, unless any will do.
        let order = self.order.or_else(|| (self.count > 0 && !self.any).then_some(Order::Nearest));
        let by_distance = |left: &Found, right: &Found| left.distance_m.total_cmp(&right.distance_m);
        match order {
            Some(Order::Nearest) => found.sort_by(by_distance),
            Some(Order::Farthest) => found.sort_by(|left, right| by_distance(right, left)),
            None => {}
        }
        if self.count > 0 {
            found.truncate(self.count);
        }
        (found, unit_m)
    }
}

/// The place of a member of the source.
fn member(member: &[u8], source: Option<&SortedSetValue>) -> Result<From, CommandError> {
    let Some(source) = source else { return Ok(From::Member(None)) };
    let score = source.score(member).ok_or_else(|| GeoError::no_such_member(member))?;
    Ok(From::Member(Some(Position::of_score(score))))
}

fn circle(args: &mut Args<'_>) -> Result<By, CommandError> {
    let radius = args.double().map_err(|_| GeoError::NotNumeric("radius"))?;
    if radius < 0.0 {
        return Err(GeoError::Negative("radius").into());
    }
    Ok(By::Shape(Shape::Circle { radius }, unit_m(args)?))
}

fn rectangle(args: &mut Args<'_>) -> Result<By, CommandError> {
    let width = args.double().map_err(|_| GeoError::NotNumeric("width"))?;
    let height = args.double().map_err(|_| GeoError::NotNumeric("height"))?;
    if width < 0.0 || height < 0.0 {
        return Err(GeoError::Negative("height or width").into());
    }
    Ok(By::Shape(Shape::Box { width, height }, unit_m(args)?))
}

fn polygon(args: &mut Args<'_>) -> Result<By, CommandError> {
    let count = parse_integer(args.bytes()?).and_then(|count| i32::try_from(count).ok());
    let count = count.ok_or(GeoError::InvalidVertexCount)?;
    let count = usize::try_from(count).ok().filter(|&count| count >= 3 && count <= args.remaining() / 2);
    let vertices = (0..count.ok_or(GeoError::TooFewVertices)?).map(|_| position(args));
    Ok(By::Polygon(vertices.collect::<Result<_, _>>()?))
}

fn count(args: &mut Args<'_>) -> Result<usize, CommandError> {
    let count = args.integer()?;
    let count = usize::try_from(count).ok().filter(|&count| count > 0);
    count.ok_or_else(|| GeoError::CountNotPositive.into())
}

/// Takes the arguments from the source's key on.
fn parse<'k, 'a>(
    keyspace: &'k Keyspace,
    args: &mut Args<'a>,
    context: &Context,
    form: Form,
) -> Result<(Query<'a>, Option<&'k SortedSetValue>), CommandError> {
    let name = args.name();
    let destination = if form == Form::OptionsStored { Some(args.bytes()?) } else { None };
    // redis: geo.c georadiusGeneric looks at the key before it looks at the options.
    let source = keyspace.read::<SortedSetValue>(context, args.bytes()?)?;
    let mut query = Query::new(form, destination);
    query.parse_head(args, source)?;
    query.parse_options(args, source)?;
    query.check(name)?;
    Ok((query, source))
}

fn answer(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply, form: Form) -> CommandResult {
    let (query, source) = parse(keyspace, args, context, form)?;
    write_found(query, source, reply);
    Ok(())
}

fn write_found(query: Query<'_>, source: Option<&SortedSetValue>, reply: &mut Reply) {
    let (with_distance, with_hash, with_position) = (query.with_distance, query.with_hash, query.with_position);
    let parts = [with_distance, with_hash, with_position].into_iter().filter(|with| *with).count();
    let (found, unit_m) = query.run(source);
    reply.array(found.len());
    for place in found {
        if parts > 0 {
            reply.array(1 + parts);
        }
        reply.bulk(place.member);
        if with_distance {
            write_distance(place.distance_m / unit_m, reply);
        }
        if with_hash {
            #[expect(clippy::cast_possible_truncation, reason = "a score that is no place saturates")]
            reply.integer(place.score as i64);
        }
        if with_position {
            write_position(place.position, reply);
        }
    }
}

fn answer_or_store(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
    form: Form,
) -> CommandResult {
    let settings = *keyspace.settings();
    let (query, source) = parse(keyspace, args, context, form)?;
    let Some((destination, of_distances)) = query.store else {
        write_found(query, source, reply);
        return Ok(());
    };
    let (found, unit_m) = query.run(source);
    let score = |place: &Found| if of_distances { place.distance_m / unit_m } else { place.score };
    let members = found.iter().map(|place| (&place.member, score(place)));
    let stored = SortedSetValue::collect(members, &settings);
    keyspace.put(context, destination, stored.into_value(), None);
    reply.count(found.len());
    Ok(())
}

pub(super) fn geosearch(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    answer(k, args, context, reply, Form::Options)
}

pub(super) fn georadius_ro(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    answer(k, args, context, reply, Form::Coordinates(false))
}

pub(super) fn georadiusbymember_ro(
    keyspace: &Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    answer(keyspace, args, context, reply, Form::Member(false))
}

pub(super) fn geosearchstore(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    answer_or_store(keyspace, args, context, reply, Form::OptionsStored)
}

pub(super) fn georadius(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    answer_or_store(keyspace, args, context, reply, Form::Coordinates(true))
}

pub(super) fn georadiusbymember(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    answer_or_store(keyspace, args, context, reply, Form::Member(true))
}

//! SORT: the elements of a list, set or sorted set in order of themselves or of what stands elsewhere.
//!
//! ```text
//! BY, GET pattern:  w_*          the string at the key that this is with the element for the star
//!                   w_*->field   a field of the hash there
//!                   #            the element itself (GET)
//! ```
//!
//! Texts are compared byte by byte, as valkey-server does in the locale C.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use keyspace::{
    Context, DataError, Keyspace, ListValue, Member, SetValue, SortedSetValue, StringRef, Value, ValueType,
    parse_double,
};
use resp::{Arguments, Reply};

use crate::args::Args;
use crate::error::{CommandError, CommandResult, KeyError};
use crate::spec::KeyPlaces;

type Text<'a> = Cow<'a, [u8]>;

#[derive(Default)]
struct SortOptions<'a> {
    by: Option<&'a [u8]>,
    /// A BY without a star: the order is that of the collection.
    keeps_order: bool,
    get: Vec<&'a [u8]>,
    is_descending: bool,
    is_alphabetic: bool,
    /// How many are left out, and how many are shown if that is not negative.
    limit: Option<(i64, i64)>,
    store: Option<&'a [u8]>,
}

impl<'a> SortOptions<'a> {
    fn parse(args: &mut Args<'a>, may_store: bool) -> Result<Self, CommandError> {
        let mut this = Self::default();
        while !args.is_empty() {
            let values = args.remaining() - 1;
            if args.keyword("ASC") {
                this.is_descending = false;
            } else if args.keyword("DESC") {
                this.is_descending = true;
            } else if args.keyword("ALPHA") {
                this.is_alphabetic = true;
            } else if values >= 2 && args.keyword("LIMIT") {
                this.limit = Some((args.integer()?, args.integer()?));
            } else if may_store && values >= 1 && args.keyword("STORE") {
                this.store = Some(args.bytes()?);
            } else if values >= 1 && args.keyword("BY") {
                let pattern = args.bytes()?;
                this.keeps_order |= !pattern.contains(&b'*');
                this.by = Some(pattern);
            } else if values >= 1 && args.keyword("GET") {
                this.get.push(args.bytes()?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(this)
    }

    /// The places of what is shown, of so many elements.
    fn window(&self, count: usize) -> Range<usize> {
        let (offset, limit) = self.limit.unwrap_or((0, -1));
        let start = usize::try_from(offset.max(0)).unwrap_or(usize::MAX).min(count);
        let shown = usize::try_from(limit).unwrap_or(usize::MAX);
        start..start.saturating_add(shown).min(count)
    }
}

pub(super) fn sort_ro(k: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    let options = SortOptions::parse(args, false)?;
    show(k, context, key, &options, reply)
}

pub(super) fn sort(
    keyspace: &mut Keyspace,
    args: &mut Args<'_>,
    context: &Context,
    reply: &mut Reply,
) -> CommandResult {
    let key = args.bytes()?;
    let options = SortOptions::parse(args, true)?;
    let Some(destination) = options.store else { return show(keyspace, context, key, &options, reply) };
    let elements = sorted(keyspace, context, key, &options)?;
    let outputs = elements.iter().flat_map(|element| outputs(keyspace, context, element, &options.get));
    let list = ListValue::collect(outputs.map(Option::unwrap_or_default), keyspace.settings());
    reply.count(list.len());
    keyspace.put(context, destination, Value::of(list), None);
    Ok(())
}

fn show(
    keyspace: &Keyspace,
    context: &Context,
    key: &[u8],
    options: &SortOptions<'_>,
    reply: &mut Reply,
) -> CommandResult {
    let elements = sorted(keyspace, context, key, options)?;
    reply.array(elements.len() * options.get.len().max(1));
    for element in &elements {
        for output in outputs(keyspace, context, element, &options.get) {
            match output {
                Some(text) => reply.bulk(&text),
                None => reply.null(),
            }
        }
    }
    Ok(())
}

/// What is shown of an element.
fn outputs<'a>(
    keyspace: &'a Keyspace,
    context: &Context,
    element: &'a [u8],
    get: &[&[u8]],
) -> impl Iterator<Item = Option<Text<'a>>> {
    let itself = || Some(Cow::Borrowed(element));
    let alone = get.is_empty().then(itself);
    let each = get.iter().map(
        move |pattern| {
            if *pattern == b"#" { itself() } else { look_up(keyspace, context, pattern, element) }
        },
    );
    alone.into_iter().chain(each)
}

/// What a pattern leads to from an element.
fn look_up<'a>(keyspace: &'a Keyspace, context: &Context, pattern: &[u8], element: &[u8]) -> Option<Text<'a>> {
    let star = pattern.iter().position(|&byte| byte == b'*')?;
    let (before, after) = (&pattern[..star], &pattern[star + 1..]);
    let arrow = after.windows(2).position(|two| two == b"->").filter(|arrow| arrow + 2 < after.len());
    let key = [before, element, &after[..arrow.unwrap_or(after.len())]].concat();
    match arrow {
        None => keyspace.string(context, &key).ok().flatten().map(StringRef::to_bytes),
        Some(arrow) => {
            let hash = keyspace.read_hash(context, &key).ok().flatten()?;
            hash.get(&after[arrow + 2..]).map(|value| Cow::Owned(value.to_vec()))
        }
    }
}

/// The elements that are shown, in order.
fn sorted<'a>(
    keyspace: &'a Keyspace,
    context: &Context,
    key: &[u8],
    options: &SortOptions<'_>,
) -> Result<Vec<Text<'a>>, CommandError> {
    let is_set = keyspace.value_type(context, key) == Some(ValueType::Set);
    // What is stored must not depend on the order of a set, which is nobody's.
    let is_forced = options.keeps_order && is_set && options.store.is_some();
    if options.keeps_order && !is_forced {
        let is_reversed = options.is_descending && !is_set;
        let mut elements = elements(keyspace, context, key, |count| {
            let window = options.window(count);
            if is_reversed { count - window.end..count - window.start } else { window }
        })?;
        if is_reversed {
            elements.reverse();
        }
        return Ok(elements);
    }
    let elements = elements(keyspace, context, key, |count| 0..count)?;
    let by = if is_forced { None } else { options.by };
    let mut weighed = Vec::with_capacity(elements.len());
    for element in elements {
        let weight = match by {
            Some(pattern) => look_up(keyspace, context, pattern, &element),
            None if options.is_alphabetic || is_forced => None,
            None => Some(element.clone()),
        };
        let is_text = options.is_alphabetic || is_forced;
        weighed.push((if is_text { Weight::Text(weight) } else { Weight::number(weight)? }, element));
    }
    weighed.sort_by(|left, right| {
        let order = left.0.compare(&right.0).then_with(|| left.1.cmp(&right.1));
        if options.is_descending { order.reverse() } else { order }
    });
    let window = options.window(weighed.len());
    Ok(weighed.drain(window).map(|(_, element)| element).collect())
}

/// By what an element is ordered, before it is by itself.
enum Weight<'a> {
    Number(f64),
    /// What is not there comes first.
    Text(Option<Text<'a>>),
}

impl Weight<'_> {
    /// What is not there counts as 0. A number ends where a text of C does, at the first zero byte.
    fn number(text: Option<Text<'_>>) -> Result<Self, CommandError> {
        let of_text = |text: Text<'_>| parse_double(text.split(|&byte| byte == 0).next().unwrap_or_default());
        let number = text.map_or(Some(0.0), of_text);
        Ok(Self::Number(number.ok_or(KeyError::WeightNotFloat)?))
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => left.partial_cmp(right).expect("a weight is a number"),
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            _ => unreachable!("all weights of a call are of a sort"),
        }
    }
}

/// The elements of a collection in its own order, those in the range for their count.
fn elements<'a>(
    keyspace: &'a Keyspace,
    context: &Context,
    key: &[u8],
    range: impl Fn(usize) -> Range<usize>,
) -> Result<Vec<Text<'a>>, CommandError> {
    let missing = "the key has a value of its type";
    Ok(match keyspace.value_type(context, key) {
        None => Vec::new(),
        Some(ValueType::List) => {
            let list = keyspace.read::<ListValue>(context, key)?.expect(missing);
            list.range(range(list.len())).map(Cow::Borrowed).collect()
        }
        Some(ValueType::SortedSet) => {
            let set = keyspace.read::<SortedSetValue>(context, key)?.expect(missing);
            set.range(range(set.len())).map(|(member, _)| Cow::Borrowed(member)).collect()
        }
        Some(ValueType::Set) => {
            let set = keyspace.read::<SetValue>(context, key)?.expect(missing);
            let range = range(set.len());
            let members = set.iter().skip(range.start).take(range.len());
            let text = |member| match member {
                Member::Bytes(bytes) => Cow::Borrowed(bytes),
                Member::Digits(digits) => Cow::Owned(digits.to_vec()),
            };
            members.map(text).collect()
        }
        Some(_) => return Err(DataError::WrongType.into()),
    })
}

/// The keys of a call of SORT: the collection, and where the result goes. What BY and GET lead to depends on the data.
pub(super) fn keys_of_sort(arguments: Arguments<'_>) -> Option<KeyPlaces> {
    let mut store = None;
    let mut place = 2;
    while let Some(option) = arguments.get(place) {
        let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
        if is("STORE") && place + 1 < arguments.len() {
            // What follows is looked at again, as Valkey does: the last STORE wins, be it another's destination.
            store = Some(place + 1);
        } else if is("LIMIT") {
            place += 2;
        } else if is("GET") || is("BY") {
            place += 1;
        }
        place += 1;
    }
    let next = store.unwrap_or(arguments.len());
    Some(KeyPlaces { also: Some(1), next, end: (next + 1).min(arguments.len()), step: 1 })
}

/// The key of a call of SORT_RO.
pub(super) fn keys_of_sort_ro(arguments: Arguments<'_>) -> Option<KeyPlaces> {
    Some(KeyPlaces { also: Some(1), next: arguments.len(), end: arguments.len(), step: 1 })
}

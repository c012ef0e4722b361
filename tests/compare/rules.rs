//! How two replies are compared when a server has a choice.

use super::families::FAMILIES;
use crate::harness::Value;

/// How the replies of a command are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Equal.
    Exact,
    /// Equal as numbers: zero has no sign, which valkey-server forgets or keeps by the encoding of the sorted set; and its Grisu2 (fpconv)
    /// now and then prints a digit more than names the number.
    Scores,
    /// Equal up to the order of its elements.
    AnyOrder,
    /// Equal up to the order of its pairs.
    AnyOrderOfPairs,
    /// A step of a walk that shows everything at once: what is behind the cursor in any order, by so many at a time, and numbers as numbers.
    Page(usize),
    /// Times: at most so far from each other.
    Close(i64),
    /// Equal, but that integers, being times, may be so far from each other.
    Near(i64),
    /// Of the same shape: which elements is the server's choice.
    Shape,
    /// Equal, but where an element has a zero byte: valkey-server compares texts by strcoll, which ends there, so that some are equal and
    /// come in any order. Where elements are not shown nobody knows.
    Collated {
        /// Whether the reply has the elements themselves.
        shows_elements: bool,
    },
    /// Anything but an error where there is none.
    Anything,
    /// Equal, but that encodings of strings are one: valkey-server 9 embeds longer ones than the Redis that we report to be, and
    /// what INCRBYFLOAT has written is a number here and a text there.
    Encoding,
}

impl Rule {
    /// The rule of a walk's step, whose cursor stands there: with a count that is large enough, the first shows everything, by so many at a time.
    pub(crate) fn of_walk(words: &[&[u8]], cursor_at: usize, size: usize) -> Self {
        let counts: Vec<_> = words.windows(2).filter(|pair| pair[0].eq_ignore_ascii_case(b"COUNT")).collect();
        let shows_all = counts.len() == 1 && counts[0][1] == b"1000" && words.get(cursor_at) == Some(&b"0".as_slice());
        if shows_all { Self::Page(size) } else { Self::Anything }
    }

    /// The rule of a command: its family's.
    pub(crate) fn of(words: &[&[u8]]) -> Self {
        let name = String::from_utf8_lossy(words[0]).to_ascii_uppercase();
        FAMILIES.iter().find_map(|family| (family.rule)(&name, words)).unwrap_or(Self::Exact)
    }

    /// Whether the replies are equal by this rule.
    pub(crate) fn is_equal(self, expected: &Value, found: &Value) -> bool {
        if expected == found {
            return true;
        }
        if self == Self::Scores {
            return numbers(expected) == numbers(found);
        }
        if matches!(expected, Value::Error(_)) || matches!(found, Value::Error(_)) {
            return false;
        }
        match self {
            Self::Exact | Self::Scores => false,
            Self::AnyOrder => sorted(expected.elements()) == sorted(found.elements()),
            Self::AnyOrderOfPairs => sorted(pairs(expected)) == sorted(pairs(found)),
            Self::Page(size) => {
                let shown = |reply: &Value| match reply.elements().as_slice() {
                    [cursor, page] => Some((cursor.clone(), sorted(groups(&numbers(page), size)))),
                    _ => None,
                };
                shown(expected).is_some() && shown(expected) == shown(found)
            }
            Self::Close(distance) => match (expected, found) {
                (Value::Integer(expected), Value::Integer(found)) => {
                    *expected > 0 && *found > 0 && expected.abs_diff(*found) <= distance.unsigned_abs()
                }
                (Value::Array(expected), Value::Array(found)) => {
                    expected.len() == found.len()
                        && expected.iter().zip(found).all(|(expected, found)| self.is_equal(expected, found))
                }
                _ => false,
            },
            Self::Near(distance) => is_near(expected, found, distance.unsigned_abs()),
            Self::Shape => same_shape(expected, found),
            Self::Collated { shows_elements } => {
                let is_unordered = !shows_elements || has_zero_byte(expected) || has_zero_byte(found);
                is_unordered && expected.elements().len() == found.elements().len()
            }
            Self::Encoding => {
                [expected, found].iter().all(|name| ["int", "embstr", "raw"].contains(&name.text().as_str()))
            }
            Self::Anything => true,
        }
    }
}

fn numbers(value: &Value) -> Value {
    let all = |values: &[Value]| values.iter().map(numbers).collect();
    let number = |text: &str| text.parse::<f64>().map(|number| Value::Other(format!("{}", number + 0.0)));
    match value {
        Value::Bulk(bytes) => {
            std::str::from_utf8(bytes).ok().and_then(|text| number(text).ok()).unwrap_or_else(|| value.clone())
        }
        Value::Other(text) => {
            text.strip_prefix(',').and_then(|text| number(text).ok()).unwrap_or_else(|| value.clone())
        }
        Value::Array(values) => Value::Array(all(values)),
        Value::Set(values) => Value::Set(all(values)),
        other => other.clone(),
    }
}

fn has_zero_byte(value: &Value) -> bool {
    value.elements().iter().any(|element| matches!(element, Value::Bulk(bytes) if bytes.contains(&0)))
}

fn sorted<T: Ord>(mut elements: Vec<T>) -> Vec<T> {
    elements.sort();
    elements
}

/// The pairs of a map, or of an array that stands for one.
fn pairs(value: &Value) -> Vec<Vec<Value>> {
    groups(value, 2)
}

fn groups(value: &Value, size: usize) -> Vec<Vec<Value>> {
    value.elements().chunks(size).map(<[Value]>::to_vec).collect()
}

fn is_near(expected: &Value, found: &Value, distance: u64) -> bool {
    match (expected, found) {
        (Value::Integer(expected), Value::Integer(found)) => expected.abs_diff(*found) <= distance,
        (Value::Array(expected), Value::Array(found)) => {
            let mut pairs = expected.iter().zip(found);
            expected.len() == found.len() && pairs.all(|(expected, found)| is_near(expected, found, distance))
        }
        (Value::Map(expected), Value::Map(found)) => {
            let mut pairs = expected.iter().zip(found);
            let is_near = |(expected, found): (&(Value, Value), &(Value, Value))| {
                expected.0 == found.0 && is_near(&expected.1, &found.1, distance)
            };
            expected.len() == found.len() && pairs.all(is_near)
        }
        _ => expected == found,
    }
}

fn same_shape(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Array(expected), Value::Array(found)) | (Value::Set(expected), Value::Set(found)) => {
            expected.len() == found.len()
                && expected.iter().zip(found).all(|(expected, found)| same_shape(expected, found))
        }
        _ => std::mem::discriminant(expected) == std::mem::discriminant(found),
    }
}

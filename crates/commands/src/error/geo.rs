//! What places refuse.

use std::fmt;

use super::CommandError;

/// Why a command on places failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GeoError {
    /// Coordinates that no score can hold; the two.
    OutOfRange(String),
    /// A unit that there is not.
    UnknownUnit,
    /// A size that is no number; which.
    NotNumeric(&'static str),
    /// A size that is negative; which.
    Negative(&'static str),
    /// The number of vertices is none.
    InvalidVertexCount,
    /// Fewer vertices than a polygon has, or than were announced.
    TooFewVertices,
    /// A COUNT that is not positive.
    CountNotPositive,
    /// ANY without COUNT.
    AnyWithoutCount,
    /// Stored with what only a reply can show; what stores.
    StoreWithMore(&'static str),
    /// The search around a member that is not there; the member.
    NoSuchMember(String),
    /// A search without a place to begin at; the command.
    FromNowhere(String),
    /// A search without a shape; the command.
    WithoutShape(String),
}

/// As a line can show it: a line break would end it, and a zero byte does, as it ends the strings of Redis.
fn shown(bytes: &[u8]) -> String {
    let bytes = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(bytes).replace(['\r', '\n'], " ")
}

impl GeoError {
    /// No score can hold these coordinates, in degrees.
    pub(crate) fn out_of_range(longitude: f64, latitude: f64) -> Self {
        Self::OutOfRange(format!("{longitude:.6},{latitude:.6}"))
    }

    /// There is no such member.
    pub(crate) fn no_such_member(member: &[u8]) -> Self {
        Self::NoSuchMember(shown(member))
    }

    /// The command, as it was called, has no place to begin at.
    pub(crate) fn from_nowhere(command: &[u8]) -> Self {
        Self::FromNowhere(shown(command))
    }

    /// The command, as it was called, has no shape.
    pub(crate) fn without_shape(command: &[u8]) -> Self {
        Self::WithoutShape(shown(command))
    }
}

impl fmt::Display for GeoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange(pair) => write!(f, "ERR invalid longitude,latitude pair {pair}"),
            Self::UnknownUnit => f.write_str("ERR unsupported unit provided. please use M, KM, FT, MI"),
            Self::NotNumeric(size) => write!(f, "ERR need numeric {size}"),
            Self::Negative(size) => write!(f, "ERR {size} cannot be negative"),
            Self::InvalidVertexCount => f.write_str("ERR invalid number of vertices"),
            Self::TooFewVertices => f.write_str("ERR GEOSEARCH BYPOLYGON must have at least 3 vertices"),
            Self::CountNotPositive => f.write_str("ERR COUNT must be > 0"),
            Self::AnyWithoutCount => f.write_str("ERR the ANY argument requires COUNT argument"),
            Self::StoreWithMore(who) => {
                write!(f, "ERR {who} is not compatible with WITHDIST, WITHHASH and WITHCOORD options")
            }
            Self::NoSuchMember(member) => write!(f, "ERR member {member} does not exist"),
            Self::FromNowhere(command) => {
                write!(f, "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {command}")
            }
            Self::WithoutShape(command) => {
                write!(f, "ERR exactly one of BYRADIUS, BYBOX and BYPOLYGON can be specified for {command}")
            }
        }
    }
}

impl From<GeoError> for CommandError {
    fn from(error: GeoError) -> Self {
        Self::Geo(error)
    }
}

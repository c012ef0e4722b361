//! LOLWUT: a drawing, and the version below it.
//!
//! The drawing is of a Julia set: each place z of the plane is squared, and a number c added, again and again; how soon it flees is its shade.
//! Of the versions of Redis that drew something else only the last line is there.

use keyspace::{Context, Keyspace, Random};
use resp::Reply;

use crate::REDIS_VERSION;
use crate::args::Args;
use crate::error::{CommandError, CommandResult};
use crate::spec::{Arity::*, Keys, Spec};

#[rustfmt::skip]
pub(crate) const COMMANDS: &[Spec] = &[
    Spec::read("LOLWUT", AtLeast(1), Keys::None, lolwut, "Draws something, and tells the version of Redis that is spoken.").fast(),
];

/// The version whose drawing this is.
const DRAWN_VERSION: i64 = 9;
const COLUMNS_MAX: usize = 160;
const ROWS_MAX: usize = 80;
/// Of the plane, from the middle to the right and to the top.
const HALF_WIDTH: f64 = 1.7;
const HALF_HEIGHT: f64 = 1.25;
/// From what flees at once to what stays.
const SHADES: &[u8] = b" .:-=+ox%#@";
/// A place that has not fled after so many steps stays.
const STEPS_MAX: usize = 60;
/// Sets that are neither dust nor a disc, in hundredths.
const NUMBERS: [(i16, i16); 8] =
    [(-80, 16), (28, 1), (-40, 60), (36, 36), (-73, 19), (-84, -23), (-10, 65), (-12, -75)];

/// What is to be drawn.
struct Drawing {
    columns: usize,
    rows: usize,
    real: f64,
    imaginary: f64,
}

fn lolwut(_: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let is_chosen = args.remaining() > 1 && args.keyword("VERSION");
    if is_chosen && args.integer()? != DRAWN_VERSION {
        let _ignored = args.take_rest();
        reply.verbatim(b"txt", format!("Redis ver.{REDIS_VERSION}\n"));
        return Ok(());
    }
    let drawing = Drawing::parse(args, context.seed)?;
    args.end()?;
    let mut text = drawing.to_lines();
    text.push_str(&format!("Julia set of {:.2} + {:.2}i\n", drawing.real, drawing.imaginary));
    text.push_str(&format!("Have fun! Redis ver. {REDIS_VERSION}\n"));
    reply.verbatim(b"txt", text);
    Ok(())
}

impl Drawing {
    fn parse(args: &mut Args<'_>, seed: u64) -> Result<Self, CommandError> {
        let given = args.remaining();
        if ![0, 2, 4].contains(&given) {
            return Err(CommandError::Drawing);
        }
        let (real, imaginary) = NUMBERS[Random::new(seed).below(NUMBERS.len())];
        let mut drawing =
            Self { columns: 80, rows: 40, real: f64::from(real) / 100.0, imaginary: f64::from(imaginary) / 100.0 };
        if given >= 2 {
            let bounded = |number: i64, most| usize::try_from(number).unwrap_or(0).clamp(1, most);
            drawing.columns = bounded(args.integer()?, COLUMNS_MAX);
            drawing.rows = bounded(args.integer()?, ROWS_MAX);
        }
        if given == 4 {
            (drawing.real, drawing.imaginary) = (args.double()?, args.double()?);
        }
        Ok(drawing)
    }

    fn to_lines(&self) -> String {
        let mut lines = String::with_capacity((self.columns + 1) * self.rows);
        for row in 0..self.rows {
            let y = HALF_HEIGHT - along(row, self.rows) * 2.0 * HALF_HEIGHT;
            for column in 0..self.columns {
                let x = along(column, self.columns) * 2.0 * HALF_WIDTH - HALF_WIDTH;
                let shade = (self.steps_of(x, y) * (SHADES.len() - 1)).div_ceil(STEPS_MAX);
                lines.push(char::from(SHADES[shade]));
            }
            lines.push('\n');
        }
        lines
    }

    /// After how many steps a place flees.
    fn steps_of(&self, mut x: f64, mut y: f64) -> usize {
        for step in 0..STEPS_MAX {
            // What is no number any more has fled, too.
            let is_near = x * x + y * y <= 4.0;
            if !is_near {
                return step;
            }
            (x, y) = (x * x - y * y + self.real, 2.0 * x * y + self.imaginary);
        }
        STEPS_MAX
    }
}

/// How far along a line the middle of one of its places is.
#[expect(clippy::cast_precision_loss, reason = "a drawing has few places")]
fn along(place: usize, places: usize) -> f64 {
    (place as f64 + 0.5) / places as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disc_is_round_and_numbers_that_flee_leave_nothing() {
        let disc = Drawing { columns: 9, rows: 5, real: 0.0, imaginary: 0.0 }.to_lines();
        let lines: Vec<&str> = disc.lines().collect();
        assert_eq!(lines.len(), 5);
        assert_eq!(&lines[2][2..7], "@@@@@", "{disc}");
        for line in &lines {
            assert_eq!(line.chars().rev().collect::<String>(), *line, "the same from both sides");
        }
        let nothing = Drawing { columns: 3, rows: 1, real: f64::INFINITY, imaginary: 0.0 }.to_lines();
        assert!(nothing.chars().all(|shade| " .\n".contains(shade)), "{nothing}");
    }
}

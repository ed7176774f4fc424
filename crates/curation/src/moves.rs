use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use tick::Symbol;

/// The way of a symbol from its first price of an hour to its last. Both are finite, and so
/// is their change.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Content", into = "Content")]
pub struct PriceMove {
    symbol: Symbol,
    open: f64,
    close: f64,
}

/// The move as a register has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    symbol: String,
    #[serde(deserialize_with = "exact")]
    open: f64,
    #[serde(deserialize_with = "exact")]
    close: f64,
}

/// Reads a number to the last bit, which `serde_json` does not do.
fn exact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let number = <&RawValue>::deserialize(deserializer)?.get();
    number.parse().map_err(D::Error::custom)
}

impl PriceMove {
    /// Returns a move, or `None` if there is no finite change: from a price of 0, for
    /// instance.
    pub fn new(symbol: Symbol, open: f64, close: f64) -> Option<Self> {
        let moved = Self {
            symbol,
            open,
            close,
        };
        [open, close, moved.change()]
            .into_iter()
            .all(f64::is_finite)
            .then_some(moved)
    }

    /// Returns the symbol.
    pub fn symbol(&self) -> &Symbol {
        &self.symbol
    }

    /// Returns the first price.
    pub fn open(&self) -> f64 {
        self.open
    }

    /// Returns the last price.
    pub fn close(&self) -> f64 {
        self.close
    }

    /// Returns the part of the first price by which the price has risen, or fallen if it is
    /// negative: 0.01 for one percent. A rise from a negative price is a rise, too.
    pub fn change(&self) -> f64 {
        let change = self.close / self.open - 1.0;
        if self.open < 0.0 { -change } else { change }
    }

    /// Orders the largest move first, and equal ones by symbol.
    fn rank(&self, other: &Self) -> Ordering {
        let by_size = other.change().abs().total_cmp(&self.change().abs());
        by_size.then_with(|| self.symbol.cmp(&other.symbol))
    }

    fn bits(&self) -> (&Symbol, [u64; 2]) {
        (&self.symbol, [self.open, self.close].map(f64::to_bits))
    }
}

/// To the bit, so that equal moves have the same JSON.
impl PartialEq for PriceMove {
    fn eq(&self, other: &Self) -> bool {
        self.bits() == other.bits()
    }
}

impl Eq for PriceMove {}

impl Hash for PriceMove {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits().hash(state);
    }
}

impl TryFrom<Content> for PriceMove {
    type Error = &'static str;

    fn try_from(content: Content) -> Result<Self, Self::Error> {
        let Content {
            symbol,
            open,
            close,
        } = content;
        let parsed = Symbol::parse(&symbol).filter(|parsed| parsed.as_str() == symbol);
        let moved = parsed.and_then(|symbol| Self::new(symbol, open, close));
        moved.ok_or("a move has no valid symbol, or no finite change")
    }
}

impl From<PriceMove> for Content {
    fn from(moved: PriceMove) -> Self {
        Self {
            symbol: moved.symbol.to_string(),
            open: moved.open,
            close: moved.close,
        }
    }
}

/// The five largest moves, the largest first, and equal ones by symbol.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<PriceMove>", into = "Vec<PriceMove>")]
pub struct LargestMoves(Vec<PriceMove>);

impl LargestMoves {
    /// The largest number of them.
    pub const MAX: usize = 5;

    /// Returns them.
    pub fn as_slice(&self) -> &[PriceMove] {
        &self.0
    }
}

impl Extend<PriceMove> for LargestMoves {
    /// Keeps the largest of the moves so far and these. It does not matter in which order,
    /// or in how many parts, the moves of distinct symbols come.
    fn extend<T: IntoIterator<Item = PriceMove>>(&mut self, moves: T) {
        for moved in moves {
            let place = self.0.partition_point(|other| other.rank(&moved).is_lt());
            if place < Self::MAX {
                self.0.insert(place, moved);
                self.0.truncate(Self::MAX);
            }
        }
    }
}

impl FromIterator<PriceMove> for LargestMoves {
    fn from_iter<T: IntoIterator<Item = PriceMove>>(moves: T) -> Self {
        let mut largest = Self::default();
        largest.extend(moves);
        largest
    }
}

impl TryFrom<Vec<PriceMove>> for LargestMoves {
    type Error = &'static str;

    fn try_from(moves: Vec<PriceMove>) -> Result<Self, Self::Error> {
        let largest: Self = moves.iter().cloned().collect();
        let is_same = largest.0 == moves;
        is_same
            .then_some(largest)
            .ok_or("the moves are more than five, or not the largest first")
    }
}

impl From<LargestMoves> for Vec<PriceMove> {
    fn from(moves: LargestMoves) -> Self {
        moves.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moved(symbol: &str, open: f64, close: f64) -> Option<PriceMove> {
        PriceMove::new(Symbol::parse(symbol).expect("a symbol"), open, close)
    }

    #[test]
    fn a_change_is_up_or_down_also_below_zero_and_never_infinite() {
        let change = |open, close| moved("A", open, close).map(|moved| moved.change());
        for (open, close, wanted) in [
            (4.0, 5.0, Some(0.25)),
            (4.0, 3.0, Some(-0.25)),
            (4.0, 4.0, Some(0.0)),
            (4.0, -4.0, Some(-2.0)),
            (-4.0, -3.0, Some(0.25)),
            (-4.0, 4.0, Some(2.0)),
            (4.0, 0.0, Some(-1.0)),
            (1e308, -1e308, Some(-2.0)),
            (0.0, 4.0, None),
            (0.0, 0.0, None),
            (-0.0, 4.0, None),
            (1e-300, 1e300, None),
            (f64::INFINITY, 4.0, None),
            (4.0, f64::NAN, None),
        ] {
            assert_eq!(change(open, close), wanted, "{open} to {close}");
        }
    }

    #[test]
    fn a_register_with_other_moves_is_refused() {
        let moves = |text: &str| serde_json::from_str::<LargestMoves>(text);
        let five = r#"{"symbol":"A","open":1.0,"close":2.0}"#;
        let six = [five; 6].join(",");
        for (text, wanted) in [
            (format!("[{six}]"), "more than five"),
            (
                r#"[{"symbol":"A","open":1,"close":1},{"symbol":"B","open":1,"close":2}]"#.into(),
                "largest first",
            ),
            (r#"[{"symbol":"","open":1,"close":1}]"#.into(), "symbol"),
            (r#"[{"symbol":" A","open":1,"close":1}]"#.into(), "symbol"),
            (r#"[{"symbol":"A","open":0,"close":1}]"#.into(), "finite"),
            (
                r#"[{"symbol":"A","open":1,"close":1e999}]"#.into(),
                "finite",
            ),
            (r#"[{"symbol":"A","open":1,"close":null}]"#.into(), "float"),
            (
                r#"[{"symbol":"A","open":1,"close":1,"x":1}]"#.into(),
                "unknown field",
            ),
        ] {
            let error = moves(&text).expect_err(&text).to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }

    /// Finite prices of every size and sign, many of them equal.
    fn price() -> impl Strategy<Value = f64> {
        prop_oneof![
            (-3_i32..4).prop_map(f64::from),
            any::<f64>().prop_filter("a price is finite", |price| price.is_finite()),
        ]
    }

    proptest! {
        /// Units have no symbol in common, so their five largest have the five largest of
        /// all.
        #[test]
        fn the_largest_of_units_are_the_largest_of_the_hour(
            prices in proptest::collection::vec((price(), price(), 0..4_usize), 0..40),
        ) {
            let mut all = Vec::new();
            let mut units = [const { Vec::new() }; 4];
            for (number, (open, close, unit)) in prices.into_iter().enumerate() {
                if let Some(moved) = moved(&format!("é{number}"), open, close) {
                    units[unit].push(moved.clone());
                    all.push(moved);
                }
            }
            let mut merged = LargestMoves::default();
            for unit in units {
                let of_unit: LargestMoves = unit.into_iter().collect();
                let json = serde_json::to_string(&of_unit).expect("JSON");
                let read: LargestMoves = serde_json::from_str(&json).expect("moves");
                prop_assert_eq!(&read, &of_unit);
                merged.extend(read.0);
            }
            all.sort_by(PriceMove::rank);
            all.truncate(LargestMoves::MAX);
            prop_assert_eq!(merged.0, all);
        }
    }
}

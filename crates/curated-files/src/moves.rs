use curation::{LargestMoves, PriceMove};
use tick::Symbol;

use crate::order::{Order, SymbolRows};
use crate::rows::{CLOSE, OPEN, Rows};

/// Returns the largest moves: from the open of a symbol's first bar to the close of its
/// last one.
pub(crate) fn largest(rows: &Rows, order: &Order) -> LargestMoves {
    let texts = rows.symbols.texts();
    let moved = |symbol: &SymbolRows| {
        let of_symbol = &order.rows[symbol.places.clone()];
        let (first, last) = (*of_symbol.first()?, *of_symbol.last()?);
        let text = texts[symbol.symbol as usize].as_utf8().ok()?;
        PriceMove::new(
            Symbol::parse(text)?,
            rows.price_as(OPEN, first),
            rows.price_as(CLOSE, last),
        )
    };
    order.symbols.iter().filter_map(moved).collect()
}

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use parquet::data_type::ByteArray;
use tick::Symbol;

use crate::Unit;
use crate::input_error::InputError;
use crate::unit::fnv1a64;

/// The symbols that have been seen. Those of the unit have a number.
#[derive(Debug)]
pub(crate) struct Symbols {
    unit: Unit,
    /// `None` if a symbol belongs to another unit.
    numbers: HashMap<Box<[u8]>, Option<u32>, BuildHasherDefault<Fnv>>,
    texts: Vec<ByteArray>,
}

impl Symbols {
    pub(crate) fn new(unit: Unit) -> Self {
        Self {
            unit,
            numbers: HashMap::default(),
            texts: Vec::new(),
        }
    }

    /// Returns the number of a symbol, or `None` if it belongs to another unit.
    pub(crate) fn number(&mut self, symbol: &[u8]) -> Result<Option<u32>, InputError> {
        if let Some(number) = self.numbers.get(symbol) {
            return Ok(*number);
        }
        // A symbol that does not equal its parsed form was not written by ticklake.
        let parsed = str::from_utf8(symbol).ok().and_then(Symbol::parse);
        if parsed.is_none_or(|parsed| parsed.as_str().as_bytes() != symbol) {
            return Err(InputError::value(
                "symbol",
                &String::from_utf8_lossy(symbol),
                Symbol::WANTED,
            ));
        }
        // The collector refuses more rows than a u32 counts long before.
        let next = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        let number = self.unit.has(fnv1a64(symbol)).then_some(next);
        if number.is_some() {
            self.texts.push(ByteArray::from(symbol.to_vec()));
        }
        self.numbers.insert(symbol.into(), number);
        Ok(number)
    }

    /// Returns the symbols of the unit, each at the place of its number.
    pub(crate) fn texts(&self) -> &[ByteArray] {
        &self.texts
    }
}

/// Hashes a symbol's few bytes in less time than the standard library's hasher.
#[derive(Debug, Default)]
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        self.0 ^= fnv1a64(bytes);
    }

    /// The length of the slice, which tells nothing that its bytes do not.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

//! Columns in chunks: a chunk has its size from the beginning, so a column that grows
//! never moves and never takes twice its size.

use bytes::Bytes;

/// Rows of a chunk.
const CHUNK_ROWS: usize = 1 << 16;

/// A value of every row.
#[derive(Debug)]
pub(crate) struct Column<T> {
    chunks: Vec<Vec<T>>,
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<T: Copy> Column<T> {
    pub(crate) fn extend(&mut self, values: impl Iterator<Item = T>) {
        for value in values {
            self.push(value);
        }
    }

    pub(crate) fn push(&mut self, value: T) {
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK_ROWS => chunk.push(value),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK_ROWS);
                chunk.push(value);
                self.chunks.push(chunk);
            }
        }
    }

    pub(crate) fn get(&self, row: u32) -> T {
        let row = row as usize;
        self.chunks[row / CHUNK_ROWS][row % CHUNK_ROWS]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.chunks.iter().flatten().copied()
    }
}

/// A type with a value that no row has, which stands for null.
pub(crate) trait Nullable: Copy {
    const NULL: Self;

    fn is_null(self) -> bool;
}

/// No number of a tick is NaN.
impl Nullable for f64 {
    const NULL: Self = Self::NAN;

    fn is_null(self) -> bool {
        self.is_nan()
    }
}

/// No time of a tick is before 1970.
impl Nullable for i64 {
    const NULL: Self = Self::MIN;

    fn is_null(self) -> bool {
        self == Self::NULL
    }
}

/// A value of some rows. A chunk without a value takes no memory.
#[derive(Debug)]
pub(crate) struct Sparse<T> {
    chunks: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Sparse<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
        }
    }
}

impl<T: Nullable> Sparse<T> {
    pub(crate) fn push(&mut self, value: Option<T>) {
        let place = self.len % CHUNK_ROWS;
        if place == 0 {
            self.chunks.push(Vec::new());
        }
        self.len += 1;
        let Some(chunk) = self.chunks.last_mut() else {
            return;
        };
        match value {
            None if chunk.is_empty() => {}
            None => chunk.push(T::NULL),
            Some(value) => {
                if chunk.is_empty() {
                    chunk.reserve_exact(CHUNK_ROWS);
                    chunk.resize(place, T::NULL);
                }
                chunk.push(value);
            }
        }
    }

    pub(crate) fn get(&self, row: u32) -> Option<T> {
        let row = row as usize;
        self.chunks[row / CHUNK_ROWS]
            .get(row % CHUNK_ROWS)
            .copied()
            .filter(|value| !value.is_null())
    }
}

/// A text of some rows; an empty one is none.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    chunks: Vec<TextChunk>,
    len: usize,
    bytes: u64,
}

#[derive(Debug, Default)]
struct TextChunk {
    bytes: Vec<u8>,
    /// The end of each row's text in `bytes`, from the first row with a text.
    ends: Vec<u32>,
    /// Rows before the first one with a text.
    skipped: usize,
}

impl TextChunk {
    fn get(&self, place: usize) -> &[u8] {
        let Some(place) = place.checked_sub(self.skipped) else {
            return &[];
        };
        let begin = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        let end = self.ends.get(place).copied().unwrap_or(begin);
        &self.bytes[begin as usize..end as usize]
    }
}

impl Texts {
    pub(crate) fn push(&mut self, text: &[u8]) {
        if self.len.is_multiple_of(CHUNK_ROWS) {
            // The last chunk takes no more text.
            if let Some(chunk) = self.chunks.last_mut() {
                chunk.bytes.shrink_to_fit();
            }
            self.chunks.push(TextChunk::default());
        }
        self.len += 1;
        self.bytes += text.len() as u64;
        let Some(chunk) = self.chunks.last_mut() else {
            return;
        };
        if chunk.ends.is_empty() && text.is_empty() {
            chunk.skipped += 1;
            return;
        }
        chunk.bytes.extend_from_slice(text);
        // The collector refuses so much text long before.
        let end = u32::try_from(chunk.bytes.len()).unwrap_or(u32::MAX);
        chunk.ends.push(end);
    }

    /// Returns the texts of the rows as pieces of one buffer.
    pub(crate) fn gather(&self, rows: &[u32]) -> impl Iterator<Item = Option<Bytes>> + use<> {
        let mut bytes = Vec::new();
        let mut ends = Vec::with_capacity(rows.len());
        for row in rows {
            let row = *row as usize;
            bytes.extend_from_slice(self.chunks[row / CHUNK_ROWS].get(row % CHUNK_ROWS));
            ends.push(bytes.len());
        }
        let bytes = Bytes::from(bytes);
        let mut begin = 0;
        ends.into_iter().map(move |end| {
            let text = (begin < end).then(|| bytes.slice(begin..end));
            begin = end;
            text
        })
    }

    /// Returns the number of bytes of all texts.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_every_chunk_have_their_values_and_a_chunk_of_nulls_takes_no_memory() {
        let rows = 3 * CHUNK_ROWS as u32;
        // The second chunk begins with nulls, the third one has nothing else.
        let value =
            |row: u32| (!row.is_multiple_of(3) && row < 2 * CHUNK_ROWS as u32).then_some(row);
        let (mut column, mut sparse, mut texts) =
            (Column::default(), Sparse::default(), Texts::default());
        for row in 0..rows {
            column.push(row);
            sparse.push(value(row).map(f64::from));
            let text = value(row).map(|row| row.to_string()).unwrap_or_default();
            texts.push(text.as_bytes());
        }
        let order: Vec<u32> = (0..rows).rev().collect();
        for (row, text) in order.iter().zip(texts.gather(&order)) {
            assert_eq!(column.get(*row), *row);
            assert_eq!(sparse.get(*row), value(*row).map(f64::from));
            assert_eq!(text, value(*row).map(|row| row.to_string().into()));
        }
        assert_eq!(sparse.chunks[2].capacity(), 0);
        assert_eq!(texts.chunks[2].ends.capacity(), 0);
        assert!(column.iter().eq(0..rows));
    }
}

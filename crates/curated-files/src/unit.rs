/// The part of a lake partition that is sorted at once: the symbols whose hash leaves the
/// remainder `unit` when it is divided by `units`. A symbol is whole in one unit, so its
/// bars are, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// Number of units of the lake partition, a power of two.
    pub units: u32,
    /// This one, from 0.
    pub unit: u32,
    /// Most rows that the unit may have.
    pub max_rows: u64,
}

impl Unit {
    /// Returns true if a symbol with this hash belongs to the unit.
    pub(crate) fn has(&self, hash: u64) -> bool {
        hash % u64::from(self.units.max(1)) == u64::from(self.unit)
    }
}

/// Returns the 64-bit FNV-1a hash of a symbol. Files of earlier versions are cut by it, so
/// it never changes.
pub(crate) fn fnv1a64(symbol: &[u8]) -> u64 {
    symbol.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors of the hash's authors (draft-eastlake-fnv).
    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(fnv1a64(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a64(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a64(b"foobar"), 0x8594_4171_f739_67e8);
    }
}

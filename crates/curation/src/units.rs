/// The bytes of raw objects for which a plan makes a unit: some 4 million ticks at 12 bytes
/// each, half of the rows that a unit may have. If they are smaller, a version is abandoned
/// and the next one has more units.
pub const BYTES_PER_UNIT: u64 = 48 * 1024 * 1024;
/// The largest number of units.
pub const MAX_UNITS: u32 = 4_096;
/// How much smaller the units become after one was too large.
const CUT: u32 = 4;

/// Returns the number of units for so many bytes of new raw objects, a power of two.
pub(crate) fn for_bytes(bytes: u64) -> u32 {
    let units = bytes.div_ceil(BYTES_PER_UNIT).max(1).next_power_of_two();
    u32::try_from(units).unwrap_or(MAX_UNITS).min(MAX_UNITS)
}

/// Returns the number of units after a unit of so many was too large.
pub(crate) fn smaller_than(units: u32) -> u32 {
    units.saturating_mul(CUT).min(MAX_UNITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_follow_from_bytes_and_become_four_times_as_many() {
        assert_eq!(for_bytes(0), 1);
        assert_eq!(for_bytes(BYTES_PER_UNIT), 1);
        assert_eq!(for_bytes(BYTES_PER_UNIT + 1), 2);
        assert_eq!(for_bytes(BYTES_PER_UNIT * 5), 8);
        assert_eq!(for_bytes(u64::MAX / 2), MAX_UNITS);
        assert_eq!(smaller_than(2), 8);
        assert_eq!(smaller_than(MAX_UNITS), MAX_UNITS);
    }
}

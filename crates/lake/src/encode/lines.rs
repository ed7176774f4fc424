use super::error::EncodeError;

/// Lines are compressed whenever there are so many bytes of them, so that an object never
/// lies in memory as text.
pub(super) const PIECE_BYTES: usize = 32 << 10;

/// Writes a number as JSON has it.
pub(super) fn number(out: &mut Vec<u8>, number: f64) -> Result<(), EncodeError> {
    Ok(serde_json::to_writer(out, &number)?)
}

/// Returns the name of an attempt to seal: no other has it.
pub(crate) fn attempt() -> String {
    format!("{:032x}", fastrand::u128(..))
}

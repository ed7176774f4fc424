//! Readings of the answers of AWS.

use jiff::Timestamp;
use serde_json::Value;

/// Returns a text in an answer; empty if there is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Returns a list in an answer; empty if there is none.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Returns a time in an answer.
pub(super) fn moment(value: &Value) -> Option<Timestamp> {
    text(value).parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_of_boto3_are_read() {
        let utc = moment(&json!("2026-11-24 11:29:02.161000+00:00"));
        assert!(utc.is_some());
        assert_eq!(utc, moment(&json!("2026-11-24 12:29:02.161000+01:00")));
        assert!(moment(&json!("2026-11-24 11:29:02+00:00")).is_some());
        assert_eq!(moment(&Value::Null), None);
    }
}

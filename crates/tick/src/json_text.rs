/// Appends `"key":value` to the text of a JSON object that is still open.
pub(crate) fn push_member(object: &mut String, key: &str, value: &str) {
    object.push(if object.is_empty() { '{' } else { ',' });
    if key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        object.push('"');
        object.push_str(key);
        object.push('"');
    } else {
        object.push_str(&json_string(key));
    }
    object.push(':');
    object.push_str(value);
}

/// Returns a text as a JSON string.
pub(crate) fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

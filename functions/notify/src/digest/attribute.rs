use std::collections::BTreeSet;

/// A message attribute; an array if the mail has several values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: &'static str,
    pub(super) values: BTreeSet<String>,
}

impl Attribute {
    /// Returns the attribute's type for SNS.
    pub fn data_type(&self) -> &'static str {
        if self.values.len() == 1 {
            "String"
        } else {
            "String.Array"
        }
    }

    /// Returns the value, or a JSON array of them.
    pub fn value(&self) -> String {
        match self.values.first() {
            Some(value) if self.values.len() == 1 => value.clone(),
            _ => serde_json::json!(self.values).to_string(),
        }
    }
}

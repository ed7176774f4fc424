use std::time::Duration;

use bytesize::ByteSize;
use serde::de::value::StringDeserializer;
use serde::{Deserialize, Deserializer, de::Error as _};

/// A duration in configuration: `10s`, `500ms`, `2m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HumanDuration(pub Duration);

/// A size in configuration: `64MiB`, `512KiB`, `1000`; bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HumanSize(pub u64);

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let duration = humantime::parse_duration(&text)
            .ok()
            .filter(|duration| !duration.is_zero());
        duration.map(Self).ok_or_else(|| {
            D::Error::custom(format_args!(
                "{text:?} is not a duration above zero; write 10s, 500ms or 2m"
            ))
        })
    }
}

impl<'de> Deserialize<'de> for HumanSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let size = text
            .parse::<ByteSize>()
            .ok()
            .map(|size| size.as_u64())
            .filter(|bytes| *bytes > 0);
        size.map(Self).ok_or_else(|| {
            D::Error::custom(format_args!(
                "{text:?} is not a size above zero; write 64MiB, 512KiB or a number of bytes"
            ))
        })
    }
}

/// Deserializes one of a list of words; the error names the list, which that of `config`
/// itself does not.
///
/// # Errors
/// The value is none of the words.
pub fn word<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    T::deserialize(StringDeserializer::new(String::deserialize(deserializer)?))
}

/// Deserializes one of a list of words if a value is given; see [`word`].
///
/// # Errors
/// The value is none of the words.
pub fn optional_word<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    word(deserializer).map(Some)
}

use std::fmt;

/// Maximum length of the input that an error quotes, in characters.
const MAX_QUOTED_CHARS: usize = 60;

/// A field whose value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The field's name (JSON) or the column's header (CSV).
    pub field: String,
    /// The value, quoted and shortened; `None` if it is missing.
    pub got: Option<String>,
    /// The accepted form.
    pub wanted: &'static str,
}

impl FieldError {
    pub(crate) fn missing(field: &str, wanted: &'static str) -> Self {
        Self {
            field: field.to_owned(),
            got: None,
            wanted,
        }
    }

    /// Quotes a text.
    pub(crate) fn of_text(field: &str, got: &str, wanted: &'static str) -> Self {
        Self {
            got: Some(format!("{:?}", shortened(got))),
            ..Self::missing(field, wanted)
        }
    }

    /// Quotes a JSON value, which has quotes of its own if it is a string.
    pub(crate) fn of_json(field: &str, got: &str, wanted: &'static str) -> Self {
        let visible = |c: char| match c {
            '"' | '\'' | '\\' => c.to_string(),
            c => c.escape_debug().to_string(),
        };
        Self {
            got: Some(shortened(got).chars().map(visible).collect()),
            ..Self::missing(field, wanted)
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.got {
            Some(got) => write!(f, "{}: got {got}, wanted {}", self.field, self.wanted),
            None => write!(f, "{}: missing, wanted {}", self.field, self.wanted),
        }
    }
}

impl std::error::Error for FieldError {}

/// The reason why a Kafka value is not a valid tick.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TickError {
    /// The record has no value, or an empty one (a tombstone).
    #[error("empty value, wanted a JSON object")]
    Empty,
    /// The value is not UTF-8.
    #[error("invalid UTF-8 at byte {0}, wanted a JSON object")]
    NotUtf8(usize),
    /// The value is not a JSON object.
    #[error("not a JSON object: {0}")]
    NotJson(String),
    /// A field is missing or has a wrong value.
    #[error("field {0}")]
    Field(#[from] FieldError),
}

/// The reason why a CSV header cannot be mapped to a tick.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// There is no header.
    #[error(
        "the file is empty; wanted a header such as \
         Index,Date,Open,High,Low,Close,Adj Close,Volume,CloseUSD"
    )]
    Empty,
    /// A column that a tick needs is missing.
    #[error("the header has no column for the {field}; wanted one of {wanted}, got {got}")]
    Missing {
        /// The tick's field.
        field: &'static str,
        /// The accepted headers.
        wanted: String,
        /// The headers of the file.
        got: String,
    },
    /// Two columns mean the same.
    #[error(
        "the header has two columns for the {field}: {first:?} and {second:?}; remove or rename one"
    )]
    Twice {
        /// The tick's field, or the header's own name.
        field: String,
        /// The earlier column's header.
        first: String,
        /// The later column's header.
        second: String,
    },
    /// The header line itself cannot be split into columns.
    #[error("the header is not CSV: {0}")]
    NotCsv(RowError),
}

/// The reason why a CSV row is not a valid tick.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// The row is not UTF-8.
    #[error("invalid UTF-8 at byte {0}")]
    NotUtf8(usize),
    /// A quoted field does not end on the line it began on.
    #[error("a quote (\") is not closed on this line")]
    OpenQuote,
    /// There is a carriage return within the line.
    #[error("a carriage return within the line; wanted lines that end in LF or CRLF")]
    CarriageReturn,
    /// The row has more or fewer fields than the header.
    #[error("got {got} fields, wanted {wanted} as in the header")]
    Width {
        /// Fields in the row.
        got: usize,
        /// Fields in the header.
        wanted: usize,
    },
    /// A column has a wrong value.
    #[error("column {0}")]
    Field(#[from] FieldError),
}

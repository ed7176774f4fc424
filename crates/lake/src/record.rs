/// A Kafka record from the consumer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Record<'a> {
    /// Offset in its partition.
    pub offset: i64,
    /// Kafka record timestamp in milliseconds; `None` if the record has none.
    pub timestamp_ms: Option<i64>,
    /// Record key.
    pub key: Option<&'a [u8]>,
    /// Record value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Header names and values, in order. Names need not be UTF-8.
    pub headers: &'a [(&'a [u8], Option<&'a [u8]>)],
}

use std::ffi::CString;

use rdkafka::bindings::rd_kafka_get_watermark_offsets;
use rdkafka::client::{Client, ClientContext};

/// Returns the partition's log start and the offset after its last record, as of the last
/// fetch response, without a request. `None` means not known yet.
pub fn cached_watermarks<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    partition: i32,
) -> (Option<i64>, Option<i64>) {
    let Ok(topic) = CString::new(topic) else {
        return (None, None);
    };
    let mut low = -1;
    let mut high = -1;
    // SAFETY: the client is alive, as it is borrowed. The topic's text and both integers
    // outlive the call, which reads the text and writes the integers.
    unsafe {
        rd_kafka_get_watermark_offsets(
            client.native_ptr(),
            topic.as_ptr(),
            partition,
            &raw mut low,
            &raw mut high,
        )
    };
    // librdkafka returns values below zero for "not known".
    (
        Some(low).filter(|low| *low >= 0),
        Some(high).filter(|high| *high >= 0),
    )
}

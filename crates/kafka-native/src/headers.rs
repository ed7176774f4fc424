use std::ptr;

use rdkafka::bindings::{rd_kafka_header_add, rd_kafka_headers_t};
use rdkafka::message::OwnedHeaders;

/// Adds a header whose name may be any bytes. Kafka does not ask for UTF-8, but rdkafka's
/// own `insert` does.
pub fn add_header(headers: OwnedHeaders, name: &[u8], value: Option<&[u8]>) -> OwnedHeaders {
    let native = ptr::from_ref(headers.as_borrowed())
        .cast::<rd_kafka_headers_t>()
        .cast_mut();
    let (value, size) = value.map_or((ptr::null(), 0), |value| (value.as_ptr(), value.len()));
    // SAFETY: `BorrowedHeaders` has no fields; a reference to it is librdkafka's own
    // pointer to the headers, which are owned here and nowhere else. Name and value have
    // the lengths that are passed, and librdkafka copies both. It refuses only the
    // headers of a message that it has already taken.
    unsafe {
        rd_kafka_header_add(
            native,
            name.as_ptr().cast(),
            name.len().cast_signed(),
            value.cast(),
            size.cast_signed(),
        )
    };
    headers
}

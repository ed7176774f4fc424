use std::ffi::{CStr, CString, c_char, c_void};
use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;

use rdkafka::bindings::{
    rd_kafka_consume_batch_queue, rd_kafka_header_get_all, rd_kafka_headers_t,
    rd_kafka_message_destroy, rd_kafka_message_headers, rd_kafka_message_t,
    rd_kafka_message_timestamp, rd_kafka_queue_cb_event_enable, rd_kafka_queue_destroy,
    rd_kafka_queue_forward, rd_kafka_queue_get_partition, rd_kafka_queue_t, rd_kafka_resp_err_t,
    rd_kafka_t, rd_kafka_timestamp_type_t,
};
use rdkafka::consumer::{Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::Notify;

/// Upper limit of the messages in one call of librdkafka.
const MAX_FETCHED_MESSAGES: usize = 1_000;

/// A partition's own queue of fetched messages, split off the consumer's queue. Reading a
/// thousand messages in one call costs a fraction of reading them one by one.
///
/// Do not set `enable.partition.eof` on a consumer in a group. librdkafka 2.12.1
/// (`rd_kafka_q_serve_rkmessages`) takes the partition's end for a message and moves the
/// application's position one offset past it. A rebalance pauses and resumes at that
/// position, and skips the record that came meanwhile, without an error. Found by
/// `cargo xtask chaos`.
///
/// Split the queue off before the partition is assigned. librdkafka does not touch a
/// queue that the application has forwarded, so nothing comes through the consumer's own
/// queue.
pub struct PartitionQueue<K> {
    queue: *mut rd_kafka_queue_t,
    /// Notified when the first message comes into the empty queue. librdkafka holds a
    /// pointer to it.
    arrived: Arc<Notify>,
    /// The consumer that the queue belongs to outlives it.
    consumer: Arc<K>,
}

// SAFETY: librdkafka's queues may be used from any thread. This one is only read through
// `&mut self`.
unsafe impl<K: Send + Sync> Send for PartitionQueue<K> {}
// SAFETY: a shared reference can do nothing with the queue.
unsafe impl<K: Send + Sync> Sync for PartitionQueue<K> {}

extern "C" fn on_arrival(_: *mut rd_kafka_t, arrived: *mut c_void) {
    // SAFETY: the pointer is to the `Notify` of the queue's owner, which keeps it until
    // the callback is switched off.
    unsafe { &*arrived.cast::<Notify>() }.notify_one();
}

impl<K> PartitionQueue<K> {
    /// Splits a partition's queue off its consumer. Returns `None` if there is no such
    /// partition.
    pub fn split<C: ConsumerContext>(consumer: &Arc<K>, topic: &str, partition: i32) -> Option<Self>
    where
        K: Consumer<C>,
    {
        let topic = CString::new(topic).ok()?;
        // SAFETY: the consumer is alive, as it is borrowed, and the topic's text outlives
        // the call.
        let queue = unsafe {
            rd_kafka_queue_get_partition(consumer.client().native_ptr(), topic.as_ptr(), partition)
        };
        if queue.is_null() {
            return None;
        }
        let arrived = Arc::new(Notify::new());
        // SAFETY: the queue is not null and is ours until drop destroys it. The
        // callback's pointer stays valid: `arrived` is kept until drop has switched the
        // callback off.
        unsafe {
            rd_kafka_queue_forward(queue, ptr::null_mut());
            rd_kafka_queue_cb_event_enable(
                queue,
                Some(on_arrival),
                Arc::as_ptr(&arrived).cast_mut().cast(),
            );
        }
        Some(Self {
            queue,
            arrived,
            consumer: Arc::clone(consumer),
        })
    }

    /// Takes the messages in the queue, or waits until one comes. Nothing is lost if the
    /// future is dropped.
    pub async fn recv(&mut self) -> Messages<K> {
        loop {
            let messages = self.take();
            if !messages.raw.is_empty() {
                return messages;
            }
            drop(messages);
            self.arrived.notified().await;
        }
    }

    fn take(&mut self) -> Messages<K> {
        let mut raw: Vec<*mut rd_kafka_message_t> = Vec::with_capacity(MAX_FETCHED_MESSAGES);
        // SAFETY: the queue is alive. The vector has room for all pointers that the call
        // may write, and gets the length that the call returns.
        unsafe {
            let taken =
                rd_kafka_consume_batch_queue(self.queue, 0, raw.as_mut_ptr(), MAX_FETCHED_MESSAGES);
            raw.set_len(
                usize::try_from(taken)
                    .unwrap_or(0)
                    .min(MAX_FETCHED_MESSAGES),
            );
        }
        Messages {
            raw,
            _consumer: Arc::clone(&self.consumer),
        }
    }
}

impl<K> Drop for PartitionQueue<K> {
    fn drop(&mut self) {
        // SAFETY: the queue is ours and is destroyed once, after its callback is off.
        unsafe {
            rd_kafka_queue_cb_event_enable(self.queue, None, ptr::null_mut());
            rd_kafka_queue_destroy(self.queue);
        }
    }
}

/// Messages that were taken off a queue, with the errors among them.
pub struct Messages<K> {
    raw: Vec<*mut rd_kafka_message_t>,
    /// The consumer that they came from outlives them.
    _consumer: Arc<K>,
}

// SAFETY: the messages are owned here and may be read and destroyed on any thread.
unsafe impl<K: Send + Sync> Send for Messages<K> {}
impl<K> Messages<K> {
    /// Returns the messages in the order of their offsets.
    pub fn iter(&self) -> impl Iterator<Item = Result<Message<'_>, QueueError>> {
        self.raw.iter().map(|raw| {
            // SAFETY: the pointer came from librdkafka, is not null, and is destroyed
            // only when self is.
            let (error, offset) = unsafe { ((**raw).err, (**raw).offset) };
            match error {
                rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(Message {
                    raw: *raw,
                    _messages: PhantomData,
                }),
                error => Err(QueueError {
                    code: error.into(),
                    offset,
                }),
            }
        })
    }
}

/// An error among the messages of a partition's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueError {
    /// The error's code. [`RDKafkaErrorCode::PartitionEOF`] is the end of the readable
    /// records.
    pub code: RDKafkaErrorCode,
    /// The offset that the error is about; at the partition's end, the offset of the next
    /// record to come. Below zero if it is about none.
    pub offset: i64,
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (offset {})", self.code, self.offset)
    }
}

impl std::error::Error for QueueError {}

impl<K> Drop for Messages<K> {
    fn drop(&mut self) {
        for raw in &self.raw {
            // SAFETY: each message is ours and is destroyed once.
            unsafe { rd_kafka_message_destroy(*raw) };
        }
    }
}

/// A message. It lives as long as its [`Messages`].
pub struct Message<'a> {
    raw: *mut rd_kafka_message_t,
    _messages: PhantomData<&'a ()>,
}

impl<'a> Message<'a> {
    /// Returns the message's offset.
    pub fn offset(&self) -> i64 {
        // SAFETY: the message lives as long as 'a.
        unsafe { (*self.raw).offset }
    }

    /// Returns the message's key.
    pub fn key(&self) -> Option<&'a [u8]> {
        // SAFETY: the message lives as long as 'a, and its key has `key_len` bytes.
        unsafe { bytes((*self.raw).key, (*self.raw).key_len) }
    }

    /// Returns the message's value; `None` is a tombstone.
    pub fn value(&self) -> Option<&'a [u8]> {
        // SAFETY: the message lives as long as 'a, and its payload has `len` bytes.
        unsafe { bytes((*self.raw).payload, (*self.raw).len) }
    }

    /// Returns the message's timestamp in milliseconds.
    pub fn timestamp_ms(&self) -> Option<i64> {
        let mut kind = rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message lives as long as 'a; the call writes the kind.
        let timestamp = unsafe { rd_kafka_message_timestamp(self.raw, &raw mut kind) };
        (kind != rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && timestamp != -1)
            .then_some(timestamp)
    }

    /// Returns the names and values of the message's headers, in order. librdkafka cuts a
    /// name at its first NUL.
    pub fn headers(&self) -> Vec<(&'a [u8], Option<&'a [u8]>)> {
        let mut headers: *mut rd_kafka_headers_t = ptr::null_mut();
        // SAFETY: the message lives as long as 'a and owns its headers. They are parsed
        // once and never change after that. Neither messages nor headers are shared
        // between threads.
        let error = unsafe { rd_kafka_message_headers(self.raw, &raw mut headers) };
        if error != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || headers.is_null() {
            return Vec::new();
        }
        let mut found = Vec::new();
        let mut name: *const c_char = ptr::null();
        let mut value: *const c_void = ptr::null();
        let mut size = 0;
        // SAFETY: as above. If the call succeeds, name and value point into the headers,
        // and the name ends in NUL.
        unsafe {
            while rd_kafka_header_get_all(
                headers,
                found.len(),
                &raw mut name,
                &raw mut value,
                &raw mut size,
            ) == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
            {
                found.push((
                    CStr::from_ptr(name).to_bytes(),
                    bytes(value.cast_mut(), size),
                ));
            }
        }
        found
    }
}

/// # Safety
/// If `start` is not null, the `len` bytes from it on have to be readable and unchanged
/// for 'a.
unsafe fn bytes<'a>(start: *mut c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast::<u8>(), len) })
}

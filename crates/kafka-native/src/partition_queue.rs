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

/// Most messages that are taken at once.
const MAX_MESSAGES_PER_TAKE: usize = 1_000;

/// A partition's own queue of fetched messages, split off the consumer's. Reading a
/// thousand messages a call costs a fraction of reading each.
///
/// Not with `enable.partition.eof` on a consumer in a group: librdkafka 2.12.1
/// (`rd_kafka_q_serve_rkmessages`) takes the partition's end for a message and moves the
/// application's position one offset past it. A rebalance pauses and resumes at that
/// position, and the record that came meanwhile is skipped without an error. Found by
/// `cargo xtask chaos`.
///
/// To be split off before the partition is assigned: librdkafka leaves a queue alone that
/// the application has forwarded, so that nothing comes through the consumer's own queue.
pub struct PartitionQueue<K> {
    queue: *mut rd_kafka_queue_t,
    /// Told when the queue, having been empty, is not any more. librdkafka holds a
    /// pointer to it.
    arrived: Arc<Notify>,
    /// The consumer that the queue belongs to outlives it.
    consumer: Arc<K>,
}

// SAFETY: librdkafka's queues may be used from any thread; this one is read through `&mut
// self` only.
unsafe impl<K: Send + Sync> Send for PartitionQueue<K> {}
// SAFETY: a shared reference can do nothing with the queue.
unsafe impl<K: Send + Sync> Sync for PartitionQueue<K> {}

extern "C" fn on_arrival(_: *mut rd_kafka_t, arrived: *mut c_void) {
    // SAFETY: the pointer is that of the `Notify` which the queue's owner keeps until it
    // has switched this callback off.
    unsafe { &*arrived.cast::<Notify>() }.notify_one();
}

impl<K> PartitionQueue<K> {
    /// Splits a partition's queue off its consumer; `None` where there is no such
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
        // SAFETY: the queue is not null and ours until it is destroyed on drop. The
        // callback's pointer stays valid until then: `arrived` is kept, and is switched
        // off before it goes.
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

    /// Takes what has come, or waits until something comes. Nothing is lost where the
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
        let mut raw: Vec<*mut rd_kafka_message_t> = Vec::with_capacity(MAX_MESSAGES_PER_TAKE);
        // SAFETY: the queue is alive; the vector has room for as many pointers as the
        // call may write, and is then as long as it says it wrote.
        unsafe {
            let taken = rd_kafka_consume_batch_queue(
                self.queue,
                0,
                raw.as_mut_ptr(),
                MAX_MESSAGES_PER_TAKE,
            );
            raw.set_len(
                usize::try_from(taken)
                    .unwrap_or(0)
                    .min(MAX_MESSAGES_PER_TAKE),
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

/// Messages that were taken off a queue, and errors among them.
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

/// An error that stands in a partition's queue between its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueError {
    /// What went wrong; [`RDKafkaErrorCode::PartitionEOF`] is the end of what may be
    /// read.
    pub code: RDKafkaErrorCode,
    /// The offset that it is about: for the partition's end, that of the next record to
    /// come. Below zero if it is about none.
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

/// A message, as long as [`Messages`] lives.
pub struct Message<'a> {
    raw: *mut rd_kafka_message_t,
    _messages: PhantomData<&'a ()>,
}

impl<'a> Message<'a> {
    /// Returns its offset.
    pub fn offset(&self) -> i64 {
        // SAFETY: the message lives as long as 'a.
        unsafe { (*self.raw).offset }
    }

    /// Returns its key.
    pub fn key(&self) -> Option<&'a [u8]> {
        // SAFETY: the message lives as long as 'a, and its key has as many bytes as it
        // says.
        unsafe { bytes((*self.raw).key, (*self.raw).key_len) }
    }

    /// Returns its value; `None` is a tombstone.
    pub fn value(&self) -> Option<&'a [u8]> {
        // SAFETY: the message lives as long as 'a, and its payload has as many bytes as
        // it says.
        unsafe { bytes((*self.raw).payload, (*self.raw).len) }
    }

    /// Returns its timestamp in milliseconds.
    pub fn timestamp_ms(&self) -> Option<i64> {
        let mut kind = rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message lives as long as 'a; the call writes the kind.
        let timestamp = unsafe { rd_kafka_message_timestamp(self.raw, &raw mut kind) };
        (kind != rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && timestamp != -1)
            .then_some(timestamp)
    }

    /// Returns its headers, names and values, in order. librdkafka hands over a name up
    /// to its first NUL.
    pub fn headers(&self) -> Vec<(&'a [u8], Option<&'a [u8]>)> {
        let mut headers: *mut rd_kafka_headers_t = ptr::null_mut();
        // SAFETY: the message lives as long as 'a and owns its headers, which are parsed
        // once and not changed after; neither they nor their messages are shared between
        // threads.
        let error = unsafe { rd_kafka_message_headers(self.raw, &raw mut headers) };
        if error != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || headers.is_null() {
            return Vec::new();
        }
        let mut found = Vec::new();
        let (mut name, mut value, mut size): (*const c_char, *const c_void, usize) =
            (ptr::null(), ptr::null(), 0);
        // SAFETY: as above; where the call succeeds name and value point into the
        // headers, and the name ends in NUL.
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
/// Where `start` is not null, `len` bytes from it on have to be readable and unchanged
/// for 'a.
unsafe fn bytes<'a>(start: *mut c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast::<u8>(), len) })
}

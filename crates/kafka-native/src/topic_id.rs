use std::ffi::{CStr, CString};
use std::ptr;
use std::time::Duration;

use rdkafka::bindings::{
    RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT, rd_kafka_AdminOptions_destroy, rd_kafka_AdminOptions_new,
    rd_kafka_AdminOptions_set_broker, rd_kafka_AdminOptions_set_request_timeout,
    rd_kafka_DescribeTopics, rd_kafka_DescribeTopics_result_topics,
    rd_kafka_TopicCollection_destroy, rd_kafka_TopicCollection_of_topic_names,
    rd_kafka_TopicDescription_error, rd_kafka_TopicDescription_topic_id, rd_kafka_Uuid_base64str,
    rd_kafka_admin_op_t, rd_kafka_error_code, rd_kafka_event_DescribeTopics_result,
    rd_kafka_event_destroy, rd_kafka_event_error, rd_kafka_event_t, rd_kafka_event_type,
    rd_kafka_queue_destroy, rd_kafka_queue_new, rd_kafka_queue_poll, rd_kafka_resp_err_t,
};
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::RDKafkaErrorCode;

/// Why a topic's id is not known.
#[derive(Debug, thiserror::Error)]
pub enum TopicIdError {
    /// The broker did not answer in time.
    #[error("the broker did not answer in time with the id of topic {0:?}")]
    Timeout(String),
    /// The broker refuses, or has no such topic.
    #[error("the broker refused the request for the id of topic {topic:?}: {code}")]
    Refused {
        /// The requested topic.
        topic: String,
        /// The broker's reason.
        code: RDKafkaErrorCode,
    },
}

/// Asks a broker for a topic's id in base64, as Kafka's own tools print it. A topic that
/// is deleted and recreated has another id. Blocks for up to `timeout`. Brokers before
/// 2.8 have no ids and answer `AAAAAAAAAAAAAAAAAAAAAA`.
///
/// # Errors
/// The broker does not answer, or refuses.
pub fn topic_id<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    broker: i32,
    timeout: Duration,
) -> Result<String, TopicIdError> {
    let refused = |code| TopicIdError::Refused {
        topic: topic.to_owned(),
        code,
    };
    let name = CString::new(topic).map_err(|_| refused(RDKafkaErrorCode::InvalidTopic))?;
    let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let mut names = [name.as_ptr()];
    // SAFETY: the client is alive, as it is borrowed. Options, collection and queue are
    // created here, used by the one call, and destroyed once each. librdkafka copies from
    // the first two. The queue outlives the poll; a later answer is destroyed with it.
    let event = unsafe {
        let queue = rd_kafka_queue_new(client.native_ptr());
        let options = rd_kafka_AdminOptions_new(
            client.native_ptr(),
            rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
        );
        rd_kafka_AdminOptions_set_request_timeout(options, millis, ptr::null_mut(), 0);
        rd_kafka_AdminOptions_set_broker(options, broker, ptr::null_mut(), 0);
        let topics = rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        rd_kafka_DescribeTopics(client.native_ptr(), topics, options, queue);
        rd_kafka_TopicCollection_destroy(topics);
        rd_kafka_AdminOptions_destroy(options);
        let event = rd_kafka_queue_poll(queue, millis);
        rd_kafka_queue_destroy(queue);
        Event(event)
    };
    match event.topic_id() {
        None => Err(TopicIdError::Timeout(topic.to_owned())),
        Some(Err(rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__TIMED_OUT)) => {
            Err(TopicIdError::Timeout(topic.to_owned()))
        }
        Some(Err(code)) => Err(refused(code.into())),
        Some(Ok(id)) => Ok(id),
    }
}

/// The answer, destroyed when dropped; null if none came.
struct Event(*mut rd_kafka_event_t);

impl Event {
    fn topic_id(&self) -> Option<Result<String, rd_kafka_resp_err_t>> {
        if self.0.is_null() {
            return None;
        }
        // SAFETY: the event is not null and lives as long as self. Result, descriptions
        // and id are parts of it and are only read before it is dropped. Each pointer is
        // checked before it is followed, and `count` is the number of descriptions.
        unsafe {
            let error = rd_kafka_event_error(self.0);
            if error != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return Some(Err(error));
            }
            if rd_kafka_event_type(self.0) != RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT {
                return None;
            }
            let mut count = 0;
            let topics = rd_kafka_DescribeTopics_result_topics(
                rd_kafka_event_DescribeTopics_result(self.0),
                &raw mut count,
            );
            if topics.is_null() || count != 1 {
                return None;
            }
            let topic = *topics;
            let error = rd_kafka_error_code(rd_kafka_TopicDescription_error(topic));
            if error != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return Some(Err(error));
            }
            let text = rd_kafka_Uuid_base64str(rd_kafka_TopicDescription_topic_id(topic));
            (!text.is_null()).then(|| Ok(CStr::from_ptr(text).to_string_lossy().into_owned()))
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the event is ours and is destroyed once.
            unsafe { rd_kafka_event_destroy(self.0) };
        }
    }
}

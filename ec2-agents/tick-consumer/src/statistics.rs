//! What librdkafka's statistics say of who answers and of how far the log was read. They come without a request of their own, and know of every connection.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;

/// Time between two statistics. A thousand partitions make a megabyte of them, which takes 20 ms to write and read.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);

/// For how long Kafka has been silent, and where its logs end. Nobody stands here whose silence is not known: who cannot be reached goes on being silent since whenever that was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The group's coordinator, while the consumer is a member.
    pub(crate) group: Option<Duration>,
    /// The broker of each partition of the topic.
    pub(crate) partitions: HashMap<i32, Duration>,
    /// Where what may be read of a partition ends, if all of it has been taken. Offsets below that no message had
    /// belong to transaction markers and aborted records.
    pub(crate) ends: HashMap<i32, i64>,
}

/// The part of the statistics that is needed: <https://github.com/confluentinc/librdkafka/blob/v2.12.1/STATISTICS.md>.
#[derive(Deserialize)]
struct Statistics {
    brokers: HashMap<String, Broker>,
    topics: HashMap<String, Topic>,
    cgrp: Option<Group>,
}

#[derive(Deserialize)]
struct Broker {
    nodeid: i32,
    source: String,
    state: String,
    /// Requests without an answer yet.
    waitresp_cnt: i64,
    /// Microseconds since the last answer.
    rxidle: i64,
}

#[derive(Deserialize)]
struct Topic {
    partitions: HashMap<i32, Partition>,
}

#[derive(Deserialize)]
struct Partition {
    broker: i32,
    /// Messages that have been fetched and not been taken.
    fetchq_cnt: i64,
    /// The next offset to be fetched.
    next_offset: i64,
    /// The last stable offset: what may be read ends there.
    ls_offset: i64,
}

#[derive(Deserialize)]
struct Group {
    state: String,
    join_state: String,
}

impl Heard {
    /// Reads librdkafka's statistics.
    ///
    /// # Errors
    /// They are not the JSON that librdkafka documents.
    pub(crate) fn read(statistics: &[u8], topic: &str) -> serde_json::Result<Self> {
        let Statistics { brokers, mut topics, cgrp } = serde_json::from_slice(statistics)?;
        let is_member = cgrp.is_some_and(|group| group.state == "up" && group.join_state == "steady");
        // The only logical broker of a consumer is the connection to its coordinator.
        let coordinator = brokers.values().find(|broker| broker.source == "logical").filter(|_| is_member);
        let leaders: HashMap<i32, Duration> = brokers
            .values()
            .filter(|broker| broker.source != "logical")
            .filter_map(|broker| Some((broker.nodeid, broker.silence()?)))
            .collect();
        let silence = |partition: &Partition| match partition.fetchq_cnt {
            0 => leaders.get(&partition.broker).copied(),
            // Nothing is asked of a broker whose messages wait here for somebody to take them.
            _ => Some(Duration::ZERO),
        };
        let all = topics.remove(topic).map(|topic| topic.partitions).unwrap_or_default();
        let partitions = all.iter().filter_map(|(number, partition)| Some((*number, silence(partition)?))).collect();
        let ends = all.iter().filter_map(|(number, partition)| Some((*number, partition.end()?))).collect();
        Ok(Self { group: coordinator.and_then(Broker::silence), partitions, ends })
    }
}

impl Partition {
    fn end(&self) -> Option<i64> {
        (self.fetchq_cnt == 0 && self.next_offset >= 0 && self.next_offset == self.ls_offset).then_some(self.ls_offset)
    }
}

impl Broker {
    fn silence(&self) -> Option<Duration> {
        match (self.state.as_str(), self.waitresp_cnt, u64::try_from(self.rxidle)) {
            ("UP", 0, _) => Some(Duration::ZERO),
            ("UP", _, Ok(idle)) => Some(Duration::from_micros(idle)),
            _ => None,
        }
    }
}

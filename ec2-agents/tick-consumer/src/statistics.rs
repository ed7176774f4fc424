//! librdkafka's statistics: who answers, and how far the log was read. They come without
//! a request of their own, and know of every connection.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;

/// Time between two statistics. A thousand partitions make 0.75 MB of them, which a debug
/// build reads in 20 ms.
pub(crate) const STATISTICS_INTERVAL: Duration = Duration::from_secs(5);

/// For how long Kafka has been silent, and the ends of its logs. A broker is absent if
/// its silence is not known: a broker that cannot be reached stays silent since its last
/// answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The group's coordinator, while the consumer is a member.
    pub(crate) group: Option<Duration>,
    /// The broker of each partition of the topic.
    pub(crate) partitions: HashMap<i32, Duration>,
    /// The end of the readable log of a partition, if all of it has been taken. Offsets
    /// below it without a message belong to transaction markers and aborted records.
    pub(crate) ends: HashMap<i32, i64>,
}

/// The part of the statistics that is needed:
/// <https://github.com/confluentinc/librdkafka/blob/v2.12.1/STATISTICS.md>.
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
    /// The last stable offset: the end of the readable log.
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
        let Statistics {
            brokers,
            mut topics,
            cgrp,
        } = serde_json::from_slice(statistics)?;
        let is_member =
            cgrp.is_some_and(|group| group.state == "up" && group.join_state == "steady");
        // The only logical broker of a consumer is the connection to its coordinator.
        let coordinator = brokers
            .values()
            .find(|broker| broker.source == "logical")
            .filter(|_| is_member);
        let leaders: HashMap<i32, Duration> = brokers
            .values()
            .filter(|broker| broker.source != "logical")
            .filter_map(|broker| Some((broker.nodeid, broker.silence()?)))
            .collect();
        let silence = |partition: &Partition| match partition.fetchq_cnt {
            0 => leaders.get(&partition.broker).copied(),
            // Nothing is asked of a broker whose messages wait here for somebody to take
            // them.
            _ => Some(Duration::ZERO),
        };
        let all = topics
            .remove(topic)
            .map(|topic| topic.partitions)
            .unwrap_or_default();
        let partitions = all
            .iter()
            .filter_map(|(number, partition)| Some((*number, silence(partition)?)))
            .collect();
        let ends = all
            .iter()
            .filter_map(|(number, partition)| Some((*number, partition.end()?)))
            .collect();
        Ok(Self {
            group: coordinator.and_then(Broker::silence),
            partitions,
            ends,
        })
    }
}

impl Partition {
    fn end(&self) -> Option<i64> {
        (self.fetchq_cnt == 0 && self.next_offset >= 0 && self.next_offset == self.ls_offset)
            .then_some(self.ls_offset)
    }
}

impl Broker {
    fn silence(&self) -> Option<Duration> {
        match (
            self.state.as_str(),
            self.waitresp_cnt,
            u64::try_from(self.rxidle),
        ) {
            ("UP", 0, _) => Some(Duration::ZERO),
            ("UP", _, Ok(idle)) => Some(Duration::from_micros(idle)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(group: &str, coordinator: &str, leader: &str, waiting: i64) -> Heard {
        let statistics = format!(
            r#"{{"name": "ticklake#consumer-1", "brokers": {{
                "GroupCoordinator": {{"nodeid": -1, "source": "logical", {coordinator}}},
                "127.0.0.1:9092/1": {{"nodeid": 1, "source": "learned", {leader}, "toppars": {{}}}}}},
            "topics": {{"ticks": {{"topic": "ticks", "partitions": {{
                "3": {{"partition": 3, "broker": 1, "leader": 1, "fetchq_cnt": {waiting}, "next_offset": 7, "ls_offset": 7}},
                "-1": {{"partition": -1, "broker": -1, "leader": -1, "fetchq_cnt": 0, "next_offset": -1001, "ls_offset": -1001}}}}}}}},
            "cgrp": {{{group}}}, "tx": 4}}"#
        );
        Heard::read(statistics.as_bytes(), "ticks").expect(&statistics)
    }

    const MEMBER: &str = r#""state": "up", "join_state": "steady""#;
    const IDLE: &str = r#""state": "UP", "waitresp_cnt": 0, "rxidle": 9000000"#;
    const SILENT: &str = r#""state": "UP", "waitresp_cnt": 1, "rxidle": 9000000"#;
    const SIGNING_IN: &str = r#""state": "AUTH_REQ", "waitresp_cnt": 1, "rxidle": 1000"#;
    const DOWN: &str = r#""state": "DOWN", "waitresp_cnt": 0, "rxidle": -1"#;

    #[test]
    fn who_is_asked_and_does_not_answer_is_silent() {
        let nine = Duration::from_secs(9);
        let silences = |group, partition: Option<Duration>| {
            (
                group,
                partition.map(|silence| (3, silence)).into_iter().collect(),
            )
        };
        let read = |group, coordinator, leader, waiting| {
            let Heard {
                group, partitions, ..
            } = read(group, coordinator, leader, waiting);
            (group, partitions)
        };
        assert_eq!(
            read(MEMBER, SILENT, SILENT, 0),
            silences(Some(nine), Some(nine))
        );
        assert_eq!(
            read(MEMBER, IDLE, IDLE, 0),
            silences(Some(Duration::ZERO), Some(Duration::ZERO)),
            "nobody asked anything"
        );
        assert_eq!(
            read(MEMBER, SIGNING_IN, DOWN, 0),
            silences(None, None),
            "a refused password is answered, too"
        );
        assert_eq!(
            read(MEMBER, DOWN, DOWN, 7),
            silences(None, Some(Duration::ZERO)),
            "messages wait here, and none are fetched"
        );
        assert_eq!(
            read(r#""state": "up", "join_state": "wait-join""#, IDLE, IDLE, 0).0,
            None
        );
        assert_eq!(
            read(
                r#""state": "wait-coord", "join_state": "steady""#,
                IDLE,
                IDLE,
                0
            )
            .0,
            None
        );
    }

    #[test]
    fn the_end_is_known_once_everything_before_it_was_taken() {
        assert_eq!(read(MEMBER, IDLE, IDLE, 0).ends, HashMap::from([(3, 7)]));
        assert_eq!(read(MEMBER, IDLE, IDLE, 1).ends, HashMap::new());
    }
}

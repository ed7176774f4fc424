use anyhow::anyhow;
use lake::Fault;

use super::errands::Errands;

/// Returns why a partition cannot be landed any further, with the remedy.
pub(super) fn explain(fault: &Fault, errands: &Errands) -> anyhow::Error {
    let (topic, bucket) = (errands.topic.name(), errands.bucket.name());
    let partition = errands.partition;
    match fault {
        Fault::TopicMadeAnew { was, now, next } => anyhow!(
            "topic {topic:?} was deleted and recreated since offset {next} of partition \
             {partition} was landed (topic id {was} → {now})\n  \
             the lake in s3://{bucket}/ holds the old topic: land the new one into another bucket \
             (setting lake.bucket) or under another topic's name"
        ),
        Fault::LogTruncated { next, end } => anyhow!(
            "the log of partition {partition} of topic {topic:?} ends at {end}, and {next} offsets \
             of it have landed: records that were acknowledged are gone from Kafka\n  \
             look for an unclean leader election or restored disks; the lake in s3://{bucket}/ \
             still has them. Once the log is to be trusted again, \
             land it under another topic's name or into another bucket (setting lake.bucket)"
        ),
        Fault::ForeignObject { key } => anyhow!(
            "s3://{bucket}/{key} is in the way: another program wrote it where an object of topic \
             {topic:?} has to go\n  move it away"
        ),
    }
}

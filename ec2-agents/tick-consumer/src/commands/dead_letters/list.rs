use anyhow::Result;

use super::found::{Choice, each};
use crate::config::Config;
use crate::lake_bucket::LakeBucket;

/// Characters of a value that a list shows.
const MAX_SHOWN_CHARS: usize = 60;

/// Prints the dead letters of the topic, one a line.
pub(crate) async fn list(config: &Config, bucket: &LakeBucket, choice: &Choice) -> Result<()> {
    let topic = &config.kafka.topic;
    let mut count = 0_u64;
    each(bucket, topic, choice, async |found| {
        count += 1;
        let value = found
            .letter
            .value
            .as_deref()
            .map(String::from_utf8_lossy)
            .unwrap_or_default();
        let mut shown: String = value
            .chars()
            .take(MAX_SHOWN_CHARS)
            .map(|c| if c.is_control() { '·' } else { c })
            .collect();
        if value.chars().count() > MAX_SHOWN_CHARS {
            shown.push('…');
        }
        println!("{:<16} {}   {shown}", found.name(), found.letter.reason);
        Ok(())
    })
    .await?;
    println!("{} of topic {topic}", wording::count(count, "dead letter"));
    Ok(())
}

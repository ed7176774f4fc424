use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::answer::text;
use super::ask_until::ask_until;
use super::outcome::Outcome;
use super::stack::Stack;

/// The alarm that is set off: every stack has it.
const SET_OFF: &str = "CrawlFailedAlarm";
/// The reason it is set off; tells the alarms of this command from the stack's own.
pub(super) const REASON: &str = "cargo xtask aws-check: does an alarm reach the operator's topic?";
/// How long CloudWatch may take to publish.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(30);
/// Time between two looks at the alarm's history.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// `alarm-publishes`
pub(super) async fn publishes(stack: &Stack) -> Result<Outcome> {
    let topic = stack.output("OperatorTopicArn")?;
    let alarm = stack.resource(SET_OFF)?;
    let asked = json!({"AlarmNames": [alarm]});
    let described = stack.call("cloudwatch", "describe_alarms", asked).await?;
    let state = text(&described["MetricAlarms"][0]["StateValue"]);
    if state == "ALARM" {
        return Ok(Outcome::LeftOut(format!(
            "{SET_OFF} is in ALARM already, and publishes only when its state changes"
        )));
    }
    let before = actions(stack, alarm).await?;
    set(stack, alarm, "ALARM").await?;
    let item = wait_for_action(stack, alarm, &before).await;
    set(stack, alarm, state).await?;
    Ok(judge_published(item?.as_ref(), topic))
}

async fn set(stack: &Stack, alarm: &str, state: &str) -> Result<()> {
    let wanted = json!({"AlarmName": alarm, "StateValue": state, "StateReason": REASON});
    stack.call("cloudwatch", "set_alarm_state", wanted).await?;
    Ok(())
}

async fn actions(stack: &Stack, alarm: &str) -> Result<Vec<Value>> {
    let asked = json!({"AlarmName": alarm, "HistoryItemType": "Action"});
    Ok(stack
        .account
        .pages(
            "cloudwatch",
            "describe_alarm_history",
            asked,
            "AlarmHistoryItems",
        )
        .await?)
}

async fn wait_for_action(stack: &Stack, alarm: &str, before: &[Value]) -> Result<Option<Value>> {
    let new = async || {
        let actions = actions(stack, alarm).await?;
        Ok(actions.into_iter().find(|item| !before.contains(item)))
    };
    ask_until(PUBLISH_TIMEOUT, POLL_INTERVAL, new, Option::is_some).await
}

fn judge_published(item: Option<&Value>, topic: &str) -> Outcome {
    let seen = match item {
        Some(item) => text(&item["HistorySummary"]).to_owned(),
        None => format!(
            "{SET_OFF} ran no action within {} s",
            PUBLISH_TIMEOUT.as_secs()
        ),
    };
    let is_right = seen.starts_with("Successfully executed action") && seen.contains(topic);
    Outcome::of(
        is_right,
        seen,
        &format!("Successfully executed action {topic}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-central-1:111122223333:t-OperatorTopic-1X";

    #[test]
    fn a_topic_whose_key_shuts_alarms_out_fails() {
        let judged =
            |summary: String| judge_published(Some(&json!({"HistorySummary": summary})), TOPIC);
        let published = judged(format!("Successfully executed action {TOPIC}"));
        assert!(matches!(published, Outcome::Ok(_)), "{published:?}");
        let elsewhere = judged("Successfully executed action arn:aws:sns:x:1:other".to_owned());
        assert!(matches!(elsewhere, Outcome::Failed(_)), "{elsewhere:?}");
        let refused = judged(format!(
            "Failed to execute action {TOPIC}. Received error: \
             \"CloudWatch Alarms does not have authorization\""
        ));
        let Outcome::Failed(said) = refused else {
            panic!("a refused action passed")
        };
        assert!(said.contains("does not have authorization"), "{said}");
        assert!(matches!(judge_published(None, TOPIC), Outcome::Failed(_)));
    }
}

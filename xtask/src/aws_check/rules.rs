use anyhow::Result;
use serde_json::{Value, json};

use super::answer::{items, text};
use super::outcome::Outcome;
use super::queues;
use super::stack::Stack;

/// The rules and the outputs that name the queues they send to.
const RULES: [(&str, &str); 2] = [
    ("CrawlRule", "CrawlQueueUrl"),
    ("NotifyRule", "NotifyQueueUrl"),
];

/// `rules-enabled`
pub(super) async fn enabled(stack: &Stack) -> Result<Outcome> {
    let mut faults = Vec::new();
    for (logical, queue) in RULES {
        let rule = stack.resource(logical)?;
        let described = stack
            .call("events", "describe_rule", json!({"Name": rule}))
            .await?;
        let asked = json!({"Rule": rule});
        let targets = stack.call("events", "list_targets_by_rule", asked).await?;
        let queue = queues::attributes_of(stack, queue).await?;
        faults.extend(fault(
            logical,
            &described,
            items(&targets["Targets"]),
            text(&queue["QueueArn"]),
        ));
    }
    let seen = RULES.map(|(logical, _)| logical).join(", ");
    Ok(Outcome::of_faults(
        &faults,
        seen,
        "ENABLED, with the queue as target",
    ))
}

fn fault(logical: &str, rule: &Value, targets: &[Value], queue: &str) -> Option<String> {
    if rule["State"] != "ENABLED" {
        return Some(format!("{logical} is {}", text(&rule["State"])));
    }
    let arns: Vec<&str> = targets.iter().map(|target| text(&target["Arn"])).collect();
    (!arns.contains(&queue)).then(|| format!("{logical} sends to {arns:?}, not to {queue}"))
}

/// `bucket-events`
pub(super) async fn bucket_events(stack: &Stack) -> Result<Outcome> {
    let asked = json!({"Bucket": stack.output("LakeBucket")?});
    Ok(judge_bucket(
        &stack
            .call("s3", "get_bucket_notification_configuration", asked)
            .await?,
    ))
}

fn judge_bucket(configuration: &Value) -> Outcome {
    let is_on = configuration["EventBridgeConfiguration"].is_object();
    Outcome::of(
        is_on,
        if is_on {
            "EventBridge is on"
        } else {
            "EventBridge is off"
        },
        "on, also in the bucket of an earlier stack (ExistingBucket)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_is_off_or_sends_elsewhere_is_named() {
        let queue = "arn:aws:sqs:eu-central-1:111122223333:t-CrawlQueue-1X";
        let fault = |state: &str, targets: &[Value]| {
            fault("CrawlRule", &json!({"State": state}), targets, queue)
        };
        let target = |arn: &str| [json!({"Id": "crawl-queue", "Arn": arn})];
        assert_eq!(fault("ENABLED", &target(queue)), None);
        assert_eq!(
            fault("DISABLED", &target(queue)),
            Some("CrawlRule is DISABLED".into())
        );
        let elsewhere = fault("ENABLED", &target("arn:another")).unwrap_or_default();
        assert!(
            elsewhere.starts_with("CrawlRule sends to [\"arn:another\"]"),
            "{elsewhere}"
        );
        assert!(fault("ENABLED", &[]).is_some());
    }

    #[test]
    fn a_bucket_without_event_bridge_is_a_fault() {
        let on = judge_bucket(&json!({"EventBridgeConfiguration": {}}));
        assert!(matches!(on, Outcome::Ok(_)), "{on:?}");
        assert!(matches!(judge_bucket(&json!({})), Outcome::Failed(_)));
    }
}

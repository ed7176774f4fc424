use anyhow::Result;
use serde_json::{Value, json};
use wording::count;

use super::answer::text;
use super::outcome::Outcome;
use super::stack::Stack;

const QUEUES: [&str; 3] = ["CrawlQueueUrl", "NotifyQueueUrl", "CurateQueueUrl"];
const DEAD_LETTER_QUEUES: [&str; 3] = [
    "CrawlDeadLetterQueueUrl",
    "NotifyDeadLetterQueueUrl",
    "CurateDeadLetterQueueUrl",
];

/// Returns the attributes of the queue that an output names.
pub(super) async fn attributes_of(stack: &Stack, output: &str) -> Result<Value> {
    let asked = json!({"QueueUrl": stack.output(output)?, "AttributeNames": ["All"]});
    let mut answer = stack.call("sqs", "get_queue_attributes", asked).await?;
    Ok(answer["Attributes"].take())
}

/// Returns the attributes of queues, each with the output that names it. With
/// `Curate=off` the stack has none for `curate`.
async fn attributes(
    stack: &Stack,
    outputs: impl IntoIterator<Item = &'static str>,
) -> Result<Vec<(&'static str, Value)>> {
    let has_curate = stack.parameter("Curate")? == "on";
    let mut found = Vec::new();
    for output in outputs {
        if has_curate || !output.starts_with("Curate") {
            found.push((output, attributes_of(stack, output).await?));
        }
    }
    Ok(found)
}

/// `dead-letters-empty`
pub(super) async fn dead_letters_empty(stack: &Stack) -> Result<Outcome> {
    Ok(judge_empty(&attributes(stack, DEAD_LETTER_QUEUES).await?))
}

fn judge_empty(queues: &[(&str, Value)]) -> Outcome {
    let fault = |(output, attributes): &(&str, Value)| {
        // A message that somebody is looking at is not visible.
        let counts = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
        ]
        .map(|name| text(&attributes[name]).parse::<u64>());
        match counts {
            [Ok(0), Ok(0)] => None,
            [Ok(visible), Ok(in_flight)] => {
                let messages = count(visible + in_flight, "message");
                Some(format!("{messages} in {output}"))
            }
            _ => Some(format!("an unknown number of messages in {output}")),
        }
    };
    Outcome::of_faults(
        &queues.iter().filter_map(fault).collect::<Vec<_>>(),
        "no messages",
        "0; see docs/runbook.md#crawl-dead-letters, #mail-dead-letters, #curate-dead-letters",
    )
}

/// `queues-encrypted`
pub(super) async fn encrypted(stack: &Stack) -> Result<Outcome> {
    let outputs = QUEUES.into_iter().chain(DEAD_LETTER_QUEUES);
    Ok(judge_encrypted(&attributes(stack, outputs).await?))
}

fn judge_encrypted(queues: &[(&str, Value)]) -> Outcome {
    let fault = |(output, attributes): &(&str, Value)| {
        let (managed, key) = (
            &attributes["SqsManagedSseEnabled"],
            &attributes["KmsMasterKeyId"],
        );
        let is_encrypted = managed == "true" || !text(key).is_empty();
        (!is_encrypted).then(|| format!("{output} has SqsManagedSseEnabled {managed} and no key"))
    };
    Outcome::of_faults(
        &queues.iter().filter_map(fault).collect::<Vec<_>>(),
        format!("{} queues", queues.len()),
        "SqsManagedSseEnabled true, or a KmsMasterKeyId",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_that_somebody_looks_at_counts() {
        let judged = |visible: &str, in_flight: &str| {
            let attributes = json!({"ApproximateNumberOfMessages": visible,
                "ApproximateNumberOfMessagesNotVisible": in_flight});
            judge_empty(&[("Q", attributes)])
        };
        assert!(matches!(judged("0", "0"), Outcome::Ok(_)));
        let Outcome::Failed(said) = judged("1", "2") else {
            panic!("dead letters passed")
        };
        assert!(said.starts_with("3 messages in Q; wanted 0"), "{said}");
        let unknown = judge_empty(&[("Q", json!({}))]);
        assert!(
            matches!(unknown, Outcome::Failed(_)),
            "no answer is not empty"
        );
    }

    #[test]
    fn a_queue_that_is_not_encrypted_is_named() {
        let judged = |attributes: Value| judge_encrypted(&[("Q", attributes)]);
        assert!(matches!(
            judged(json!({"SqsManagedSseEnabled": "true"})),
            Outcome::Ok(_)
        ));
        let own_key = json!({"SqsManagedSseEnabled": "false", "KmsMasterKeyId": "arn:aws:kms:k"});
        assert!(matches!(judged(own_key), Outcome::Ok(_)));
        let Outcome::Failed(said) = judged(json!({"SqsManagedSseEnabled": "false"})) else {
            panic!("an open queue passed")
        };
        assert!(
            said.starts_with("Q has SqsManagedSseEnabled \"false\" and no key"),
            "{said}"
        );
    }
}

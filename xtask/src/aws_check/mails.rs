use anyhow::Result;
use serde_json::{Value, json};

use super::answer::text;
use super::outcome::Outcome;
use super::stack::Stack;

/// `subscriber-confirmed`
pub(super) async fn subscriber_confirmed(stack: &Stack) -> Result<Outcome> {
    let least = stack.number("ExpectedSubscriptions")?;
    confirmed(stack, "NewFilesTopicArn", "SubscriberEmail", least).await
}

/// `operator-confirmed`
pub(super) async fn operator_confirmed(stack: &Stack) -> Result<Outcome> {
    confirmed(stack, "OperatorTopicArn", "OperatorEmail", 0).await
}

async fn confirmed(stack: &Stack, topic: &str, email: &str, least: u64) -> Result<Outcome> {
    let asked = json!({"TopicArn": stack.output(topic)?});
    let answer = stack.call("sns", "get_topic_attributes", asked).await?;
    let has_email = !stack.parameter(email)?.is_empty();
    Ok(judge(
        &answer["Attributes"],
        least.max(u64::from(has_email)),
        email,
    ))
}

fn judge(attributes: &Value, least: u64, email: &str) -> Outcome {
    let count = |name: &str| text(&attributes[name]).parse::<u64>().ok();
    let counts = (
        count("SubscriptionsConfirmed"),
        count("SubscriptionsPending"),
    );
    let (Some(confirmed), Some(pending)) = counts else {
        let seen = format!("the topic's attributes are {attributes}");
        return Outcome::of(
            false,
            seen,
            "SubscriptionsConfirmed and SubscriptionsPending",
        );
    };
    if confirmed + pending + least == 0 {
        return Outcome::LeftOut(format!("nobody is subscribed, and {email} is empty"));
    }
    Outcome::of(
        confirmed >= least && pending == 0,
        format!("{confirmed} confirmed, {pending} pending"),
        &format!(
            "at least {least} confirmed and none pending; \
             the mail to confirm may be in the junk folder"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_that_is_pending_or_missing_fails_and_none_at_all_is_left_out() {
        let judged = |confirmed: &str, pending: &str, least: u64| {
            let attributes =
                json!({"SubscriptionsConfirmed": confirmed, "SubscriptionsPending": pending});
            judge(&attributes, least, "E")
        };
        assert!(matches!(judged("1", "0", 1), Outcome::Ok(_)));
        assert!(matches!(judged("1", "1", 1), Outcome::Failed(_)));
        assert!(matches!(judged("1", "0", 2), Outcome::Failed(_)));
        assert!(matches!(judged("0", "0", 1), Outcome::Failed(_)));
        assert_eq!(
            judged("0", "0", 0),
            Outcome::LeftOut("nobody is subscribed, and E is empty".into())
        );
        assert!(matches!(judge(&Value::Null, 0, "E"), Outcome::Failed(_)));
    }
}

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::answer::{items, text};
use super::outcome::Outcome;
use super::set_off;
use super::stack::Stack;

/// How long CloudWatch keeps an alarm's history: 30 days.
const HISTORY: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The time of a first deployment, and a while for its alarms to see it.
const AT_FIRST: SignedDuration = SignedDuration::from_hours(1);

/// Returns the alarms of the stack.
pub(super) async fn of_stack(stack: &Stack) -> Result<Vec<Value>> {
    let names = stack.of_type("AWS::CloudWatch::Alarm");
    if names.is_empty() {
        // Without names the call is about every alarm of the account.
        return Ok(Vec::new());
    }
    let asked = json!({"AlarmNames": names});
    Ok(stack
        .account
        .pages("cloudwatch", "describe_alarms", asked, "MetricAlarms")
        .await?)
}

/// `alarms-quiet`
pub(super) async fn quiet(stack: &Stack) -> Result<Outcome> {
    Ok(judge_quiet(&of_stack(stack).await?, |name| {
        stack.logical(name)
    }))
}

fn judge_quiet<'a>(alarms: &'a [Value], logical: impl Fn(&'a str) -> &'a str) -> Outcome {
    if alarms.is_empty() {
        return Outcome::of(false, "no alarms", "those of the template");
    }
    let reports_missing_data = |alarm: &Value| !items(&alarm["InsufficientDataActions"]).is_empty();
    let loud = alarms
        .iter()
        .filter(|alarm| match text(&alarm["StateValue"]) {
            "OK" => false,
            "INSUFFICIENT_DATA" => reports_missing_data(alarm),
            _ => true,
        });
    let fault = |alarm: &'a Value| {
        let [name, state, reason] =
            ["AlarmName", "StateValue", "StateReason"].map(|field| text(&alarm[field]));
        format!("{} is {state} ({reason})", logical(name))
    };
    Outcome::of_faults(
        &loud.map(fault).collect::<Vec<_>>(),
        format!("{} alarms", alarms.len()),
        "OK, or INSUFFICIENT_DATA if the alarm has no action for it",
    )
}

/// `no-alarm-at-first`
pub(super) async fn none_at_first(stack: &Stack) -> Result<Outcome> {
    if Timestamp::now().duration_since(stack.created) > HISTORY {
        return Ok(Outcome::LeftOut(
            "the stack is older than the 30 days for which CloudWatch keeps the history".to_owned(),
        ));
    }
    let asked = json!({
        "HistoryItemType": "StateUpdate",
        "StartDate": stack.created.to_string(),
        "EndDate": (stack.created + AT_FIRST).to_string(),
    });
    let history = stack
        .account
        .pages(
            "cloudwatch",
            "describe_alarm_history",
            asked,
            "AlarmHistoryItems",
        )
        .await?;
    let alarms = stack.of_type("AWS::CloudWatch::Alarm");
    Ok(judge_at_first(&history, &alarms, |name| {
        stack.logical(name)
    }))
}

fn judge_at_first<'a>(
    history: &'a [Value],
    alarms: &[&str],
    logical: impl Fn(&'a str) -> &'a str,
) -> Outcome {
    let fired = history.iter().filter(|item| {
        alarms.contains(&text(&item["AlarmName"]))
            && text(&item["HistorySummary"]).ends_with("to ALARM")
            && !text(&item["HistoryData"]).contains(set_off::REASON)
    });
    let fault = |item: &'a Value| {
        format!(
            "{} at {}",
            logical(text(&item["AlarmName"])),
            text(&item["Timestamp"])
        )
    };
    Outcome::of_faults(
        &fired.map(fault).collect::<Vec<_>>(),
        "no alarm fired in the first hour",
        "no alarm in the first hour",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_quiet(state: &str, insufficient: &[&str]) -> bool {
        let alarm = json!({"AlarmName": "t-LagAlarm-1X", "StateValue": state,
            "StateReason": "Threshold Crossed", "InsufficientDataActions": insufficient});
        matches!(judge_quiet(&[alarm], |name| name), Outcome::Ok(_))
    }

    #[test]
    fn missing_data_is_a_fault_only_of_an_alarm_that_reports_it() {
        let topic = ["arn:aws:sns:eu-central-1:111122223333:t-OperatorTopic-1X"];
        assert!(is_quiet("OK", &topic) && is_quiet("INSUFFICIENT_DATA", &[]));
        assert!(!is_quiet("INSUFFICIENT_DATA", &topic) && !is_quiet("ALARM", &[]));
        let without_alarms = judge_quiet(&[], |name| name);
        assert!(
            matches!(without_alarms, Outcome::Failed(_)),
            "{without_alarms:?}"
        );
    }

    #[test]
    fn only_alarms_of_the_stack_that_fired_by_themselves_count() {
        let is_ok = |name: &str, summary: &str, data: &str| {
            let item = json!({"AlarmName": name, "HistorySummary": summary, "HistoryData": data});
            matches!(
                judge_at_first(&[item], &["mine"], |name| name),
                Outcome::Ok(_)
            )
        };
        let to_alarm = "Alarm updated from OK to ALARM";
        assert!(!is_ok("mine", to_alarm, "{}"));
        assert!(is_ok("mine", "Alarm updated from ALARM to OK", "{}"));
        assert!(is_ok("of-another-stack", to_alarm, "{}"));
        assert!(is_ok("mine", to_alarm, set_off::REASON));
    }
}

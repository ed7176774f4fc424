use anyhow::Result;
use serde_json::{Value, json};

use super::answer::{items, text};
use super::outcome::Outcome;
use super::stack::Stack;

/// `settings-readable`
pub(super) async fn readable(stack: &Stack) -> Result<Outcome> {
    let bucket = stack.output("LakeBucket")?;
    let mut faults = Vec::new();
    for (output, bucket) in [
        ("ConsumerConfigName", Some(bucket)),
        ("ProducerConfigName", None),
    ] {
        let name = stack.output(output)?;
        let answer = stack
            .call("ssm", "get_parameter", json!({"Name": name}))
            .await?;
        faults.extend(fault(name, text(&answer["Parameter"]["Value"]), bucket));
    }
    Ok(Outcome::of_faults(
        &faults,
        "both agents' settings",
        "the settings as the template writes them",
    ))
}

fn fault(name: &str, value: &str, bucket: Option<&str>) -> Option<String> {
    let settings: Value = match serde_json::from_str(value) {
        Ok(settings) => settings,
        Err(error) => return Some(format!("{name} is not JSON ({error})")),
    };
    if text(&settings["kafka"]["brokers"]).is_empty() {
        return Some(format!("{name} names no kafka.brokers"));
    }
    let lake = &settings["lake"]["bucket"];
    bucket
        .filter(|bucket| lake != bucket)
        .map(|bucket| format!("lake.bucket of {name} is {lake}, not {bucket}"))
}

/// `log-retention`
pub(super) async fn log_retention(stack: &Stack) -> Result<Outcome> {
    let days = stack.number("LogRetentionDays")?;
    let names = stack.of_type("AWS::Logs::LogGroup");
    let mut faults = Vec::new();
    for name in &names {
        let asked = json!({"logGroupNamePrefix": name});
        let answer = stack.call("logs", "describe_log_groups", asked).await?;
        let mut groups = items(&answer["logGroups"]).iter();
        faults.extend(retention_fault(
            name,
            groups.find(|group| group["logGroupName"] == *name),
            days,
        ));
    }
    Ok(Outcome::of_faults(
        &faults,
        format!("{} log groups, {days} days", names.len()),
        &format!("{days} days (LogRetentionDays)"),
    ))
}

fn retention_fault(name: &str, group: Option<&Value>, days: u64) -> Option<String> {
    let Some(group) = group else {
        return Some(format!("there is no log group {name}"));
    };
    match group["retentionInDays"].as_u64() {
        Some(kept) if kept == days => None,
        Some(kept) => Some(format!("{name} keeps its logs for {kept} days")),
        None => Some(format!("{name} keeps its logs for ever")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_another_bucket_and_settings_that_are_cut_off_are_faults() {
        let settings = r#"{"kafka":{"brokers":"b:9092"},"lake":{"bucket":"mine"}}"#;
        assert_eq!(fault("/t/c", settings, Some("mine")), None);
        assert_eq!(fault("/t/c", settings, None), None);
        assert_eq!(
            fault("/t/c", settings, Some("yours")),
            Some("lake.bucket of /t/c is \"mine\", not yours".into())
        );
        let cut_off = fault("/t/c", &settings[..20], None).unwrap_or_default();
        assert!(cut_off.starts_with("/t/c is not JSON"), "{cut_off}");
        assert_eq!(
            fault("/t/c", "{}", None),
            Some("/t/c names no kafka.brokers".into())
        );
    }

    #[test]
    fn a_log_group_that_keeps_its_logs_for_ever_is_a_fault() {
        let fault = |group: Value| retention_fault("/g", Some(&group), 30);
        assert_eq!(fault(json!({"retentionInDays": 30})), None);
        assert_eq!(
            fault(json!({"storedBytes": 0})),
            Some("/g keeps its logs for ever".into())
        );
        assert_eq!(
            fault(json!({"retentionInDays": 7})),
            Some("/g keeps its logs for 7 days".into())
        );
        assert_eq!(
            retention_fault("/g", None, 30),
            Some("there is no log group /g".into())
        );
    }
}

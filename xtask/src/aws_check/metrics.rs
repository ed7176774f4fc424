use anyhow::Result;
use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};
use serde_json::{Value, json};

use super::alarms;
use super::answer::{items, text};
use super::outcome::Outcome;
use super::stack::Stack;

/// Namespace of ticklake's own metrics.
const NAMESPACE: &str = "ticklake";
/// Metrics that are absent until something fails: the functions write no counter that is
/// 0.
const OF_FAILURES: [&str; 1] = ["PublishFailures"];
/// Minutes that are looked at, up to two minutes ago: the CloudWatch agent and CloudWatch
/// take their time.
const WINDOW_MINUTES: i64 = 15;
/// Number of those minutes that must have all consumers: one reports late now and then.
const MIN_DATAPOINTS: usize = 13;

/// `metrics-arrive`
pub(super) async fn arrive(stack: &Stack) -> Result<Outcome> {
    let alarms = alarms::of_stack(stack).await?;
    let asked = json!({"Namespace": NAMESPACE});
    let metrics = stack
        .account
        .pages("cloudwatch", "list_metrics", asked, "Metrics")
        .await?;
    Ok(judge_arrive(&alarms, &metrics))
}

fn judge_arrive(alarms: &[Value], metrics: &[Value]) -> Outcome {
    let is_watched = |alarm: &&Value| {
        alarm["Namespace"] == NAMESPACE && !OF_FAILURES.contains(&text(&alarm["MetricName"]))
    };
    let mut watched: Vec<&Value> = alarms.iter().filter(is_watched).collect();
    watched.sort_by_key(|alarm| text(&alarm["MetricName"]));
    watched.dedup_by_key(|alarm| text(&alarm["MetricName"]));
    let is_present = |alarm: &Value| {
        metrics.iter().any(|metric| {
            metric["MetricName"] == alarm["MetricName"]
                && metric["Dimensions"] == alarm["Dimensions"]
        })
    };
    let missing = watched.iter().filter(|alarm| !is_present(alarm));
    let missing: Vec<&str> = missing.map(|alarm| text(&alarm["MetricName"])).collect();
    let present = watched.len() - missing.len();
    let seen = format!("{present} of {} metrics that alarms watch", watched.len());
    let wanted = format!("also {}, with the alarms' dimensions", missing.join(", "));
    Outcome::of(missing.is_empty() && !watched.is_empty(), seen, &wanted)
}

/// `consumers-report`
pub(super) async fn consumers_report(stack: &Stack) -> Result<Outcome> {
    let consumers = stack.number("Consumers")?;
    if consumers == 0 {
        return Ok(Outcome::LeftOut(
            "the stack has no consumers (Consumers=0)".to_owned(),
        ));
    }
    let asked = json!({"AlarmNames": [stack.resource("ConsumerSilentAlarm")?]});
    let described = stack.call("cloudwatch", "describe_alarms", asked).await?;
    let alarm = &described["MetricAlarms"][0];
    let (start, end) = window(Timestamp::now())?;
    let asked = json!({
        "Namespace": alarm["Namespace"],
        "MetricName": alarm["MetricName"],
        "Dimensions": alarm["Dimensions"],
        "Statistics": ["SampleCount"],
        "Period": 60,
        "StartTime": start.to_string(),
        "EndTime": end.to_string(),
    });
    let answer = stack
        .call("cloudwatch", "get_metric_statistics", asked)
        .await?;
    Ok(judge_report(items(&answer["Datapoints"]), consumers))
}

/// Returns the begin and the end of the minutes that are looked at. They are whole
/// minutes: CloudWatch answers for one minute more if the first one is cut.
fn window(now: Timestamp) -> Result<(Timestamp, Timestamp)> {
    let to_the_minute = TimestampRound::new()
        .smallest(Unit::Minute)
        .mode(RoundMode::Trunc);
    let end = now.round(to_the_minute)? - SignedDuration::from_mins(2);
    Ok((end - SignedDuration::from_mins(WINDOW_MINUTES), end))
}

fn judge_report(minutes: &[Value], consumers: u64) -> Outcome {
    let has_all = |minute: &&Value| {
        minute["SampleCount"]
            .as_f64()
            .is_some_and(|samples| samples >= consumers as f64)
    };
    let full = minutes.iter().filter(has_all).count();
    Outcome::of(
        full >= MIN_DATAPOINTS,
        format!("ticklake_ready of {consumers} or more in {full} of {WINDOW_MINUTES} minutes"),
        &format!(
            "{MIN_DATAPOINTS} minutes; have the instances run for 17 minutes, \
             and do their CloudWatch agents run?"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(namespace: &str, name: &str, stack: &str) -> Value {
        json!({"Namespace": namespace, "MetricName": name,
            "Dimensions": [{"Name": "stack", "Value": stack}]})
    }

    #[test]
    fn a_metric_of_another_stack_is_not_the_one_that_an_alarm_watches() {
        let alarms = [
            metric("ticklake", "ticklake_ready", "t"),
            metric("ticklake", "ticklake_ready", "t"),
            metric("ticklake", "PublishFailures", "t"),
            metric("AWS/SQS", "x", "t"),
        ];
        assert_eq!(
            judge_arrive(&alarms, &[metric("ticklake", "ticklake_ready", "t")]),
            Outcome::Ok("1 of 1 metrics that alarms watch".into())
        );
        assert_eq!(
            judge_arrive(&alarms, &[metric("ticklake", "ticklake_ready", "other")]),
            Outcome::Failed(
                "0 of 1 metrics that alarms watch; \
                 wanted also ticklake_ready, with the alarms' dimensions"
                    .into()
            )
        );
        assert!(
            matches!(judge_arrive(&[], &[]), Outcome::Failed(_)),
            "nothing is watched"
        );
    }

    #[test]
    fn the_minutes_that_are_looked_at_are_whole() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let whole = (time("2026-11-24T11:43:00Z"), time("2026-11-24T11:58:00Z"));
        for now in ["2026-11-24T12:00:00Z", "2026-11-24T12:00:59.9Z"] {
            assert_eq!(window(time(now)).unwrap(), whole, "{now}");
        }
    }

    #[test]
    fn one_silent_consumer_of_two_is_seen() {
        let is_ok = |samples: f64, minutes: usize| {
            let minutes = vec![json!({"SampleCount": samples, "Unit": "None"}); minutes];
            matches!(judge_report(&minutes, 2), Outcome::Ok(_))
        };
        assert!(is_ok(2.0, 14));
        assert!(!is_ok(1.0, 15));
        assert!(!is_ok(2.0, 12));
    }
}

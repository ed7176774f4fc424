use anyhow::{Context as _, Result, ensure};
use curation::{Period, PeriodError};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// An order to look for closed hours, `{"plan": {…}}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PlanEvent {
    /// Hours that begin before it are closed at once.
    pub(crate) through: Option<Timestamp>,
    /// Looks back so many days, instead of the look-back.
    pub(crate) days: Option<u32>,
    /// The first moment of the hours to look at; days or the look-back decide if there is
    /// none.
    pub(crate) from: Option<Timestamp>,
    /// The moment before which the hours to look at begin.
    pub(crate) to: Option<Timestamp>,
    /// Whether stuck hours are planned, too.
    pub(crate) force: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    plan: Plan,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Plan {
    through: Option<String>,
    days: Option<u32>,
    from: Option<String>,
    to: Option<String>,
    force: bool,
}

impl PlanEvent {
    /// Returns the order in a payload, or `None` if it is something else.
    ///
    /// # Errors
    /// It has an unknown field, or a value that is not a time.
    pub(crate) fn read(payload: &Value) -> Result<Option<Self>> {
        if payload.get("plan").is_none() {
            return Ok(None);
        }
        let Envelope { plan } = Envelope::deserialize(payload).context("not a plan event")?;
        type Parse = fn(&str) -> Result<Timestamp, PeriodError>;
        let time = |name: &str, text: Option<String>, parse: Parse| {
            let time = text.map(|text| parse(&text)).transpose();
            time.with_context(|| format!("plan event: {name}"))
        };
        ensure!(
            plan.days.is_none() || plan.from.is_none(),
            "plan event: it has days and from; leave one out"
        );
        let event = Self {
            days: plan.days,
            through: time("through", plan.through, Period::begin)?,
            from: time("from", plan.from, Period::begin)?,
            to: time("to", plan.to, Period::end)?,
            force: plan.force,
        };
        Period::new(event.from, event.to).context("plan event")?;
        Ok(Some(event))
    }

    /// Returns whether the hours are those of the look-back.
    pub(crate) fn is_of_look_back(&self) -> bool {
        self.days.is_none() && self.from.is_none() && self.to.is_none()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(payload: &Value) -> Result<Option<PlanEvent>> {
        PlanEvent::read(payload)
    }

    #[test]
    fn a_plan_event_has_times_and_dates() {
        assert_eq!(
            read(&json!({"plan": {}})).expect("an event"),
            Some(PlanEvent::default())
        );
        assert_eq!(read(&json!({"Records": []})).expect("no plan"), None);
        let days = read(&json!({"plan": {"days": 30}})).expect("an event");
        assert_eq!(days.and_then(|event| event.days), Some(30));
        let event = read(&json!({"plan": {
            "through": "2026-11-24T06:00:00Z",
            "from": "2026-11-01",
            "to": "2026-11-03",
            "force": true,
        }}));
        let at = |text: &str| Some(text.parse().expect("a time"));
        assert_eq!(
            event.expect("an event"),
            Some(PlanEvent {
                through: at("2026-11-24T06:00:00Z"),
                days: None,
                from: at("2026-11-01T00:00:00Z"),
                to: at("2026-11-04T00:00:00Z"),
                force: true,
            })
        );
    }

    #[test]
    fn a_wrong_plan_event_is_refused_with_the_reason() {
        for (plan, wanted) in [
            (json!({"until": "2026-11-24"}), "until"),
            (json!({"days": 30, "from": "2026-11-01"}), "leave one out"),
            (json!({"days": -1}), "not a plan event"),
            (
                json!({"from": "yesterday"}),
                r#"plan event: from: got "yesterday""#,
            ),
            (
                json!({"from": "2026-11-24", "to": "2026-11-23T12:00:00Z"}),
                "from must be earlier",
            ),
            (json!("now"), "not a plan event"),
        ] {
            let error = read(&json!({ "plan": plan })).expect_err("wrong");
            let error = format!("{error:#}");
            assert!(error.contains(wanted), "{error}");
        }
    }
}

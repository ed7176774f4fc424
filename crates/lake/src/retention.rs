use serde::{Deserialize, Serialize};

/// Seconds of a day.
const DAY_SECONDS: i64 = 86_400;

/// How long the bucket's lifecycle has kept objects, from when on: which of them may be
/// gone.
///
/// Each term is an object `_retention/<since, 20 digits>.json`, created once and kept for
/// ever: an object that expired under a short term stays expired when the term becomes
/// longer. Manifests never expire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retention {
    /// In order of time.
    terms: Vec<Term>,
}

/// How long objects are kept from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Since when, in seconds since the epoch.
    pub since: i64,
    /// For how many days; `None` for ever.
    pub days: Option<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    days: Option<u32>,
}

impl Term {
    /// Prefix of the terms' keys.
    pub const PREFIX: &str = "_retention/";

    /// Returns the term that an object's key and body hold.
    pub fn parse(key: &str, body: &[u8]) -> Option<Self> {
        let since = key
            .strip_prefix(Self::PREFIX)?
            .strip_suffix(".json")?
            .parse()
            .ok()?;
        let Body { days } = serde_json::from_slice(body).ok()?;
        Some(Self { since, days })
    }

    /// Returns the key and the body of the object that holds it.
    pub fn to_object(self) -> (String, Vec<u8>) {
        let body = serde_json::json!(Body { days: self.days });
        (
            format!("{}{:020}.json", Self::PREFIX, self.since),
            body.to_string().into_bytes(),
        )
    }
}

impl Retention {
    /// Returns the retention of these terms.
    pub fn new(mut terms: Vec<Term>) -> Self {
        terms.sort_by_key(|term| term.since);
        Self { terms }
    }

    /// Returns the number of days for which objects are kept now; `None` for ever.
    pub fn days(&self) -> Option<u32> {
        self.terms.last().and_then(|term| term.days)
    }

    /// Returns true if the lifecycle may have taken an object by `now` that was created
    /// at `created`, both in seconds since the epoch. S3 takes it at the midnight (UTC)
    /// after its last day, or later: this says true from the last day on.
    pub fn may_have_expired(&self, created: i64, now: i64) -> bool {
        let ends = self
            .terms
            .iter()
            .skip(1)
            .map(|term| term.since)
            .chain([now]);
        self.terms.iter().zip(ends).any(|(term, end)| {
            term.days.is_some_and(|days| {
                let due = created
                    .saturating_add(i64::from(days) * DAY_SECONDS)
                    .max(term.since);
                due <= end.min(now)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retention(terms: &[(i64, Option<u32>)]) -> Retention {
        Retention::new(
            terms
                .iter()
                .map(|(day, days)| Term {
                    since: day * DAY_SECONDS,
                    days: *days,
                })
                .collect(),
        )
    }

    #[test]
    fn nothing_expires_without_a_term() {
        assert!(!retention(&[]).may_have_expired(0, i64::MAX));
        assert!(!retention(&[(0, None)]).may_have_expired(0, i64::MAX));
    }

    #[test]
    fn an_object_expires_after_its_days() {
        let thirty = retention(&[(0, Some(30))]);
        assert!(!thirty.may_have_expired(5 * DAY_SECONDS, 35 * DAY_SECONDS - 1));
        assert!(thirty.may_have_expired(5 * DAY_SECONDS, 35 * DAY_SECONDS));
        // A term counts for objects that were created before it, from its beginning on.
        assert!(retention(&[(100, Some(30))]).may_have_expired(0, 100 * DAY_SECONDS));
        assert!(!retention(&[(100, Some(30))]).may_have_expired(0, 99 * DAY_SECONDS));
    }

    #[test]
    fn what_expired_stays_expired_under_a_longer_term() {
        let longer = retention(&[(0, Some(30)), (100, Some(365))]);
        assert!(
            longer.may_have_expired(60 * DAY_SECONDS, 120 * DAY_SECONDS),
            "it expired on day 90"
        );
        assert!(
            !longer.may_have_expired(80 * DAY_SECONDS, 120 * DAY_SECONDS),
            "the longer term came before its day 110"
        );
        assert!(longer.may_have_expired(80 * DAY_SECONDS, 445 * DAY_SECONDS));
    }

    #[test]
    fn a_term_is_read_as_it_is_written() {
        for days in [None, Some(90)] {
            let term = Term {
                since: 1_795_000_000,
                days,
            };
            let (key, body) = term.to_object();
            assert_eq!(Term::parse(&key, &body), Some(term), "{key}");
        }
        assert_eq!(Term::parse("_retention/x.json", b"{}"), None);
    }
}

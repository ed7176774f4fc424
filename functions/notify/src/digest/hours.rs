//! The mail about hours that are complete.

use std::collections::{BTreeMap, BTreeSet};

use curation::{PriceMove, Summary};
use lake_layout::LakePartition;
use wording::{count, percent};

use super::figures::{line, moment, price};
use super::{Attribute, Digest, limits};
use crate::announced::printable;
use crate::athena::Athena;
use crate::hours::CompleteHour;

/// Hours that a mail tells of; the others are counted.
const MAX_TOLD_HOURS: usize = 24;

impl Digest {
    /// Returns the mail about these hours, if there is one. Of several versions of an hour
    /// it tells of the newest.
    pub(crate) fn of_hours(complete: Vec<CompleteHour>, athena: &Athena) -> Option<Self> {
        let objects = complete.iter().map(|hour| hour.object.clone()).collect();
        let mut hours: BTreeMap<(LakePartition, String), CompleteHour> = BTreeMap::new();
        for hour in complete {
            let place = (hour.hour, hour.object.bucket.clone());
            match hours.get(&place) {
                Some(newer) if newer.version > hour.version => {}
                _ => drop(hours.insert(place, hour)),
            }
        }
        let hours: Vec<CompleteHour> = hours.into_values().collect();
        let (subject, mut body) = match &hours[..] {
            [] => return None,
            [hour] => (subject(hour), String::new()),
            hours => several(hours),
        };
        for hour in hours.iter().take(MAX_TOLD_HOURS) {
            write_hour(&mut body, hour, &athena.bars);
        }
        let more = hours.get(MAX_TOLD_HOURS..).unwrap_or_default();
        if !more.is_empty() {
            let others = format!("more {}", noun(more));
            line(
                &mut body,
                format_args!("… and {}\n", count(more.len() as u64, &others)),
            );
        }
        let Athena { workgroup, url, .. } = athena;
        line(
            &mut body,
            format_args!("Saved queries, in workgroup {workgroup}:  {url}"),
        );
        body.push_str("Times are UTC. An hour may be announced again after a retry.\n");
        Some(Self {
            subject: limits::subject(&format!("[ticklake] {subject}")),
            body,
            attributes: vec![Attribute {
                name: "kind",
                values: ["hour".to_owned()].into(),
            }],
            objects,
        })
    }
}

fn subject(hour: &CompleteHour) -> String {
    let again = if hour.base.is_some() { " again" } else { "" };
    let Summary { ticks, symbols, .. } = hour.summary;
    format!(
        "{} complete{again}: {}, {}",
        title(hour.hour),
        count(ticks, "tick"),
        count(symbols, "symbol")
    )
}

/// Returns the subject of a mail about several hours, and its first paragraph. The hours
/// have symbols in common, so these do not add up.
fn several(hours: &[CompleteHour]) -> (String, String) {
    let sum = |figure: fn(&Summary) -> u64| {
        let figures = hours.iter().map(|hour| figure(&hour.summary));
        figures.fold(0, u64::saturating_add)
    };
    let all = count(hours.len() as u64, noun(hours));
    let ticks = count(sum(|summary| summary.ticks), "tick");
    let bars = count(sum(|summary| summary.bars), "bar");
    (
        format!("{all} complete: {ticks}"),
        format!("{all} are complete: {ticks}, {bars} of a minute\n\n"),
    )
}

/// Returns the word for such lake partitions.
fn noun(hours: &[CompleteHour]) -> &'static str {
    let is_day = |hour: &CompleteHour| matches!(hour.hour, LakePartition::Day(_));
    let kinds: BTreeSet<bool> = hours.iter().map(is_day).collect();
    match (kinds.contains(&false), kinds.contains(&true)) {
        (true, true) => "lake partition",
        (false, true) => "day",
        (_, false) => "hour",
    }
}

/// Returns the name of an hour, in ASCII, as a subject wants it.
fn title(hour: LakePartition) -> String {
    match hour {
        LakePartition::Hour(date, hour) => {
            format!("{date} {hour:02}:00 to {:02}:00 UTC", hour + 1)
        }
        LakePartition::Day(date) => format!("{date} UTC"),
        LakePartition::Unknown => hour.to_string(),
    }
}

fn write_hour(body: &mut String, hour: &CompleteHour, bars: &str) {
    let Summary {
        ticks,
        symbols,
        bars: of_hour,
        event_times,
        moves,
    } = &hour.summary;
    line(
        body,
        format_args!(
            "{} is complete: {}, {}, {} of a minute",
            title(hour.hour),
            count(*ticks, "tick"),
            count(*symbols, "symbol"),
            count(*of_hour, "bar")
        ),
    );
    if let Some((first, last)) = event_times {
        line(
            body,
            format_args!("Ticks from {} to {} (UTC)", moment(*first), moment(*last)),
        );
    }
    if let Some(base) = hour.base {
        line(
            body,
            format_args!(
                "Late ticks came: version {} replaces version {base}, and has all ticks of the hour",
                hour.version
            ),
        );
    }
    if !moves.as_slice().is_empty() {
        body.push_str("\nLargest moves, from the first price to the last:\n");
        write_moves(body, moves.as_slice());
    }
    line(
        body,
        format_args!(
            "\nQuery the bars:  SELECT * FROM {bars} WHERE dt = '{}' AND hr = '{}' \
             ORDER BY symbol, minute\n",
            hour.hour.dt(),
            hour.hour.hr()
        ),
    );
}

/// Writes moves in columns. A line is not indented as that of a file is.
fn write_moves(body: &mut String, moves: &[PriceMove]) {
    let row = |moved: &PriceMove| {
        [
            printable(moved.symbol().as_str()),
            price(moved.open()),
            price(moved.close()),
            percent(moved.change()),
        ]
    };
    let rows: Vec<[String; 4]> = moves.iter().map(row).collect();
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let widths: [usize; 4] = std::array::from_fn(width);
    for [symbol, open, close, change] in &rows {
        line(
            body,
            format_args!(
                "{symbol:<0$}    {open:>1$} to {close:>2$}    {change:>3$}",
                widths[0], widths[1], widths[2], widths[3]
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use object_event::ObjectVersion;
    use tick::{EventTime, Symbol};

    use super::*;

    fn athena() -> Athena {
        Athena::new("eu-central-1", "ticklake", "ticklake".to_owned())
    }

    fn moved((symbol, open, close): (&str, f64, f64)) -> PriceMove {
        let symbol = Symbol::parse(symbol).expect("a symbol");
        PriceMove::new(symbol, open, close).expect("a move")
    }

    fn complete(hour: &str, version: u32, ticks: u64, moves: &[(&str, f64, f64)]) -> CompleteHour {
        let time = |text| EventTime::parse_csv(text, None).expect("a time");
        let partition = LakePartition::of_key(&format!("{hour}/")).expect("a partition");
        let object = ObjectVersion {
            bucket: "lake".into(),
            key: format!("_curated/{hour}/{version:06}.outcome.json"),
            version_id: None,
            etag: None,
        };
        let summary = Summary {
            ticks,
            symbols: 30,
            bars: 1_800,
            event_times: Some((time("2026-11-24 05:00:00.25"), time("2026-11-24 05:59:59"))),
            moves: moves.iter().copied().map(moved).collect(),
        };
        CompleteHour {
            object,
            hour: partition,
            version,
            base: version.checked_sub(1),
            summary,
        }
    }

    fn mail(hours: Vec<CompleteHour>) -> String {
        let digest = Digest::of_hours(hours, &athena()).expect("a mail");
        assert!(
            digest.subject.len() < 100
                && digest
                    .subject
                    .bytes()
                    .all(|byte| (b' '..=b'~').contains(&byte)),
            "{}",
            digest.subject
        );
        let [kind] = &digest.attributes[..] else {
            panic!("{:?}", digest.attributes);
        };
        assert_eq!(
            (kind.name, kind.data_type(), kind.value()),
            ("kind", "String", "hour".into())
        );
        format!("Subject: {}\n\n{}", digest.subject, digest.body)
    }

    #[test]
    fn a_mail_tells_of_an_hour_its_largest_moves_and_how_to_query_them() {
        let long = "é".repeat(64);
        let moves = [
            ("NVDA", 180.26, 177.82),
            ("BRK.B", 504.04, 511.5),
            (&long, 1e300, 2e300),
            ("SPREAD", -0.25, 0.5),
            ("FLAT", 3e-7, 3e-7),
        ];
        insta::assert_snapshot!(mail(vec![complete(
            "dt=2026-11-24/hr=05",
            0,
            51_234,
            &moves
        )]));
    }

    #[test]
    fn a_mail_of_a_later_version_says_that_late_ticks_came() {
        let late = complete("dt=2026-11-24/hr=23", 1, 51_300, &[("A", 1.0, 1.0)]);
        insta::assert_snapshot!(mail(vec![late]));
    }

    #[test]
    fn of_several_versions_of_an_hour_the_newest_is_told() {
        let version = |version| complete("dt=2026-11-24/hr=all", version, 7, &[]);
        for versions in [[0, 1], [1, 0]] {
            let hours: Vec<_> = versions.map(version).into();
            let digest = Digest::of_hours(hours, &athena()).expect("a mail");
            assert_eq!(digest.objects.len(), 2);
            assert_eq!(
                digest.subject,
                "[ticklake] 2026-11-24 UTC complete again: 7 ticks, 30 symbols"
            );
        }
        assert_eq!(Digest::of_hours(Vec::new(), &athena()), None);
    }

    #[test]
    fn of_many_hours_the_first_are_told_and_the_others_counted() {
        let hours = |days: std::ops::Range<u32>| {
            let hour = |n: u32| format!("dt=2026-11-{:02}/hr={:02}", 1 + n / 24, n % 24);
            let hours = days.start * 24..days.end * 24;
            hours
                .map(|n| complete(&hour(n), 0, 1_000, &[]))
                .collect::<Vec<_>>()
        };
        let text = mail(hours(0..3));
        let told = text.lines().filter(|line| line.contains(" is complete: "));
        assert_eq!(told.count(), MAX_TOLD_HOURS, "{text}");
        for wanted in [
            "Subject: [ticklake] 72 hours complete: 72,000 ticks\n\n\
             72 hours are complete: 72,000 ticks, 129,600 bars of a minute\n\n\
             2026-11-01 00:00 to 01:00 UTC is complete: 1,000 ticks",
            "2026-11-01 23:00 to 24:00 UTC is complete",
            "\n\n… and 48 more hours\n\nSaved queries",
        ] {
            assert!(text.contains(wanted), "{text}");
        }
        assert!(!mail(hours(0..1)).contains("… and"));
        let mixed = vec![
            complete("dt=2026-11-24/hr=05", 0, u64::MAX, &[]),
            complete("dt=2026-11-24/hr=all", 0, 1, &[]),
        ];
        assert!(
            mail(mixed).contains("2 lake partitions complete: 18,446,744,073,709,551,615 ticks")
        );
    }

    #[test]
    fn the_longest_mail_is_within_the_limit_of_sns() {
        let symbols: Vec<String> = (0..5).map(|n| format!("{n}{}", "𝄞".repeat(31))).collect();
        let moves: Vec<_> = symbols
            .iter()
            .map(|symbol| (symbol.as_str(), f64::MIN, 5e-324))
            .collect();
        let hour = |n: u32| complete(&format!("dt=2026-11-24/hr={n:02}"), 1, u64::MAX, &moves);
        let text = mail((0..24).map(hour).collect());
        assert!(text.len() < 200 * 1024, "{}", text.len());
    }
}

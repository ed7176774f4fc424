use tick::EventTime;

const DAY_MICROS: i64 = 86_400_000_000;

/// Writes times as `YYYY-MM-DD HH:MM:SS.ffffff`. Rows of an object are mostly of one day,
/// whose date is worked out once.
#[derive(Default)]
pub(super) struct LakeText {
    day: Option<(i64, String)>,
}

impl LakeText {
    pub(super) fn write(&mut self, time: EventTime, out: &mut Vec<u8>) {
        let day = time.micros().div_euclid(DAY_MICROS);
        let micros = time.micros().rem_euclid(DAY_MICROS);
        if self.day.as_ref().is_none_or(|(known, _)| *known != day) {
            self.day = Some((day, time.civil().date().to_string()));
        }
        out.extend(self.day.iter().flat_map(|(_, date)| date.bytes()));
        let seconds = micros / 1_000_000;
        let mut text = *b" 00:00:00.000000";
        put(&mut text[1..3], seconds / 3_600);
        put(&mut text[4..6], seconds / 60 % 60);
        put(&mut text[7..9], seconds % 60);
        put(&mut text[10..16], micros % 1_000_000);
        out.extend_from_slice(&text);
    }
}

/// Writes a number's digits, the last one last.
fn put(place: &mut [u8], mut number: i64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn times_are_written_as_everywhere(
            micros in proptest::collection::vec(0i64..253_402_207_200_000_000, 1..4),
        ) {
            let mut text = LakeText::default();
            for time in micros.into_iter().filter_map(EventTime::from_micros) {
                let mut out = Vec::new();
                text.write(time, &mut out);
                prop_assert_eq!(String::from_utf8_lossy(&out), time.to_lake_text());
            }
        }
    }
}

use anyhow::Result;
use jiff::Timestamp;
use wording::count;

use crate::config::LakeSettings;
use crate::curated_lake::{HourObjects, Listing, connect_bucket};

/// Reports the files and registers of curated hours that contradict each other, in hours
/// to which something was added since then. Nothing is changed: the function `curate`
/// mends all that may be mended, and a person the rest.
pub(super) async fn report(lake: &LakeSettings, since: Timestamp) -> Result<String> {
    let bucket = connect_bucket(lake).await?;
    let listing = Listing::of(&bucket).await?;
    let hours = listing.hours_since(since);
    let all = hours.len() as u64;
    let mut lines = Vec::new();
    let (mut faults, mut leftovers) = (listing.strangers.count(), 0);
    lines.extend(listing.strangers.listed().iter().map(ToString::to_string));
    for hour in hours {
        let objects = HourObjects::of(&bucket, &listing, hour).await?;
        faults += objects.faults.count();
        leftovers += objects.leftovers.0;
        lines.extend(objects.faults.listed().iter().map(ToString::to_string));
    }
    let mut text = String::new();
    for line in lines {
        text.push_str(&format!("fault in the curated hours: {line}\n"));
    }
    let verdict = match faults {
        0 => "nothing to do".to_owned(),
        faults => count(faults, "fault"),
    };
    text.push_str(&format!(
        "{} since then: {verdict}",
        count(all, "curated hour")
    ));
    if leftovers > 0 {
        let files = count(leftovers, "file");
        text.push_str(&format!(
            "; {files} of abandoned versions, which nothing reads"
        ));
    }
    text.push('\n');
    Ok(text)
}

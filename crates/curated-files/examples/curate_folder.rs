//! A program to measure: `curate_folder write FOLDER TICKS OBJECTS FORMAT` writes raw
//! objects of ticks as a market makes them, with their keys as paths; `curate_folder sort
//! FOLDER FORMAT UNITS` reads all of them and writes `ticks.sorted` and `bars.sorted` of
//! the first of so many units.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

use curated_files::{Collector, Files, Unit};
use lake::{Batch, Format, Record, Routing, Rules};

const SYMBOLS: usize = 500;
const PARTITIONS: i32 = 4;
/// 2026-11-24T05:00:00Z.
const HOUR_MS: i64 = 1_795_496_400_000;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["write", folder, ticks, objects, format] => write(
            Path::new(folder),
            ticks.parse()?,
            objects.parse()?,
            named(format)?,
        ),
        ["sort", folder, format, units] => sort(Path::new(folder), named(format)?, units.parse()?),
        _ => Err(concat!(
            "usage: curate_folder write FOLDER TICKS OBJECTS FORMAT",
            " | sort FOLDER FORMAT UNITS"
        )
        .into()),
    }
}

fn named(format: &str) -> Result<Format> {
    let found = Format::ALL.into_iter().find(|known| known.name() == format);
    found.ok_or_else(|| format!("got format {format:?}, wanted parquet, json or csv").into())
}

/// Ticks of an hour. Few symbols have most of them; prices move by hundredths; some
/// ticks have a field that a tick does not define; events arrive up to a second late.
fn write(folder: &Path, ticks: usize, objects: usize, format: Format) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut cents: Vec<i64> = (0..SYMBOLS).map(|_| random.i64(500..50_000)).collect();
    let mut offsets = [0; PARTITIONS as usize];
    for object in 0..objects {
        let partition = object as i32 % PARTITIONS;
        let offset = &mut offsets[partition as usize];
        let rules = Rules {
            routing: Routing::default(),
            max_record_bytes: 1 << 20,
            skip_tombstones: false,
        };
        let mut batch = Batch::new("ticks", partition, *offset, rules);
        let first = object * ticks / objects;
        for n in first..(object + 1) * ticks / objects {
            let time_ms = HOUR_MS + (n as f64 / ticks as f64 * 3_600_000.0) as i64;
            let symbol = ((SYMBOLS as f64 * random.f64().powi(3)) as usize) / 4 * 4;
            let symbol = (symbol + partition as usize).min(SYMBOLS - 1);
            cents[symbol] = (cents[symbol] + random.i64(-3..=3)).max(1);
            let extra = if random.u8(..) < 64 {
                r#","venue":"XHKG","side":"B""#
            } else {
                ""
            };
            let value = format!(
                r#"{{"symbol":"{symbol:04}.HK","event_time":{},"price":{:.2},"volume":{}{extra}}}"#,
                time_ms - random.i64(0..1_000),
                cents[symbol] as f64 / 100.0,
                random.i64(1..=50) * 100,
            );
            let record = Record {
                offset: *offset,
                timestamp_ms: Some(time_ms),
                value: Some(value.as_bytes()),
                ..Record::default()
            };
            if batch.push(&record, Instant::now()).is_some() {
                return Err(format!("not a tick: {value}").into());
            }
            *offset += 1;
        }
        let (_, sealed) = batch.seal(format, "id", "attempt")?;
        for sealed in sealed {
            let path = folder.join(sealed.key.to_string());
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            fs::write(path, sealed.body)?;
        }
    }
    Ok(())
}

fn sort(folder: &Path, format: Format, units: u32) -> Result<()> {
    let (unit, max_rows) = (0, 100_000_000);
    let mut collector = Collector::new(Unit {
        units,
        unit,
        max_rows,
    });
    let mut paths = Vec::new();
    for hour in fs::read_dir(folder.join("ticks"))? {
        for folder in fs::read_dir(hour?.path())? {
            for object in fs::read_dir(folder?.path())? {
                paths.push(object?.path());
            }
        }
    }
    paths.sort();
    for path in &paths {
        collector.add(format, fs::read(path)?.into())?;
    }
    let Files {
        ticks,
        bars,
        summary,
    } = collector.finish()?;
    fs::write(folder.join("ticks.sorted"), ticks)?;
    fs::write(folder.join("bars.sorted"), bars)?;
    println!("{} ticks, {} bars", summary.ticks, summary.bars);
    Ok(())
}

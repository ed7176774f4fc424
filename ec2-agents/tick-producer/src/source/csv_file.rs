use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use tick::{CsvLine, CsvMapping, DateOrder, DateOrderEvidence};

use super::item::{Item, Reason, RejectedRow};
use crate::config::Order;

/// A CSV file of ticks, read line by line.
pub(crate) struct CsvFile {
    name: String,
    reader: BufReader<File>,
    mapping: CsvMapping,
    order: Option<DateOrder>,
    splitter: CsvLine,
    header: Vec<u8>,
    line: u64,
    /// The last line that was read.
    raw: Vec<u8>,
    position: u64,
    length: u64,
}

impl CsvFile {
    /// Opens a file and reads its header. If its dates have slashes, finds out their
    /// order.
    pub(crate) fn open(path: &Path, order: Option<Order>) -> Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("{name}: cannot open the CSV file"))?;
        let length = file.metadata().with_context(|| name.clone())?.len();
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut header = Vec::new();
        reader
            .read_until(b'\n', &mut header)
            .with_context(|| format!("{name}: cannot read the CSV file"))?;
        let mapping = CsvMapping::from_header(&header).with_context(|| name.clone())?;
        let position = header.len() as u64;
        let order = match order {
            Some(Order::Dmy) => Some(DateOrder::Dmy),
            Some(Order::Mdy) => Some(DateOrder::Mdy),
            None => date_order(path, &mapping)?,
        };
        Ok(Self {
            name,
            reader,
            mapping,
            order,
            splitter: CsvLine::default(),
            header,
            line: 1,
            raw: Vec::new(),
            position,
            length,
        })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Item>> {
        self.raw.clear();
        let read = self.reader.read_until(b'\n', &mut self.raw);
        if read.with_context(|| format!("{}: cannot read beyond line {}", self.name, self.line))?
            == 0
        {
            return Ok(None);
        }
        self.line += 1;
        self.position += self.raw.len() as u64;
        if CsvLine::is_blank(&self.raw) {
            return Ok(Some(Item::Blank));
        }
        let tick = self
            .splitter
            .split(&self.raw)
            .and_then(|row| self.mapping.tick(&row, self.order));
        Ok(Some(match tick {
            Ok(tick) => Item::Tick(tick),
            Err(error) => Item::Rejected(self.reject(Reason::Invalid(error))),
        }))
    }

    /// Returns the last row as one that cannot be sent.
    pub(crate) fn reject(&self, reason: Reason) -> RejectedRow {
        RejectedRow {
            line: self.line,
            reason,
            raw: self.raw.clone(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn header(&self) -> &[u8] {
        &self.header
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }
}

/// Returns the order that the file's own dates prove, or `None` if its first date has no
/// slashes, so that none is needed.
fn date_order(path: &Path, mapping: &CsvMapping) -> Result<Option<DateOrder>> {
    let name = path.display();
    let mut reader = BufReader::with_capacity(
        1 << 20,
        File::open(path).with_context(|| format!("{name}: cannot open the CSV file"))?,
    );
    let mut splitter = CsvLine::default();
    let mut line = Vec::new();
    let mut first = true;
    let mut evidence = DateOrderEvidence::default();
    reader.read_until(b'\n', &mut line)?;
    loop {
        line.clear();
        if reader
            .read_until(b'\n', &mut line)
            .with_context(|| format!("{name}: cannot read the CSV file"))?
            == 0
        {
            break;
        }
        let Some(date) = splitter
            .split(&line)
            .ok()
            .and_then(|row| mapping.event_time_of(&row))
            .filter(|date| !date.trim().is_empty())
        else {
            continue;
        };
        evidence.see(date);
        if std::mem::take(&mut first) && !evidence.has_slashes() {
            return Ok(None);
        }
    }
    if !evidence.has_slashes() {
        return Ok(None);
    }
    match evidence.order() {
        Some(order) => Ok(Some(order)),
        None if evidence.dmy == 0 => bail!(
            "{name}: all {} dates are valid both as day/month/year and as month/day/year\n  \
             choose the order: --date-order dmy or --date-order mdy (setting csv.date_order)",
            evidence.either
        ),
        None => bail!(
            "{name}: {} dates are valid only as day/month/year and {} only as month/day/year\n  \
             choose the order: --date-order dmy or --date-order mdy (setting csv.date_order); \
             the rows in the other order are rejected",
            evidence.dmy,
            evidence.mdy
        ),
    }
}

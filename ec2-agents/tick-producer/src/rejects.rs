use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::config::Config;
use crate::source::{RejectedRow, Source};

/// Maximum number of printed rejections; the file keeps all.
const MAX_SHOWN_ROWS: u64 = 10;

/// Keeps rejected rows below their header, unchanged, so that the file can be sent once
/// they are corrected.
pub(crate) struct Rejects {
    path: PathBuf,
    source: String,
    header: Vec<u8>,
    file: Option<BufWriter<File>>,
    count: u64,
}

impl Rejects {
    pub(crate) fn new(config: &Config, source: &Source) -> Self {
        let beside = || {
            config
                .csv
                .path
                .as_ref()
                .map(|path| path.with_extension("rejects.csv"))
        };
        let path = config
            .csv
            .rejects
            .clone()
            .or_else(beside)
            .unwrap_or_default();
        Self {
            path,
            source: source.name().to_owned(),
            header: source.header().to_vec(),
            file: None,
            count: 0,
        }
    }

    /// Keeps a row. The first one replaces an existing file.
    pub(crate) fn keep(&mut self, row: &RejectedRow) -> Result<()> {
        if self.count < MAX_SHOWN_ROWS {
            eprintln!("rejected: {}", row.message(&self.source));
        }
        self.count += 1;
        let problem = || {
            format!(
                "{}: cannot keep the rejected rows; name another file with --rejects",
                self.path.display()
            )
        };
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let mut file = BufWriter::new(File::create(&self.path).with_context(problem)?);
                file.write_all(&self.header).with_context(problem)?;
                self.file.insert(file)
            }
        };
        file.write_all(&row.raw).with_context(problem)?;
        if !row.raw.ends_with(b"\n") {
            file.write_all(b"\n").with_context(problem)?;
        }
        Ok(())
    }

    /// Returns the file if there are rejected rows.
    pub(crate) fn finish(self) -> Result<Option<PathBuf>> {
        let Some(mut file) = self.file else {
            return Ok(None);
        };
        file.flush()
            .with_context(|| format!("{}: cannot keep the rejected rows", self.path.display()))?;
        if self.count > MAX_SHOWN_ROWS {
            eprintln!("rejected: … and {} more", self.count - MAX_SHOWN_ROWS);
        }
        Ok(Some(self.path))
    }
}

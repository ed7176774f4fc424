use std::path::{Path, PathBuf};

use anyhow::Result;
use tokio::process::Command;

use crate::{Processes, Repository, Tools};

/// Everything that a command or a test works with on this machine.
#[derive(Clone)]
pub struct Workspace {
    /// The work tree.
    pub repository: Repository,
    /// The pinned tools.
    pub tools: Tools,
    /// The processes that were started.
    pub processes: Processes,
    /// The folder for logs, mails and state.
    pub folder: PathBuf,
}

impl Workspace {
    /// Returns a workspace with an existing folder. Installs the tools if they are
    /// missing.
    ///
    /// # Errors
    /// As for [`Tools::install`].
    pub async fn open(processes: &Processes, folder: &Path) -> Result<Self> {
        let repository = Repository::here();
        Ok(Self {
            tools: Tools::install(&repository, processes).await?,
            repository,
            processes: processes.clone(),
            folder: folder.to_path_buf(),
        })
    }

    /// Runs a command to its end, with its output in [`Workspace::log`].
    ///
    /// # Errors
    /// It fails; the error quotes the end of its output.
    pub async fn run(&self, name: &str, command: &mut Command) -> Result<()> {
        self.processes.run(name, command, &self.log(name)).await
    }

    /// Returns the log of a command of this name.
    pub fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{}.log", name.replace(' ', "-")))
    }
}

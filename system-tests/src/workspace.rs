use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use futures::FutureExt as _;
use local::{
    InstanceImage, Ministack, Parameters, Processes, Repository, Stack, StackOptions, Tools,
};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

/// The tools of a system test.
pub struct Workspace {
    /// The work tree.
    pub repository: Repository,
    /// The pinned tools.
    pub tools: Tools,
    /// The processes that the test has started; they are stopped when it ends.
    pub processes: Processes,
    /// The test's own folder for logs, mails and state.
    pub folder: PathBuf,
}

impl Workspace {
    /// Runs a test in a folder of its own, `.local/test/<name>`, which begins empty.
    /// However the test ends, by a panic or a signal too, no process of it is left.
    ///
    /// # Errors
    /// The test fails, or lacks something that has to be built; names the command that
    /// builds it.
    pub async fn run(name: &str, test: impl AsyncFnOnce(&Self) -> Result<()>) -> Result<()> {
        let (mut interrupt, mut terminate) = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        );
        let workspace = Self::prepare(name).await?;
        let outcome = tokio::select! {
            outcome = AssertUnwindSafe(test(&workspace)).catch_unwind() => outcome,
            _ = interrupt.recv() => Ok(Err(anyhow::anyhow!("interrupted"))),
            _ = terminate.recv() => Ok(Err(anyhow::anyhow!(
                "stopped from outside, as nextest does after its slow-timeout"
            ))),
        };
        workspace.processes.stop_all().await;
        outcome
            .unwrap_or_else(|panic| resume_unwind(panic))
            .with_context(|| format!("the logs are in {}", workspace.folder.display()))
    }

    async fn prepare(name: &str) -> Result<Self> {
        let (repository, processes) = (Repository::here(), Processes::default());
        let built = [
            repository.path(".aws-sam/build/template.yaml"),
            repository.binary("tick-consumer"),
            repository.binary("tick-producer"),
            repository.binary("xtask"),
        ];
        built.iter().try_for_each(|path| expect_built(path))?;
        let tools = Tools::install(&repository, &processes).await?;
        let folder = repository.path(".local/test").join(name);
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                bail!("{}: {error}", folder.display())
            }
            _ => std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?,
        }
        Ok(Self {
            repository,
            tools,
            processes,
            folder,
        })
    }

    /// Returns the image that instances boot from.
    ///
    /// # Errors
    /// It cannot be made, or the layers that instances fetch are not built: `cargo xtask
    /// demo` and `up` build the functions alone, and the layers have to be built again.
    pub async fn instance_image(&self) -> Result<InstanceImage> {
        for layer in ["AgentLayer", "KafkaLayer"] {
            expect_built(&self.repository.path(".aws-sam/build").join(layer))?;
        }
        InstanceImage::prepare(&self.repository, &self.processes).await
    }

    /// Starts a local AWS.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn ministack(&self) -> Result<Ministack> {
        Ministack::start(&self.tools, &self.processes, &self.folder).await
    }

    /// Deploys the template.
    ///
    /// # Errors
    /// The deployment fails.
    pub async fn deploy(&self, ministack: Ministack, parameters: Parameters) -> Result<Stack> {
        let options = StackOptions {
            folder: self.folder.clone(),
            parameters,
        };
        Stack::deploy(
            ministack,
            &self.repository,
            &self.tools,
            &self.processes,
            &options,
        )
        .await
    }

    /// Returns `cargo xtask`, as a person runs it.
    pub fn xtask(&self, arguments: &[&str]) -> Command {
        let mut xtask = Command::new(self.repository.binary("xtask"));
        xtask.current_dir(self.repository.root()).args(arguments);
        xtask
    }

    /// Runs a command to its end; its output goes to `<name>.log`.
    ///
    /// # Errors
    /// It fails; quotes the end of its output.
    pub async fn execute(&self, name: &str, command: &mut Command) -> Result<String> {
        let log = self.log(name);
        self.processes.run(name, command, &log).await?;
        std::fs::read_to_string(&log).with_context(|| log.display().to_string())
    }

    /// Returns the log of a command of this name.
    pub fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }
}

fn expect_built(path: &Path) -> Result<()> {
    ensure!(
        path.exists(),
        "{}: not built; run: cargo xtask test prepare",
        path.display()
    );
    Ok(())
}

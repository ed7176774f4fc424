use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::processes::wait_until;
use crate::{Aws, Conditions, FaultProxy, ProcessId, Processes, Repository, Tools};

/// The local AWS: one ministack process on a free port of 127.0.0.1. Its state ends with
/// the process.
pub struct Ministack {
    /// Its clients, as root.
    pub aws: Aws,
    /// The user who deploys there: root, unless a test names one with fewer permissions.
    pub deployer: Aws,
    /// Its process.
    pub process: ProcessId,
    /// Its log, which has the functions' output.
    pub log: PathBuf,
}

impl Ministack {
    /// Starts ministack, with state and log below `folder`.
    ///
    /// # Errors
    /// It cannot be started, or does not answer within 30 s.
    pub async fn start(tools: &Tools, processes: &Processes, folder: &Path) -> Result<Self> {
        let port = free_port()?;
        Self::start_at(port, &endpoint(port), tools, processes, folder).await
    }

    /// Starts ministack for an integration test, which has no tools of its own.
    ///
    /// # Errors
    /// The tools are not there, it cannot be started, or does not answer within 30 s.
    pub async fn of_test(processes: &Processes, folder: &Path) -> Result<Self> {
        let tools = Tools::install(&Repository::here(), processes)
            .await
            .context("the tools in .tools/, which cargo xtask test installs")?;
        Self::start(&tools, processes, folder).await
    }

    /// Starts ministack behind a proxy for the deployed functions. The proxy counts their
    /// calls.
    ///
    /// # Errors
    /// It cannot be started, or does not answer within 30 s.
    pub async fn start_behind_proxy(
        tools: &Tools,
        processes: &Processes,
        folder: &Path,
    ) -> Result<(Self, FaultProxy)> {
        let port = free_port()?;
        let proxy = FaultProxy::start(&endpoint(port), 0, Conditions::Kept).await?;
        Ok((
            Self::start_at(port, &proxy.url(), tools, processes, folder).await?,
            proxy,
        ))
    }

    async fn start_at(
        port: u16,
        for_functions: &str,
        tools: &Tools,
        processes: &Processes,
        folder: &Path,
    ) -> Result<Self> {
        let aws = Aws::at(&endpoint(port)).await;
        let state = folder.join("ministack");
        std::fs::create_dir_all(&state).with_context(|| state.display().to_string())?;
        let mut command = Command::new(tools.path("ministack"));
        // The functions inherit its whole environment, so it starts with a clean one.
        command
            .env_clear()
            .env("PATH", tools.search_path())
            .env("HOME", &state)
            .env("TMPDIR", &state)
            .current_dir(&state);
        command
            .envs(aws.environment())
            .env("AWS_ENDPOINT_URL", for_functions)
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("IOT_MTLS_ENABLED", "0");
        // This enforces roles. The key of `Aws` is root's.
        command.env("AUTH", "true");
        command
            .env("STATE_DIR", state.join("state"))
            .env("S3_DATA_DIR", state.join("s3"));
        let log = folder.join("ministack.log");
        let process = processes.start("ministack", &mut command, &log).await?;
        wait_until("ministack", Duration::from_secs(30), || async {
            processes.expect_running(process).await?;
            Ok(TcpStream::connect(("127.0.0.1", port)).await.is_ok())
        })
        .await?;
        Ok(Self {
            deployer: aws.clone(),
            aws,
            process,
            log,
        })
    }
}

fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// Returns a free port of 127.0.0.1.
///
/// # Errors
/// There is none.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use local::{
    Aws, ProcessId, Processes, Repository, Tools, Workspace, catalog, free_port, sample,
    without_cargo_variables,
};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::prepare;
use crate::state::State;

/// The functions, by the name of their binary.
pub(crate) const FUNCTIONS: [&str; 3] = ["notify", "start-crawler", "curate"];
/// Those that get the events of objects; the third gets the samples with its name.
pub(crate) const OBJECT_FUNCTIONS: [&str; 2] = ["notify", "start-crawler"];
/// Limit of the time from the function's answer to the mail in the mailbox.
const MAIL_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum number of failed messages that are listed.
const MAX_LISTED: usize = 5;

/// Options of `cargo xtask replay`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Events to replay [default: all of events/]
    files: Vec<PathBuf>,
}

/// Replays events against the running stack.
pub(crate) async fn run(options: Options, processes: &Processes) -> Result<()> {
    let state = State::expect_running()?;
    let repository = Repository::here();
    let files = if options.files.is_empty() {
        samples(&repository)?
    } else {
        options.files
    };
    for file in &files {
        anyhow::ensure!(
            file.is_file(),
            "{}: no such file; the samples are in events/",
            file.display()
        );
    }
    let workspace = prepare::workspace("replay", processes).await?;
    let replayer = Replayer::start(&workspace, &state).await?;
    for file in &files {
        println!(
            "{}",
            file.strip_prefix(repository.root())
                .unwrap_or(file)
                .display()
        );
        for function in functions_of(file) {
            let replayed = replayer.invoke(function, file).await?;
            println!("  {function:13} {}", replayed.sentence());
        }
    }
    println!("mailbox: {}", state.mailbox.display());
    Ok(())
}

/// Returns the functions that get an event, by its file's name.
fn functions_of(file: &Path) -> &'static [&'static str] {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    match name.split('-').any(|word| word == "curate") {
        true => &["curate"],
        false => &OBJECT_FUNCTIONS,
    }
}

/// Returns the sample events.
pub(crate) fn samples(repository: &Repository) -> Result<Vec<PathBuf>> {
    let folder = repository.path("events");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// `cargo lambda watch` with the environment of a stack.
pub(crate) struct Replayer {
    processes: Processes,
    watch: ProcessId,
    port: u16,
    tools: Tools,
    mailbox: PathBuf,
    aws: Aws,
    crawler: String,
}

/// The effects of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// The function's answer or error.
    pub(crate) answer: Result<Value, String>,
    /// Subjects of the mails that it caused, by file.
    pub(crate) mails: BTreeMap<String, String>,
    /// Whether the crawler is running after it.
    pub(crate) is_crawling: bool,
}

impl Replayer {
    /// Builds the functions, starts `cargo lambda watch` and waits until it listens.
    pub(crate) async fn start(workspace: &Workspace, state: &State) -> Result<Self> {
        let root = workspace.repository.root();
        let processes = &workspace.processes;
        // Otherwise `watch` builds them while the first event waits for its answer.
        prepare::binaries(workspace, &FUNCTIONS).await?;
        let port = free_port()?;
        let mut watch = Command::new("cargo");
        without_cargo_variables(&mut watch)
            .current_dir(root)
            .env("PATH", workspace.tools.search_path())
            .envs(&state.environment);
        watch.args([
            "lambda",
            "watch",
            "--ignore-changes",
            "--invoke-address",
            "127.0.0.1",
            "--invoke-port",
            &port.to_string(),
        ]);
        let log = workspace.log("watch");
        let watch = processes
            .start("cargo lambda watch", &mut watch, &log)
            .await?;
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            processes.expect_running(watch).await?;
            anyhow::ensure!(
                Instant::now() < deadline,
                "cargo lambda watch does not listen after 60 s; its log is in {}",
                workspace.folder.display()
            );
            sleep(Duration::from_millis(50)).await;
        }
        let crawler = state
            .environment
            .get("CRAWLER_NAME")
            .cloned()
            .unwrap_or_default();
        Ok(Self {
            processes: processes.clone(),
            watch,
            port,
            tools: workspace.tools.clone(),
            mailbox: state.mailbox.clone(),
            aws: Aws::at(state.endpoint()).await,
            crawler,
        })
    }

    /// Invokes a function with an event through `cargo lambda invoke`.
    pub(crate) async fn invoke(&self, function: &str, file: &Path) -> Result<Replayed> {
        self.processes.expect_running(self.watch).await?;
        let before = self.mails()?;
        let mut invoke = Command::new("cargo");
        without_cargo_variables(&mut invoke)
            .env("PATH", self.tools.search_path())
            .kill_on_drop(true);
        invoke
            .args([
                "lambda",
                "invoke",
                function,
                "--invoke-address",
                "127.0.0.1",
                "--invoke-port",
                &self.port.to_string(),
                "--data-file",
            ])
            .arg(file);
        let output = tokio::time::timeout(Duration::from_secs(60), invoke.output())
            .await
            .context("no answer within 60 s")??;
        let answer = if output.status.success() {
            let text = String::from_utf8_lossy(&output.stdout);
            Ok(serde_json::from_str(text.trim())
                .with_context(|| format!("the answer of {function} is not JSON: {text}"))?)
        } else {
            Err(error_text(&String::from_utf8_lossy(&output.stderr)))
        };
        let mut mails = BTreeMap::new();
        let deadline = Instant::now() + MAIL_TIMEOUT;
        while function == "notify" && mails.is_empty() && Instant::now() < deadline {
            sleep(Duration::from_millis(100)).await;
            mails = self
                .mails()?
                .into_iter()
                .filter(|(name, _)| !before.contains_key(name))
                .collect();
        }
        let crawler = catalog::crawler(&self.aws, &self.crawler).await?;
        Ok(Replayed {
            answer,
            mails,
            is_crawling: catalog::is_running(&crawler) && function == "start-crawler",
        })
    }

    fn mails(&self) -> Result<BTreeMap<String, String>> {
        let mut mails = BTreeMap::new();
        for entry in
            std::fs::read_dir(&self.mailbox).with_context(|| self.mailbox.display().to_string())?
        {
            let path = entry?.path();
            let text =
                std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let subject = text
                .lines()
                .find_map(|line| line.strip_prefix("Subject: "))
                .unwrap_or_default();
            mails.insert(
                path.file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                subject.to_owned(),
            );
        }
        Ok(mails)
    }
}

impl Replayed {
    fn sentence(&self) -> String {
        let failed = self.failed().unwrap_or_default();
        let answer = match &self.answer {
            Ok(_) if failed.len() > MAX_LISTED => {
                format!(
                    "{} messages are returned as failed, {} to {}",
                    failed.len(),
                    failed[0],
                    failed[failed.len() - 1]
                )
            }
            Ok(answer) => answer.to_string(),
            Err(error) => format!("error: {error}"),
        };
        let mails: String = self
            .mails
            .iter()
            .map(|(file, subject)| format!("  → mail {file}: {subject}"))
            .collect();
        let crawl = if self.is_crawling {
            "  → the crawler runs"
        } else {
            ""
        };
        format!("{answer}{mails}{crawl}")
    }

    /// Returns the failed messages in the answer.
    pub(crate) fn failed(&self) -> Result<Vec<String>> {
        let Ok(answer) = &self.answer else {
            bail!("got an error instead of a batch response")
        };
        Ok(sample::failed(answer)?
            .into_iter()
            .map(str::to_owned)
            .collect())
    }
}

/// Returns the function's message from cargo-lambda's framed error.
fn error_text(framed: &str) -> String {
    let lines = framed
        .lines()
        .map(|line| line.trim().trim_start_matches(['×', '│']).trim());
    let message: Vec<&str> = lines
        .skip_while(|line| line.is_empty() || line.starts_with("Error:"))
        .take_while(|line| !line.is_empty())
        .collect();
    if message.is_empty() {
        framed.trim().to_owned()
    } else {
        message.join(" ")
    }
}

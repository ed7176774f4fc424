use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::process::Command;

use crate::aws::call::Caller;
use crate::{CallError, Processes, Repository};

/// Oldest Python that supports the pinned packages.
const MIN_PYTHON: (u32, u32) = (3, 11);

/// The pinned tools in `.tools/`: ministack, the SAM CLI, cargo-lambda,
/// cfn-lint, shellcheck and typos in one virtual environment, checkov and cargo-nextest
/// in one each, Apache Kafka's jars.
#[derive(Debug, Clone)]
pub struct Tools {
    bin: PathBuf,
}

impl Tools {
    /// Returns the tools. Installs them if one is missing or has another version than in
    /// `local/requirements.txt`.
    ///
    /// # Errors
    /// Python is missing or too old, or a package cannot be installed.
    pub async fn install(repository: &Repository, processes: &Processes) -> Result<Self> {
        Ok(Self {
            bin: environment(repository, processes, "venv", "local/requirements.txt").await?,
        })
    }

    /// Returns checkov. Installs it if it is missing, in an environment of its own, as it
    /// needs other versions of packages than the other tools.
    ///
    /// # Errors
    /// As for [`Tools::install`].
    pub async fn install_checkov(
        repository: &Repository,
        processes: &Processes,
    ) -> Result<PathBuf> {
        let requirements = "local/requirements-checkov.txt";
        let programs = environment(repository, processes, "checkov", requirements).await?;
        Ok(programs.join("checkov"))
    }

    /// Returns cargo-nextest, after installing it if it is missing.
    ///
    /// # Errors
    /// As for [`Tools::install`].
    pub async fn install_nextest(
        repository: &Repository,
        processes: &Processes,
    ) -> Result<PathBuf> {
        let requirements = "local/requirements-nextest.txt";
        let programs = environment(repository, processes, "nextest", requirements).await?;
        Ok(programs.join("cargo-nextest"))
    }

    /// Returns the path of one of the tools.
    pub fn path(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Calls an operation of AWS with the credentials, region and endpoint of this
    /// process's environment, in which `environment` replaces variables.
    ///
    /// # Errors
    /// AWS refuses, or is not reached.
    pub async fn call(
        &self,
        environment: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
        service: &str,
        operation: &str,
        parameters: &Value,
    ) -> Result<Value, CallError> {
        let mut caller = Caller::start(&self.path("python"), environment)?;
        caller.call(service, operation, parameters).await
    }

    /// Returns a `PATH` on which the tools come first.
    pub fn search_path(&self) -> OsString {
        let mut path = self.bin.as_os_str().to_owned();
        if let Some(rest) = std::env::var_os("PATH") {
            path.push(":");
            path.push(rest);
        }
        path
    }

    /// Returns the installed versions, for people.
    pub fn versions(repository: &Repository) -> String {
        let text =
            std::fs::read_to_string(repository.path("local/requirements.txt")).unwrap_or_default();
        let shown = [
            "ministack==",
            "aws-sam-cli==",
            "cargo-lambda==",
            "cfn-lint==",
        ];
        let lines = shown
            .iter()
            .filter_map(|name| text.lines().find(|line| line.starts_with(name)));
        lines
            .map(|line| line.replace("==", " "))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// Returns the programs of a virtual environment below `.tools/`. Creates it if it is
/// missing or has other packages.
async fn environment(
    repository: &Repository,
    processes: &Processes,
    name: &str,
    requirements: &str,
) -> Result<PathBuf> {
    let folder = repository.path(".tools");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let (venv, stamp) = (
        folder.join(name),
        folder.join(format!("{name}.requirements")),
    );
    let requirements = repository.path(requirements);
    let wanted = std::fs::read_to_string(&requirements)
        .with_context(|| requirements.display().to_string())?;
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(venv.join("bin"));
    }
    let python = find_python()?;
    let log = folder.join("install.log");
    let missing = "on Debian: apt-get install python3 python3-venv";
    processes
        .run(
            "python venv",
            Command::new(python)
                .args(["-m", "venv", "--clear"])
                .arg(&venv),
            &log,
        )
        .await
        .context(missing)?;
    let mut pip = Command::new(venv.join("bin/pip"));
    pip.args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
    ])
    .arg(&requirements);
    processes.run("pip install", &mut pip, &log).await?;
    std::fs::write(&stamp, wanted).with_context(|| stamp.display().to_string())?;
    Ok(venv.join("bin"))
}

fn find_python() -> Result<&'static str> {
    let mut found = Vec::new();
    for name in ["python3", "python3.13", "python3.12", "python3.11"] {
        if let Some(version) = python_version(name) {
            if version >= MIN_PYTHON {
                return Ok(name);
            }
            found.push(format!("{name} is {}.{}", version.0, version.1));
        }
    }
    let found = if found.is_empty() {
        "python3 is not on the PATH".to_owned()
    } else {
        found.join(", ")
    };
    bail!(
        "the local stack needs Python {}.{} or later: {found}\n  \
         on Debian: apt-get install python3 python3-venv",
        MIN_PYTHON.0,
        MIN_PYTHON.1
    )
}

fn python_version(name: &str) -> Option<(u32, u32)> {
    let script = "import sys; print(sys.version_info[0], sys.version_info[1])";
    let output = std::process::Command::new(name)
        .args(["-c", script])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use rustix::process::geteuid;
use tokio::process::Command;

use crate::{ProcessId, Processes, Repository};

/// Debian release of the image. Its AWS CLI supports `AWS_ENDPOINT_URL`, like Amazon
/// Linux's.
const DEBIAN_RELEASE: &str = "trixie";
/// The packages that Amazon Linux 2023 has from the start or that a boot installs there:
/// systemd, curl, Python, the AWS CLI with its dependencies, Java, XFS.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,curl,ca-certificates,python3,procps,awscli,\
    python3-cffi-backend,openjdk-21-jre-headless,xfsprogs";

/// A root file system like that of an EC2 instance with Amazon Linux, on which user data
/// runs. debootstrap creates it.
pub struct InstanceImage {
    root: PathBuf,
    script: PathBuf,
    additions: PathBuf,
}

/// An instance that boots or has booted: systemd in its own namespaces.
pub struct Instance {
    processes: Processes,
    process: ProcessId,
    folder: PathBuf,
}

/// The hardware and files of an instance, beside the image.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hardware<'a> {
    /// Name of a network namespace; without it the instance shares this machine's
    /// network.
    pub network: Option<&'a str>,
    /// A block device for its `/dev/nvme1n1`.
    pub volume: Option<&'a Path>,
    /// Files beside those of the image: path and text.
    pub files: &'a [(&'a str, String)],
}

impl InstanceImage {
    /// Returns the image in `.tools/`. Creates it if it is missing.
    ///
    /// # Errors
    /// This user is not root, debootstrap is missing, or Debian's packages cannot be
    /// fetched.
    pub async fn prepare(repository: &Repository, processes: &Processes) -> Result<Self> {
        ensure!(
            geteuid().is_root(),
            "booting an instance creates namespaces and mounts, which only root may do: run as root"
        );
        let root = repository
            .path(".tools")
            .join(format!("instance-{DEBIAN_RELEASE}"));
        let image = Self {
            script: repository.path("local/instance/boot.sh"),
            additions: repository.path("local/instance/root"),
            root: root.clone(),
        };
        let stamp = root.with_extension("packages");
        if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == PACKAGES) {
            return Ok(image);
        }
        if root.exists() {
            std::fs::remove_dir_all(&root).with_context(|| root.display().to_string())?;
        }
        let mut debootstrap = Command::new("debootstrap");
        debootstrap
            .args([
                "--variant=minbase",
                &format!("--include={PACKAGES}"),
                DEBIAN_RELEASE,
            ])
            .arg(&root)
            .arg("http://deb.debian.org/debian");
        let log = repository.path(".tools/debootstrap.log");
        processes
            .run("debootstrap", &mut debootstrap, &log)
            .await
            .context("on Debian: apt-get install debootstrap")?;
        std::fs::write(&stamp, PACKAGES).with_context(|| stamp.display().to_string())?;
        Ok(image)
    }

    /// Boots an instance with user data. Everything in it gets `environment`, which has
    /// the endpoints of the local AWS.
    ///
    /// # Errors
    /// Its files cannot be written, or the kernel refuses the namespaces.
    pub async fn boot(
        &self,
        processes: &Processes,
        folder: &Path,
        user_data: &str,
        environment: &[(&str, String)],
        hardware: Hardware<'_>,
    ) -> Result<Instance> {
        let upper = folder.join("upper");
        std::fs::create_dir_all(&upper).with_context(|| upper.display().to_string())?;
        let copied = Command::new("cp")
            .arg("-a")
            .arg(self.additions.join("."))
            .arg(&upper)
            .status()
            .await?;
        ensure!(
            copied.success(),
            "cannot copy {} to {}",
            self.additions.display(),
            upper.display()
        );
        write(&upper.join("var/lib/cloud/user-data"), user_data)?;
        let variables: Vec<String> = environment
            .iter()
            .map(|(name, value)| format!("\"{name}={value}\""))
            .collect();
        write(
            &upper.join("etc/systemd/system.conf.d/environment.conf"),
            &format!("[Manager]\nDefaultEnvironment={}\n", variables.join(" ")),
        )?;
        let wants = upper.join("etc/systemd/system/default.target.wants");
        std::fs::create_dir_all(&wants)?;
        std::os::unix::fs::symlink("../user-data.service", wants.join("user-data.service"))?;
        for (path, text) in hardware.files {
            write(&upper.join(path.trim_start_matches('/')), text)?;
        }
        self.start(processes, folder, hardware).await
    }

    /// Starts an instance that was switched off, with its disk. Its user data has already
    /// run.
    ///
    /// # Errors
    /// The kernel refuses the namespaces.
    pub async fn start(
        &self,
        processes: &Processes,
        folder: &Path,
        hardware: Hardware<'_>,
    ) -> Result<Instance> {
        let mut command = Command::new("bash");
        if let Some(network) = hardware.network {
            command.env("NETWORK", network);
        }
        if let Some(volume) = hardware.volume {
            command.env("VOLUME", volume);
        }
        command.arg(&self.script).arg(&self.root).arg(folder);
        let process = processes
            .start("instance", &mut command, &folder.join("console.log"))
            .await?;
        Ok(Instance {
            processes: processes.clone(),
            process,
            folder: folder.to_path_buf(),
        })
    }
}

impl Instance {
    /// Returns the text of a file of the instance, or an empty text if there is none yet.
    ///
    /// # Errors
    /// The instance has ended.
    pub async fn read(&self, path: &str) -> Result<String> {
        self.processes.expect_running(self.process).await?;
        Ok(
            std::fs::read_to_string(self.folder.join("upper").join(path.trim_start_matches('/')))
                .unwrap_or_default(),
        )
    }

    /// Runs a command in the instance, as in a session there.
    ///
    /// # Errors
    /// The command fails; the error quotes its output.
    pub async fn run(&self, command: &[&str]) -> Result<String> {
        let first = self.first_process().await?;
        let output = Command::new("nsenter")
            .args(["--target", &first, "--all", "--"])
            .args(command)
            .output()
            .await
            .context("nsenter")?;
        let text = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat();
        ensure!(
            output.status.success(),
            "{} failed ({}): {text}",
            command.join(" "),
            output.status
        );
        Ok(text)
    }

    /// Returns the id of systemd, the child of the `unshare` that created its namespaces.
    async fn first_process(&self) -> Result<String> {
        let children = format!("/proc/{0}/task/{0}/children", self.process);
        let text = tokio::fs::read_to_string(&children)
            .await
            .with_context(|| children.clone())?;
        Ok(text
            .split_whitespace()
            .next()
            .with_context(|| format!("{children}: no process"))?
            .to_owned())
    }

    /// Switches the instance off as EC2 does: systemd stops its units, then ends.
    ///
    /// # Errors
    /// The instance has already ended.
    pub async fn switch_off(&self) -> Result<()> {
        let first = self.first_process().await?;
        // poweroff.target (systemd(1), "Signals").
        let status = Command::new("bash")
            .args(["-c", "kill -s RTMIN+4 \"$0\"", &first])
            .status()
            .await?;
        ensure!(
            status.success(),
            "cannot send the signal for switching off to process {first}"
        );
        self.processes.wait(self.process).await?;
        Ok(())
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let mut file = std::fs::File::create(path).with_context(|| path.display().to_string())?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

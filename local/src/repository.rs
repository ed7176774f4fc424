use std::path::{Path, PathBuf};

use tokio::process::Command;

/// Takes from a command's environment what `cargo run` has put there for its own program.
/// A cargo below it would see other values than one started by hand, and some build
/// scripts (ring's) would run again, with everything above them.
pub fn without_cargo_variables(command: &mut Command) -> &mut Command {
    let kept = [
        "CARGO_HOME",
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_JOBS",
        "CARGO_INCREMENTAL",
    ];
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let is_cargos = name == "CARGO" || name == "OUT_DIR" || name.starts_with("CARGO_");
        let is_setting = kept.contains(&name.as_ref())
            || [
                "CARGO_NET_",
                "CARGO_HTTP_",
                "CARGO_REGISTR",
                "CARGO_SOURCE_",
            ]
            .iter()
            .any(|group| name.starts_with(group));
        if is_cargos && !is_setting {
            command.env_remove(name.as_ref());
        }
    }
    command
}

/// The work tree that the commands run in.
#[derive(Debug, Clone)]
pub struct Repository {
    root: PathBuf,
}

impl Repository {
    /// Returns the work tree that this program was built from.
    pub fn here() -> Self {
        // The manifest's folder is `local/`.
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .unwrap_or(Path::new("."));
        Self {
            root: root.to_path_buf(),
        }
    }

    /// Returns the top folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of something below the top folder.
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }

    /// Returns the path of a binary that `cargo build` has made.
    pub fn binary(&self, name: &str) -> PathBuf {
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.path("target"), PathBuf::from);
        target.join("debug").join(name)
    }
}

use std::path::{Path, PathBuf};

use tokio::process::Command;

/// Removes the variables that `cargo run` sets for its own program from a command's
/// environment. With them, a nested cargo would see other values than a cargo started by
/// hand, and run some build scripts (ring's) again, with everything that depends on them.
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

/// The work tree in which the commands run.
#[derive(Debug, Clone)]
pub struct Repository {
    root: PathBuf,
}

impl Repository {
    /// Returns the work tree from which this program was built.
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

    /// Returns a path below the top folder.
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }

    /// Returns the path of a binary from `cargo build`.
    pub fn binary(&self, name: &str) -> PathBuf {
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.path("target"), PathBuf::from);
        target.join("debug").join(name)
    }
}

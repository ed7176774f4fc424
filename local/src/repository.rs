use std::path::{Path, PathBuf};

/// The work tree that the commands run in.
#[derive(Debug, Clone)]
pub struct Repository {
    root: PathBuf,
}

impl Repository {
    /// Returns the work tree that this program was built from.
    pub fn here() -> Self {
        // The manifest's folder is `local/`.
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
        Self { root: root.to_path_buf() }
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
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.path("target"), PathBuf::from);
        target.join("debug").join(name)
    }
}

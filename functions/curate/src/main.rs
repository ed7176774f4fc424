//! The Lambda bootstrap of `curate`.

use std::process::ExitCode;

use curate::{Curate, Settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    function::run(Settings::from_env, Curate::new).await
}

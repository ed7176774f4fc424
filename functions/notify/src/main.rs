//! The Lambda bootstrap of `notify`.

use std::process::ExitCode;

use notify::{Notify, Settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    function::run(Settings::from_env, Notify::new).await
}

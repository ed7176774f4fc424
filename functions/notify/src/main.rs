//! The Lambda bootstrap of `notify`.

use std::process::ExitCode;

use notify::{Notify, Settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    function::run(|config| Ok(Notify::new(config, Settings::from_env()?))).await
}

//! The Lambda bootstrap of `start-crawler`.

use std::process::ExitCode;

use start_crawler::{Settings, StartCrawler};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    function::run(Settings::from_env, StartCrawler::new).await
}

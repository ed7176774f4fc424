//! The Lambda bootstrap of `start-crawler`.

use std::process::ExitCode;

use start_crawler::{Settings, StartCrawler};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    function::run(|config| Ok(StartCrawler::new(aws_sdk_glue::Client::new(config), Settings::from_env()?))).await
}

//! The Lambda bootstrap of `start-crawler`: settings, one Glue client, then the runtime's loop.

use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, service_fn, tracing};
use serde_json::Value;
use start_crawler::{Settings, StartCrawler};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let settings = Settings::from_env()?;
    let config = aws_connect::load(Duration::from_secs(5)).await;
    let function = &StartCrawler::new(aws_sdk_glue::Client::new(&config), settings);
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move { function.handle(event.payload).await })).await
}

//! The Lambda bootstrap of `notify`: settings, the S3 and SNS clients, then the runtime's loop.

use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, service_fn, tracing};
use notify::{Notify, Settings};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let settings = Settings::from_env()?;
    let config = aws_connect::load(Duration::from_secs(5)).await;
    let function = &Notify::new(aws_sdk_s3::Client::new(&config), aws_sdk_sns::Client::new(&config), settings);
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move { function.handle(event.payload).await })).await
}

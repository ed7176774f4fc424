//! The agents' calls of AWS before their work: they fetch their settings and Kafka's
//! password. Each call blocks.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_connect::brief;

/// One attempt of one call; the SDK makes three.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns the value of an SSM parameter.
pub(crate) fn parameter(name: &str) -> Result<String, String> {
    block_on(async |config| {
        let answer = aws_sdk_ssm::Client::new(&config)
            .get_parameter()
            .name(name)
            .with_decryption(true)
            .send()
            .await;
        let parameter = answer.map_err(|error| brief(&error))?.parameter;
        parameter
            .and_then(|parameter| parameter.value)
            .ok_or_else(|| "it has no value".to_owned())
    })
}

/// Returns the text of a secret.
pub(crate) fn secret(id: &str) -> Result<String, String> {
    block_on(async |config| {
        let answer = aws_sdk_secretsmanager::Client::new(&config)
            .get_secret_value()
            .secret_id(id)
            .send()
            .await;
        answer
            .map_err(|error| brief(&error))?
            .secret_string
            .ok_or_else(|| "it has no text".to_owned())
    })
}

/// Runs a future to its end on a thread of its own: callers may be inside a runtime, or
/// in a callback of librdkafka.
pub(crate) fn block_on<T: Send>(
    work: impl AsyncFnOnce(SdkConfig) -> Result<T, String> + Send,
) -> Result<T, String> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        runtime.block_on(async { work(aws_connect::load(CALL_TIMEOUT).await).await })
    };
    std::thread::scope(|scope| {
        scope
            .spawn(run)
            .join()
            .unwrap_or_else(|_| Err("the call panicked".to_owned()))
    })
}

use std::error::Error;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode};
use tracing::{debug, error, info, warn};

use crate::msk_iam;

/// The callbacks of every Kafka client: librdkafka's logs go into ours, and MSK gets
/// tokens signed by this machine's role.
#[derive(Debug, Clone, Default)]
pub struct KafkaContext {
    /// When the last token expires, in milliseconds since the epoch.
    expires_ms: Arc<AtomicI64>,
    /// The last reason why a connection failed.
    trouble: Arc<Mutex<Option<String>>>,
}

impl KafkaContext {
    /// Returns the last reason why a connection failed.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// True while the last token is good.
    pub(crate) fn has_token(&self) -> bool {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        i64::try_from(now).is_ok_and(|now| now < self.expires_ms.load(Ordering::Relaxed))
    }
}

impl ClientContext for KafkaContext {
    // Asked for only if the mechanism is OAUTHBEARER.
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let token = msk_iam::token().inspect_err(|problem| {
            warn!(
                problem,
                "cannot sign a token for MSK, librdkafka asks again"
            )
        })?;
        self.expires_ms.store(token.lifetime_ms, Ordering::Relaxed);
        Ok(token)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => {
                error!(facility, "{message}")
            }
            RDKafkaLogLevel::Warning => warn!(facility, "{message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => info!(facility, "{message}"),
            RDKafkaLogLevel::Debug => debug!(facility, "{message}"),
        }
    }

    fn error(&self, error: ClientError, reason: &str) {
        // That all brokers are down follows from the errors before it.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
        warn!(
            event = "kafka_trouble",
            %error,
            reason,
            "Kafka is in trouble, the client goes on trying"
        );
    }
}

impl ConsumerContext for KafkaContext {}

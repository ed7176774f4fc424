use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError as ClientError;
use serde::Deserialize;

use crate::{KafkaContext, aws, topic_name};

/// How long a start waits for the brokers' metadata.
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);

/// The `kafka` section of an agent's configuration.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaSettings {
    /// Bootstrap brokers, `host:port[,host:port…]`.
    pub brokers: String,
    /// The topic of ticks.
    #[serde(
        default = "default_topic",
        deserialize_with = "topic_name::deserialize"
    )]
    pub topic: String,
    /// How the brokers know this machine, and it them.
    #[serde(default, deserialize_with = "crate::word")]
    pub security: Security,
    /// Secret in AWS Secrets Manager, by name or ARN, with `{"username": …, "password":
    /// …}` for `security: scram`.
    pub secret: Option<String>,
    /// PEM file with the certificates of those who sign the brokers'; without it the
    /// system's.
    pub ca_file: Option<String>,
    /// Further librdkafka settings, passed on unchanged; see
    /// [`KafkaSettings::refuse_options`]. Never logged.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

/// How the brokers know this machine, and it them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Security {
    /// Not at all: within one private network.
    #[default]
    Plaintext,
    /// TLS; the brokers know nobody.
    Tls,
    /// TLS, and user and password by SASL/SCRAM-SHA-512.
    Scram,
    /// TLS, and this machine's AWS role: MSK with IAM access control.
    MskIam,
}

fn default_topic() -> String {
    "ticks".to_owned()
}

/// Why Kafka cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// librdkafka refuses the settings.
    #[error("kafka.options: {0}")]
    Settings(ClientError),
    /// Two settings cannot both hold, or one needs another.
    #[error("{0}")]
    Conflict(&'static str),
    /// `kafka.options` has a setting that the agent makes itself.
    #[error("kafka.options: {option} cannot be set here: {instead}")]
    Reserved {
        /// The librdkafka setting.
        option: &'static str,
        /// Why, or which setting to use instead.
        instead: &'static str,
    },
    /// The secret cannot be read.
    #[error(
        "kafka.secret: cannot read {secret:?}: {problem}\n  wanted a secret \
         {{\"username\": …, \"password\": …}} that this machine's role may read"
    )]
    Secret {
        /// Its name.
        secret: String,
        /// The fault.
        problem: String,
    },
    /// No broker answered.
    #[error(
        "cannot reach Kafka at {brokers}: {problem}\n  set kafka.brokers (now {brokers:?}) to \
         brokers that this machine can reach, and kafka.security to what they speak"
    )]
    Unreachable {
        /// The brokers tried.
        brokers: String,
        /// The error of librdkafka.
        problem: String,
    },
    /// The topic does not exist.
    #[error(
        "topic {topic:?} does not exist on {brokers}\n  the brokers know: {known}\n  set \
         kafka.topic (now {topic:?}), or create it: kafka-topics.sh --bootstrap-server {brokers} \
         --create --topic {topic} --partitions 4"
    )]
    NoTopic {
        /// The brokers asked.
        brokers: String,
        /// The topic asked for.
        topic: String,
        /// The topics they have.
        known: String,
    },
}

/// librdkafka settings that every agent makes itself.
const RESERVED: [(&str, &str); 2] = [
    ("bootstrap.servers", USE_BROKERS),
    ("metadata.broker.list", USE_BROKERS),
];
const USE_BROKERS: &str = "use kafka.brokers";
/// Those that follow from `kafka.security`, unless it is `plaintext`.
const RESERVED_BY_SECURITY: [(&str, &str); 3] = [
    ("security.protocol", USE_SECURITY),
    ("sasl.mechanisms", USE_SECURITY),
    ("sasl.mechanism", USE_SECURITY),
];
const USE_SECURITY: &str = "it follows from kafka.security; leave one of the two out";

impl KafkaSettings {
    /// Refuses librdkafka settings in `kafka.options` that the agent makes itself:
    /// `reserved` has their names, each with the reason or the setting to use instead.
    ///
    /// # Errors
    /// One of them is set.
    pub fn refuse_options(
        &self,
        reserved: &[(&'static str, &'static str)],
    ) -> Result<(), KafkaError> {
        let by_security = if self.security == Security::Plaintext {
            &[][..]
        } else {
            &RESERVED_BY_SECURITY
        };
        let mut all = RESERVED.iter().chain(by_security).chain(reserved);
        match all.find(|(option, _)| self.options.contains_key(*option)) {
            Some((option, instead)) => Err(KafkaError::Reserved { option, instead }),
            None => Ok(()),
        }
    }

    /// Fetches user and password if [`Security::Scram`] needs them. Called once, before
    /// any client is made. Blocks.
    ///
    /// # Errors
    /// The secret cannot be read, or settings contradict each other.
    pub fn resolve(&mut self) -> Result<(), KafkaError> {
        let has_user = self.options.contains_key("sasl.username");
        match (self.security, &self.secret) {
            (Security::Scram, None) if has_user => Ok(()),
            (Security::Scram, None) => Err(KafkaError::Conflict(
                "kafka.security: scram needs kafka.secret, or sasl.username and sasl.password in \
                 kafka.options",
            )),
            (Security::Scram, Some(_)) if has_user => Err(KafkaError::Conflict(
                "kafka.secret and sasl.username in kafka.options exclude each other; leave one out",
            )),
            (Security::Scram, Some(secret)) => {
                #[derive(Deserialize)]
                struct Login {
                    username: String,
                    password: String,
                }
                let wrong = |problem| KafkaError::Secret {
                    secret: secret.clone(),
                    problem,
                };
                let text = aws::secret(secret).map_err(wrong)?;
                // Not serde's message: it may quote the password.
                let login: Login = serde_json::from_str(&text).map_err(|_| {
                    wrong("it is not a JSON object with username and password".to_owned())
                })?;
                self.options.extend([
                    ("sasl.username".to_owned(), login.username),
                    ("sasl.password".to_owned(), login.password),
                ]);
                Ok(())
            }
            (_, Some(_)) => Err(KafkaError::Conflict(
                "kafka.secret is for kafka.security: scram; leave one out",
            )),
            (Security::Plaintext, None) if self.ca_file.is_some() => Err(KafkaError::Conflict(
                "kafka.ca_file is for kafka.security: tls, scram or msk-iam; set one",
            )),
            (_, None) => Ok(()),
        }
    }

    /// Returns a client configuration with brokers, security and options set.
    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "ticklake")
            .set_log_level(RDKafkaLogLevel::Info);
        match self.security {
            Security::Plaintext => &mut config,
            Security::Tls => config.set("security.protocol", "ssl"),
            Security::Scram => config
                .set("security.protocol", "sasl_ssl")
                .set("sasl.mechanisms", "SCRAM-SHA-512"),
            Security::MskIam => config
                .set("security.protocol", "sasl_ssl")
                .set("sasl.mechanisms", "OAUTHBEARER"),
        };
        if self.security != Security::Plaintext {
            // OpenSSL is linked statically and has no place of its own: the places of the
            // distributions are tried in turn.
            config.set(
                "ssl.ca.location",
                self.ca_file.as_deref().unwrap_or("probe"),
            );
        }
        for (name, value) in &self.options {
            config.set(name, value);
        }
        config
    }

    /// Returns a client in no group, for metadata.
    ///
    /// # Errors
    /// The settings are refused.
    pub fn metadata_client(&self) -> Result<BaseConsumer<KafkaContext>, KafkaError> {
        let client = self
            .client_config()
            .create_with_context(KafkaContext::default())
            .map_err(KafkaError::Settings)?;
        self.sign_in(&client);
        Ok(client)
    }

    /// Lets a client that nobody polls get its token, and get a new one if the old one
    /// has expired. Blocks until it has one, for up to 10 s.
    pub fn sign_in(&self, client: &BaseConsumer<KafkaContext>) {
        let deadline = Instant::now() + METADATA_TIMEOUT;
        while self.security == Security::MskIam
            && !client.context().has_token()
            && Instant::now() < deadline
        {
            // Nothing is subscribed: only the request for a token comes, which the
            // context answers.
            client.poll(Duration::from_millis(100));
        }
    }

    /// Asks the brokers for the topic and returns its number of partitions. Never creates
    /// it. Blocks for up to 10 s.
    ///
    /// # Errors
    /// The settings are refused, no broker answers, or the topic does not exist.
    pub fn check_topic(&self) -> Result<usize, KafkaError> {
        let client = self.metadata_client()?;
        let unreachable = |error: ClientError| {
            // Polling reports why a connection failed: a certificate, a password, nobody
            // there.
            client.poll(Duration::ZERO);
            let problem = client
                .context()
                .trouble()
                .unwrap_or_else(|| error.to_string());
            KafkaError::Unreachable {
                brokers: self.brokers.clone(),
                problem,
            }
        };
        // All topics: asking for one by name may create it on brokers that do so.
        let metadata = client
            .fetch_metadata(None, METADATA_TIMEOUT)
            .map_err(unreachable)?;
        match metadata
            .topics()
            .iter()
            .find(|topic| topic.name() == self.topic)
        {
            Some(topic) => Ok(topic.partitions().len()),
            None => {
                let mut known: Vec<&str> = metadata
                    .topics()
                    .iter()
                    .map(|topic| topic.name())
                    .filter(|name| !name.starts_with("__"))
                    .collect();
                known.sort_unstable();
                let known = if known.is_empty() {
                    "no topics".to_owned()
                } else {
                    known.join(", ")
                };
                Err(KafkaError::NoTopic {
                    brokers: self.brokers.clone(),
                    topic: self.topic.clone(),
                    known,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(yaml: &str) -> Result<KafkaSettings, String> {
        let mut kafka: KafkaSettings = crate::Layers::of_text(yaml)
            .load()
            .map_err(|error| error.to_string())?;
        kafka.resolve().map_err(|error| error.to_string())?;
        Ok(kafka)
    }

    #[test]
    fn security_says_what_librdkafka_needs() {
        let config = |yaml: &str| resolve(yaml).expect(yaml).client_config();
        assert_eq!(config("{brokers: b}").get("security.protocol"), None);
        let tls = config("{brokers: b, security: tls, ca_file: ca.pem}");
        assert_eq!(
            (tls.get("security.protocol"), tls.get("ssl.ca.location")),
            (Some("ssl"), Some("ca.pem"))
        );
        let scram = config("{brokers: b, security: scram, options: {sasl.username: u}}");
        assert_eq!(
            (scram.get("sasl.mechanisms"), scram.get("ssl.ca.location")),
            (Some("SCRAM-SHA-512"), Some("probe"))
        );
        let msk = config("{brokers: b, security: msk-iam}");
        assert_eq!(msk.get("sasl.mechanisms"), Some("OAUTHBEARER"));
        for sasl in [scram, msk] {
            assert_eq!(
                sasl.get("security.protocol"),
                Some("sasl_ssl"),
                "no password or token goes unencrypted"
            );
        }
    }

    #[test]
    fn options_that_the_agent_relies_on_are_refused_with_the_reason() {
        let refused = |yaml: &str| {
            resolve(yaml)
                .expect(yaml)
                .refuse_options(&[("acks", "why")])
                .map_err(|error| error.to_string())
        };
        let error = |option: &str, instead: &str| {
            Err(format!(
                "kafka.options: {option} cannot be set here: {instead}"
            ))
        };
        assert_eq!(
            refused("{brokers: b, options: {acks: 1}}"),
            error("acks", "why")
        );
        assert_eq!(
            refused("{brokers: b, options: {bootstrap.servers: x}}"),
            error("bootstrap.servers", USE_BROKERS)
        );
        assert_eq!(
            refused("{brokers: b, security: tls, options: {security.protocol: ssl}}"),
            error("security.protocol", USE_SECURITY)
        );
        // Security that kafka.security has no word for.
        assert_eq!(
            refused(
                "{brokers: b, options: {security.protocol: sasl_ssl, sasl.mechanisms: PLAIN, \
                 linger.ms: 5}}"
            ),
            Ok(())
        );
    }

    #[test]
    fn settings_that_contradict_each_other_are_named() {
        let error = |yaml: &str| resolve(yaml).err().expect(yaml);
        assert!(error("{brokers: b, security: scram}").contains("needs kafka.secret"));
        assert!(
            error("{brokers: b, security: scram, secret: s, options: {sasl.username: u}}")
                .contains("exclude each other")
        );
        assert!(
            error("{brokers: b, secret: s}").contains("kafka.secret is for kafka.security: scram")
        );
        assert!(error("{brokers: b, ca_file: ca.pem}").contains("kafka.ca_file is for"));
        assert!(
            error("{brokers: b, security: ssl}")
                .contains("unknown variant `ssl`, expected one of `plaintext`")
        );
    }
}

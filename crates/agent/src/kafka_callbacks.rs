/// Implements the part of `rdkafka::ClientContext` that all clients of the agents have in
/// common, within an `impl` of it: `$context` is the field with the
/// [`KafkaContext`](crate::KafkaContext).
#[macro_export]
macro_rules! shared_callbacks {
    ($context:ident) => {
        const ENABLE_REFRESH_OAUTH_TOKEN: bool =
            <$crate::KafkaContext as ::rdkafka::ClientContext>::ENABLE_REFRESH_OAUTH_TOKEN;

        fn generate_oauth_token(
            &self,
            config: ::std::option::Option<&str>,
        ) -> ::std::result::Result<
            ::rdkafka::client::OAuthToken,
            ::std::boxed::Box<dyn ::std::error::Error>,
        > {
            self.$context.generate_oauth_token(config)
        }

        fn log(&self, level: ::rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
            self.$context.log(level, facility, message);
        }

        fn error(&self, error: ::rdkafka::error::KafkaError, reason: &str) {
            self.$context.error(error, reason);
        }
    };
}

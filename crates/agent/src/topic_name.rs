use serde::{Deserialize, Deserializer, de::Error as _};

/// Deserializes the name of a topic that can land: the names of the lake's files begin
/// with it.
///
/// # Errors
/// Athena and the Glue crawler would not see the files.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let topic = String::deserialize(deserializer)?;
    if topic.starts_with(['_', '.']) {
        return Err(D::Error::custom(format_args!(
            "got {topic:?}, wanted a topic whose name does not begin with _ or .: files in the \
             lake begin with the topic's name, \
             and Athena and the Glue crawler skip files that begin so\n  produce to a topic with \
             another name, or mirror this one into one"
        )));
    }
    Ok(topic)
}

#[cfg(test)]
mod tests {
    use crate::{KafkaSettings, Layers};

    fn load(topic: &str) -> Result<KafkaSettings, String> {
        let layers = Layers::of_text("{brokers: b}")
            .flag("topic", Some(topic))
            .map_err(|error| error.to_string())?;
        layers.load().map_err(|error| error.to_string())
    }

    #[test]
    fn topics_whose_files_athena_would_skip_are_refused() {
        for topic in ["_ticks", ".ticks", "__consumer_offsets"] {
            let error = load(topic).err().expect(topic);
            assert!(
                error.starts_with(&format!(
                    "flag for topic: got {topic:?}, wanted a topic whose name does not begin \
                     with _ or ."
                )),
                "{error}"
            );
        }
        for topic in ["ticks", "md.ticks.v1", "a_b", "-"] {
            assert_eq!(load(topic).map(|kafka| kafka.topic), Ok(topic.to_owned()));
        }
    }

    #[test]
    fn the_template_takes_the_topics_that_the_agents_take() {
        let template = include_str!("../../../template.yaml");
        let parameter = template
            .split("\n  Topic:\n")
            .nth(1)
            .expect("a parameter Topic");
        let pattern = parameter
            .split("AllowedPattern: ")
            .nth(1)
            .and_then(|rest| rest.lines().next())
            .expect("its pattern");
        let pattern = regex_lite::Regex::new(pattern).expect("a regular expression");
        for topic in [
            "ticks",
            "md.ticks.v1",
            "a_b",
            "-",
            "_ticks",
            ".ticks",
            "__consumer_offsets",
        ] {
            assert_eq!(pattern.is_match(topic), load(topic).is_ok(), "{topic}");
        }
    }
}

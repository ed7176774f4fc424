/// The place where a person queries the curated hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Athena {
    /// The table of bars as a query names it, `database.table`.
    pub(crate) bars: String,
    /// The workgroup that has the saved queries.
    pub(crate) workgroup: String,
    /// Their page in the console.
    pub(crate) url: String,
}

impl Athena {
    pub(crate) fn new(region: &str, database: &str, workgroup: String) -> Self {
        // Each partition of AWS has a console of its own.
        let console = match region.split_once('-') {
            Some(("cn", _)) => "console.amazonaws.cn",
            Some(("us", rest)) if rest.starts_with("gov-") => "console.amazonaws-us-gov.com",
            _ => "console.aws.amazon.com",
        };
        let page = "#/query-editor/saved-queries";
        Self {
            bars: format!("{database}.{}", curation::Table::Bars.name()),
            workgroup,
            url: format!("https://{region}.{console}/athena/home?region={region}{page}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_of_aws_has_its_console() {
        let url = |region| Athena::new(region, "d", "w".to_owned()).url;
        assert_eq!(
            url("eu-central-1"),
            "https://eu-central-1.console.aws.amazon.com/athena/home?region=eu-central-1\
             #/query-editor/saved-queries"
        );
        for (region, console) in [
            ("us-east-1", "https://us-east-1.console.aws.amazon.com/"),
            (
                "us-gov-west-1",
                "https://us-gov-west-1.console.amazonaws-us-gov.com/",
            ),
            ("cn-north-1", "https://cn-north-1.console.amazonaws.cn/"),
        ] {
            assert!(url(region).starts_with(console), "{}", url(region));
        }
    }
}

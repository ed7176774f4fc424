use std::collections::BTreeMap;

use anyhow::Result;

use crate::{CrawlWorker, Deployment, Mailbox, Ministack, Parameters, Role, Workspace};

/// The deployed half of the pipeline: everything from the bucket on, and the workers that
/// watch it.
pub struct Stack {
    /// The local AWS.
    pub ministack: Ministack,
    /// The deployed template.
    pub deployment: Deployment,
    /// Does the crawler's work.
    pub crawls: CrawlWorker,
    /// The subscribers' inbox.
    pub mailbox: Mailbox,
}

impl Stack {
    /// Deploys the template, whose functions are built, on a local AWS that runs, and
    /// starts the workers.
    ///
    /// # Errors
    /// Names the part that did not come up.
    pub async fn deploy(
        ministack: Ministack,
        workspace: &Workspace,
        parameters: &Parameters,
    ) -> Result<Self> {
        let deployment = Deployment::deploy(&ministack, workspace, parameters).await?;
        for role in [
            "StartCrawlerRoleName",
            "NotifyRoleName",
            "CurateRoleName",
            "ConsumerRoleName",
            "ProducerRoleName",
        ] {
            Role::read(&ministack.aws, deployment.output(role)?)
                .await?
                .grant_what_is_misjudged()
                .await?;
        }
        let crawls = CrawlWorker::start(&ministack.aws, deployment.output("CrawlerName")?);
        let mailbox = Mailbox::open(
            &ministack.aws,
            deployment.output("NewFilesTopicArn")?,
            workspace.folder.join("mailbox"),
            None,
        )
        .await?;
        Ok(Self {
            ministack,
            deployment,
            crawls,
            mailbox,
        })
    }

    /// Returns the environment of a function that runs outside of the stack: the endpoint
    /// and the template's settings.
    ///
    /// # Errors
    /// The stack lacks an output.
    pub fn function_environment(&self) -> Result<BTreeMap<String, String>> {
        let deployment = &self.deployment;
        let mut environment: BTreeMap<String, String> = self
            .ministack
            .aws
            .environment()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let settings = [
            ("CRAWLER_NAME", deployment.output("CrawlerName")?),
            ("CRAWL_ON", "new-partition"),
            ("GLUE_DATABASE", deployment.output("DatabaseName")?),
            ("GLUE_TABLE", deployment.output("TableName")?),
            ("ATHENA_WORKGROUP", deployment.output("WorkGroupName")?),
            ("QUEUE_URL", deployment.output("NotifyQueueUrl")?),
            ("TOPIC_ARN", deployment.output("NewFilesTopicArn")?),
            ("LAKE_BUCKET", deployment.output("LakeBucket")?),
            ("WORK_QUEUE_URL", deployment.output("CurateQueueUrl")?),
            ("CURATE_GRACE_MINUTES", "10"),
            ("CURATE_LOOK_BACK_DAYS", "3"),
        ];
        environment.extend(settings.map(|(name, value)| (name.to_owned(), value.to_owned())));
        Ok(environment)
    }
}

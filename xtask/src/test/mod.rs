//! `cargo xtask test`: everything that checks the project. Every check runs, whatever
//! became of the one before; the last line counts.

mod aws_check;
mod brokers;
mod cargo_tests;
mod chaos;
mod checks;
mod controls;
mod demos;
mod deployer;
mod deployment;
mod documents;
mod edges;
mod events;
mod functions;
mod instances;
mod load;
mod operator;
mod queries;
mod roles;
pub(crate) mod template;

use anyhow::{Result, bail};
use clap::Args;
use futures::future::LocalBoxFuture;
use local::{Build, Deployment, Processes, Repository, Tools};

use crate::prepare;
use checks::Checks;

/// Options of `cargo xtask test`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Run only the checks whose name contains this
    filter: Option<String>,
}

pub(crate) async fn run(options: Options, processes: &Processes) -> Result<()> {
    let repository = &Repository::here();
    let folder = &prepare::run_folder(repository, "test")?;
    let mut checks = Checks::new(options.filter, processes.clone());
    println!("tools: {}", Tools::versions(repository));
    let tools = &Tools::install(repository, processes).await?;

    checks
        .run("format", cargo_tests::format(repository, processes, folder))
        .await;
    checks
        .run("dependency edges", edges::check(repository))
        .await;
    checks
        .run(
            "dependencies: licences, bans, sources",
            documents::dependencies(repository, tools, processes, folder),
        )
        .await;
    checks
        .run(
            "documents: spelling",
            documents::spelling(repository, tools, processes, folder),
        )
        .await;
    checks
        .run("clippy", cargo_tests::clippy(repository, processes, folder))
        .await;
    checks
        .run_counted(
            "unit and integration tests",
            cargo_tests::tests(repository, processes, folder),
        )
        .await;
    checks
        .run(
            "template: sam validate --lint",
            template::validate(repository, tools, processes, folder),
        )
        .await;
    checks
        .run(
            "template: cfn-lint on the translated template",
            template::lint_translated(repository, tools, processes, folder),
        )
        .await;
    checks
        .run(
            "template: what deployments would be",
            template::deployments(repository, tools, processes, folder),
        )
        .await;
    checks
        .run(
            "template: checkov",
            deployment::checkov(repository, processes, folder),
        )
        .await;
    checks
        .run(
            "template: queries, metrics, runbook",
            deployment::references(repository, tools, processes, folder),
        )
        .await;
    checks
        .run(
            "scripts: shellcheck",
            deployment::scripts(repository, tools, processes, folder),
        )
        .await;
    checks
        .run(
            "build agents",
            prepare::agents(repository, processes, folder),
        )
        .await;
    checks
        .run(
            "documents: links and commands",
            documents::pages(repository, tools, processes, folder),
        )
        .await;
    checks
        .run(
            "sam build",
            Deployment::build(Build::All, repository, tools, processes, folder),
        )
        .await;
    checks
        .run(
            "agents need no newer glibc than Amazon Linux has",
            deployment::layer(repository),
        )
        .await;
    checks
        .run("function zips", template::zip_sizes(repository))
        .await;
    checks
        .run(
            "events through cargo-lambda",
            events::check(repository, tools, processes, folder),
        )
        .await;
    checks
        .run(
            "functions as they are deployed",
            functions::check(repository, tools, processes, folder),
        )
        .await;
    checks
        .run(
            "roles: each permission is needed",
            roles::check(repository, tools, processes, folder),
        )
        .await;
    checks
        .run(
            "load: 10,000 events in a minute",
            load::check(repository, tools, processes, folder),
        )
        .await;
    checks
        .run(
            "an image for instances",
            instances::image(repository, processes),
        )
        .await;
    let together: Vec<(_, LocalBoxFuture<'_, _>)> = vec![
        (
            "operator: secured Kafka, roles, reconcile, aws-check, update, delete",
            Box::pin(operator::check(repository, tools, processes, folder)),
        ),
        (
            "instances boot from the deployed user data",
            Box::pin(instances::check(repository, tools, processes, folder)),
        ),
        (
            "a broker of the stack's own boots and is replaced",
            Box::pin(brokers::check(repository, tools, processes, folder)),
        ),
    ];
    checks.run_together(together).await;
    for case in queries::CASES {
        checks
            .run(
                &format!("queries across midnight, {}", case.name()),
                queries::check(case, repository, tools, processes, folder),
            )
            .await;
    }
    checks
        .run(
            "demo refuses what it cannot do",
            demos::refusals(repository, processes, folder),
        )
        .await;
    checks
        .run(
            "demo is interrupted and leaves nothing",
            demos::interrupted(repository, processes, folder),
        )
        .await;
    for arguments in demos::RUNS {
        checks
            .run(
                &format!("demo {}", arguments.join(" ")),
                demos::run(arguments, repository, processes, folder),
            )
            .await;
    }
    checks
        .run_counted("chaos, 10 runs", chaos::run(repository, processes, folder))
        .await;
    checks
        .run(
            "chaos catches a consumer without conditions",
            chaos::unconditional(repository, processes, folder),
        )
        .await;
    checks
        .run(
            "up, replay, down",
            demos::up_replay_down(repository, processes, folder),
        )
        .await;
    if checks.close() {
        Ok(())
    } else {
        bail!("the logs are in {}", folder.display())
    }
}

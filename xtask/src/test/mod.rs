//! `cargo xtask test`: everything that checks the project. Every check runs, even if the
//! one before failed; the last line counts.

mod cargo_tests;
mod checks;
mod deployment;
mod documents;
mod edges;
mod module_circles;
pub(crate) mod template;

use anyhow::{Result, bail};
use clap::Args;
use local::{Build, Deployment, InstanceImage, Processes, Repository, Tools};

use crate::prepare;
use checks::Checks;

/// Options of `cargo xtask test`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Run only the checks whose name contains this; if there are none, the tests whose
    /// name or file contains it
    filter: Option<String>,
}

pub(crate) async fn run(options: Options, processes: &Processes) -> Result<()> {
    let filter = options.filter;
    let mut checks = Checks::new(filter.clone(), processes.clone());
    println!("tools: {}", Tools::versions(&Repository::here()));
    let workspace = &prepare::workspace("test", processes).await?;
    let repository = &workspace.repository;

    checks.run("format", cargo_tests::format(workspace)).await;
    checks
        .run("dependency edges", edges::check(repository))
        .await;
    checks
        .run(
            "dependencies: licences, bans, sources",
            documents::dependencies(workspace),
        )
        .await;
    checks
        .run("documents: spelling", documents::spelling(workspace))
        .await;
    checks
        .run("no circles between files", async {
            module_circles::check(repository)
        })
        .await;
    checks.run("clippy", cargo_tests::clippy(workspace)).await;
    checks
        .run(
            "template: sam validate --lint",
            template::validate(workspace),
        )
        .await;
    checks
        .run(
            "template: cfn-lint on the translated template",
            template::lint_translated(workspace),
        )
        .await;
    checks
        .run(
            "template: rules and conditions",
            template::deployments(workspace),
        )
        .await;
    checks
        .run("template: checkov", deployment::checkov(workspace))
        .await;
    checks
        .run(
            "template: repeated names",
            deployment::references(workspace),
        )
        .await;
    checks
        .run("scripts: shellcheck", deployment::scripts(workspace))
        .await;
    checks
        .run("prepare: build agents", prepare::agents(workspace))
        .await;
    checks
        .run("documents: links and commands", documents::pages(workspace))
        .await;
    checks
        .run(
            "prepare: sam build",
            Deployment::build(Build::All, workspace),
        )
        .await;
    checks
        .run("prepare: a root file system to boot", async {
            InstanceImage::prepare(workspace).await.map(|_| ())
        })
        .await;
    checks
        .run("prepare: cargo-nextest", async {
            Tools::install_nextest(repository, processes)
                .await
                .map(|_| ())
        })
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
        .run_counted("doctests", cargo_tests::doctests(workspace))
        .await;
    if filter.is_none() || checks.is_empty() {
        checks
            .run_always("tests", cargo_tests::tests(filter.as_deref(), workspace))
            .await;
    }
    if checks.close() {
        Ok(())
    } else {
        bail!("the logs are in {}", workspace.folder.display())
    }
}

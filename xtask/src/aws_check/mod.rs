//! `cargo xtask aws-check`: the steps of docs/aws-checklist.md, run against a deployed
//! stack.
//!
//! The page is the list: its steps are printed in its order, with its instructions for
//! those that are done by hand. The others ask AWS, and pure functions judge the answers.

mod account;
mod alarms;
mod answer;
mod ask_until;
mod brokers;
mod bucket;
mod checklist;
mod crawler;
mod incomplete;
mod instances;
mod mails;
mod metrics;
mod outcome;
mod overwrite;
mod queries;
mod queues;
mod refusal;
mod rules;
mod set_off;
mod settings;
mod stack;
mod status;
mod steps;
mod totals;

use anyhow::Result;
use clap::Args;
use local::{Processes, Repository, Tools};

use account::Account;
use checklist::{By, Item, checklist};
use outcome::Outcome;
use stack::Stack;
use steps::{STEPS, Step};
use totals::Totals;

/// Options of `cargo xtask aws-check`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Name of the stack
    #[arg(long)]
    stack: String,
    /// Region of the stack [default: AWS_REGION, or that of the profile]
    #[arg(long)]
    region: Option<String>,
    /// Also run the steps that put and break things: they create objects and remove them,
    /// start a crawl and queries, and set off an alarm
    #[arg(long)]
    write: bool,
}

/// Runs the checklist. Every step runs, even if the one before failed; the last line
/// counts.
pub(crate) async fn run(options: Options, processes: &Processes) -> Result<()> {
    let tools = Tools::install(&Repository::here(), processes).await?;
    let stack = Stack::describe(Account::new(tools, options.region), &options.stack).await?;
    println!("{}", stack.id);
    let mut totals = Totals::default();
    for item in checklist() {
        let outcome = outcome(&item, &stack, options.write).await;
        totals.add(&outcome);
        let (word, said) = outcome.words();
        // A message of AWS may have several lines.
        println!("{word:13}  {:20}  {}", item.id, said.replace('\n', " "));
    }
    println!("\n{totals}");
    totals.verdict()
}

async fn outcome(item: &Item, stack: &Stack, write: bool) -> Outcome {
    match STEPS.iter().find(|step| step.id == item.id) {
        _ if item.by == By::Hand => Outcome::ByHand(stack.fill_in(&item.text)),
        None => Outcome::Failed(
            "docs/aws-checklist.md gives it to this command, which does not know it".to_owned(),
        ),
        Some(Step { writes: true, .. }) if !write => Outcome::LeftOut("needs --write".to_owned()),
        Some(step) => (step.run)(stack)
            .await
            .unwrap_or_else(|error| Outcome::of_error(&error)),
    }
}

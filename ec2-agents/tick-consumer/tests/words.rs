//! Texts that a person reads before anything runs. After a change on purpose, this
//! rewrites them: `INSTA_UPDATE=always cargo test --workspace --test words`.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

const BINARY: &str = env!("CARGO_BIN_EXE_tick-consumer");
const FILE: &str = "consumer.yaml";

fn said(config: &str, arguments: &[&str]) -> String {
    local::agent_output(BINARY, FILE, config, arguments).expect("an output")
}

#[test]
fn help() {
    insta::assert_snapshot!(said("", &["--help"]));
}

/// The part of each command's help that the others do not have.
#[test]
fn help_of_the_commands() {
    let help = |command: &&str| {
        let text = said("", &[*command, "--help"]);
        let (own, _) = text
            .split_once("      --config <")
            .expect("the common settings");
        format!("{own}\n")
    };
    let commands = [
        "run",
        "check",
        "verify",
        "skip",
        "curate",
        "reconcile",
        "dead-letters",
    ];
    insta::assert_snapshot!(commands.iter().map(help).collect::<String>());
}

#[test]
fn configuration_errors() {
    let complete = "kafka: {brokers: b:9092}\nlake: {bucket: lake}\n";
    let with = |more: &str| format!("{complete}{more}");
    let file = ["--config", FILE];
    let cases: [(String, &[&str]); 14] = [
        (String::new(), &[]),
        (String::new(), &["--config", "nowhere.yaml"]),
        ("kafka: [".to_owned(), &file),
        ("kafka: {brokers: b:9092}".to_owned(), &file),
        ("kafka: {tpoic: ticks}".to_owned(), &file),
        (with("batch: {max_age: ten}"), &file),
        (with("batch: {max_rows: many}"), &file),
        (with("batch: {max_bytes: 64 megs}"), &file),
        (with("group: {protocol: newest}"), &file),
        (with("memory: {limit: 1MiB}"), &file),
        (with("records: {tombstones: drop}"), &file),
        (
            complete.to_owned(),
            &[&file[..], &["--format", "orc"]].concat(),
        ),
        (
            complete.to_owned(),
            &[&file[..], &["--topic", "_ticks"]].concat(),
        ),
        (
            complete.to_owned(),
            &[&file[..], &["--formt", "csv"]].concat(),
        ),
    ];
    let errors = local::agent_outputs(BINARY, FILE, &cases).expect("outputs");
    insta::assert_snapshot!(errors);
}

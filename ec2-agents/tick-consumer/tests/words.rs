//! Texts that a person reads before anything runs. After a change on purpose, this
//! rewrites them: `INSTA_UPDATE=always cargo test --workspace --test words`.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

use std::process::Command;

/// Runs the consumer in a folder with a configuration file; returns its output.
fn said(config: &str, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("consumer.yaml"), config).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_tick-consumer"))
        .env_clear()
        .current_dir(folder.path())
        .args(arguments)
        .output()
        .expect("an output");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8(text).expect("UTF-8")
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
        "reconcile",
        "dead-letters",
    ];
    insta::assert_snapshot!(commands.iter().map(help).collect::<String>());
}

#[test]
fn configuration_errors() {
    let complete = "kafka: {brokers: b:9092}\nlake: {bucket: lake}\n";
    let with = |more: &str| format!("{complete}{more}");
    let file = ["--config", "consumer.yaml"];
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
    let errors = cases.iter().map(|(config, arguments)| {
        let command = ["tick-consumer", &arguments.join(" ")].join(" ");
        format!("{config}\n$ {command}\n{}\n", said(config, arguments))
    });
    insta::assert_snapshot!(errors.collect::<String>());
}

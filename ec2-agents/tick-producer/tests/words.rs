//! Texts that a person reads before anything runs. After a change on purpose, this
//! rewrites them: `INSTA_UPDATE=always cargo test --workspace --test words`.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

use std::process::Command;

/// Runs the producer in a folder with a configuration file; returns its output.
fn said(config: &str, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("producer.yaml"), config).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_tick-producer"))
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

#[test]
fn configuration_errors() {
    let complete = "kafka: {brokers: b:9092}\n";
    let with = |more: &str| format!("{complete}{more}");
    let file = ["--config", "producer.yaml"];
    let cases: [(String, &[&str]); 8] = [
        (String::new(), &[]),
        (with("sauce: csv"), &file),
        (with("source: api"), &file),
        (with("csv: {date_order: ymd}"), &file),
        (with("synthetic: {symbols: [A, \"\"]}"), &file),
        (with("send: {rate: fast}"), &file),
        (with("send: {compression: brotli}"), &file),
        (
            complete.to_owned(),
            &[&file[..], &["--event-time", "later"]].concat(),
        ),
    ];
    let errors = cases.iter().map(|(config, arguments)| {
        let command = ["tick-producer", &arguments.join(" ")].join(" ");
        format!("{config}\n$ {command}\n{}\n", said(config, arguments))
    });
    insta::assert_snapshot!(errors.collect::<String>());
}

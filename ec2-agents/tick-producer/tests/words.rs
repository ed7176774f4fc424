//! Texts that a person reads before anything runs. After a change on purpose, this
//! rewrites them: `INSTA_UPDATE=always cargo test --workspace --test words`.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

const BINARY: &str = env!("CARGO_BIN_EXE_tick-producer");
const FILE: &str = "producer.yaml";

fn said(config: &str, arguments: &[&str]) -> String {
    local::agent_output(BINARY, FILE, config, arguments).expect("an output")
}

#[test]
fn help() {
    insta::assert_snapshot!(said("", &["--help"]));
}

#[test]
fn configuration_errors() {
    let complete = "kafka: {brokers: b:9092}\n";
    let with = |more: &str| format!("{complete}{more}");
    let file = ["--config", FILE];
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
    let errors = local::agent_outputs(BINARY, FILE, &cases).expect("outputs");
    insta::assert_snapshot!(errors);
}

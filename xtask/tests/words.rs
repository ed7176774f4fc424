//! The help of the commands, and their refusals before they do anything. After a change
//! on purpose, this rewrites it: `INSTA_UPDATE=always cargo test --workspace --test
//! words`.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

use std::process::Command;

/// Runs a command to its end; returns its output. Nothing is on its PATH: no Java, and
/// no tool that a command which only refuses should have come to.
fn said(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(arguments)
        .env("PATH", "")
        .output()
        .expect("an output");
    let text = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
    format!("$ cargo xtask {}\n{text}\n", arguments.join(" "))
}

#[test]
fn help() {
    let commands = [
        "demo",
        "test",
        "up",
        "down",
        "replay",
        "chaos",
        "bench",
        "aws-check",
    ];
    let each = commands.iter().map(|command| said(&[*command, "--help"]));
    insta::assert_snapshot!(said(&["--help"]) + &each.collect::<String>());
}

#[test]
fn demo_refuses_what_it_cannot_do() {
    let cases: [&[&str]; 4] = [
        &["demo", "--rows", "20001"],
        &["demo", "--kafka", "apache"],
        &["demo", "--csv", "nowhere.csv"],
        &["demo", "--csv", "a.csv", "--rows", "5"],
    ];
    insta::assert_snapshot!(cases.iter().map(|case| said(case)).collect::<String>());
}

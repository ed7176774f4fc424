//! `cargo xtask up`, `replay` and `down`, as a person runs them: both functions with
//! every sample event, through cargo-lambda.

use anyhow::{Context as _, Result, ensure};
use local::without_cargo_variables;
use system_tests::Workspace;
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_event_gets_its_answer() -> Result<()> {
    Workspace::run("replay", async |work| {
        let outcome = with_a_stack(work).await;
        // The stack is in the background: nobody else stops it.
        work.execute("down", &mut work.xtask(&["down"])).await?;
        insta::assert_snapshot!("every_sample_event", without_numbers(&outcome?));
        let without = refusal(work, "replay").await;
        ensure!(
            without.contains("no local stack is running; start it with: cargo xtask up"),
            "replay without a stack: {without}"
        );
        Ok(())
    })
    .await
}

/// Returns replay's report on every sample event.
async fn with_a_stack(work: &Workspace) -> Result<String> {
    work.execute("up", &mut work.xtask(&["up"])).await?;
    let second = refusal(work, "up").await;
    ensure!(second.contains("is up already"), "a second up: {second}");
    let said = work.execute("replay", &mut work.xtask(&["replay"])).await?;
    ensure!(said.contains("→ the crawler runs"), "no crawl: {said}");
    readme_replay(work).await?;
    Ok(said)
}

/// A command that has to fail; returns its error.
async fn refusal(work: &Workspace, command: &str) -> String {
    let name = format!("{command}-refused");
    match work.execute(&name, &mut work.xtask(&[command])).await {
        Ok(said) => said,
        Err(error) => error.to_string(),
    }
}

/// Leaves out the parts that differ between runs: the number of earlier mails, the
/// crawler's state, and the mailbox's path.
fn without_numbers(said: &str) -> String {
    let mut text = String::new();
    for line in said.lines().filter(|line| !line.starts_with("mailbox: ")) {
        let mut parts = line.split("  → ");
        text.push_str(parts.next().unwrap_or_default());
        for mail in parts.filter_map(|part| part.strip_prefix("mail ")) {
            let (_, subject) = mail.split_once(": ").unwrap_or(("", mail));
            text.push_str("  → mail: ");
            text.push_str(subject);
        }
        text.push('\n');
    }
    text
}

/// Runs the commands of the README's section on replaying as they stand.
async fn readme_replay(work: &Workspace) -> Result<()> {
    let readme = std::fs::read_to_string(work.repository.path("README.md"))?;
    let section = readme
        .split("\n## ")
        .find(|section| section.starts_with("Replay events"))
        .context("README has no section on replaying")?;
    let commands: Vec<&str> = section
        .split_once("```sh\n")
        .and_then(|(_, block)| block.split_once("```"))
        .context("README's section on replaying has no commands")?
        .0
        .lines()
        .collect();
    ensure!(
        commands
            .iter()
            .any(|command| command.starts_with("cargo lambda invoke")),
        "README shows no invocation: {commands:?}"
    );
    let mut script = String::from("trap 'kill $(jobs -p)' EXIT\nset -e\n");
    for command in commands {
        script.push_str(command);
        // A person takes longer to type the next line than the emulator to listen.
        script.push_str(if command.ends_with('&') {
            "\nsleep 5\n"
        } else {
            "\n"
        });
    }
    let mut shell = Command::new("bash");
    without_cargo_variables(&mut shell)
        .current_dir(work.repository.root())
        .args(["-c", &script]);
    let said = work.execute("README", &mut shell).await?;
    ensure!(
        said.contains("{\"batchItemFailures\":[]}")
            && said.contains("Subject: [ticklake] 1 new file"),
        "README's commands said: {said}"
    );
    Ok(())
}

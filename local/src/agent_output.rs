use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

/// Runs an agent to its end, in a folder with nothing but a configuration file and with
/// no variable of this environment. Returns its output.
///
/// # Errors
/// It cannot be started, or its output is not UTF-8.
pub fn agent_output(binary: &str, file: &str, config: &str, arguments: &[&str]) -> Result<String> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join(file), config)?;
    let output = Command::new(binary)
        .env_clear()
        .current_dir(folder.path())
        .args(arguments)
        .output()
        .context(binary.to_owned())?;
    let text = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8(text)?)
}

/// Runs an agent once for each configuration and its arguments. Returns them, each with
/// its output.
///
/// # Errors
/// Those of [`agent_output`].
pub fn agent_outputs(binary: &str, file: &str, cases: &[(String, &[&str])]) -> Result<String> {
    let name = Path::new(binary).file_name().unwrap_or_default().display();
    let mut outputs = String::new();
    for (config, arguments) in cases {
        let output = agent_output(binary, file, config, arguments)?;
        let arguments = arguments.join(" ");
        outputs += &format!("{config}\n$ {name} {arguments}\n{output}\n");
    }
    Ok(outputs)
}

use anyhow::{Context as _, Result};

/// Returns a setting that the template gives the function through its environment.
///
/// # Errors
/// Names the variable that is missing or empty, and the remedy.
pub fn required(name: &str) -> Result<String> {
    std::env::var(name)
        .ok()
        .filter(|value| !value.is_empty())
        .with_context(|| {
            format!(
                "environment variable {name} is not set: template.yaml sets it on AWS; \
             locally, start the stack with `cargo xtask up`, then `. .local/stack.env`"
            )
        })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_missing_setting_is_named_with_its_remedy() {
        let error = super::required("TICKLAKE_NO_SUCH_SETTING")
            .expect_err("it is not set")
            .to_string();
        assert!(
            error.contains("TICKLAKE_NO_SUCH_SETTING is not set")
                && error.contains("cargo xtask up"),
            "{error}"
        );
    }
}

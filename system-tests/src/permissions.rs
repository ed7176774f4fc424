use anyhow::{Result, ensure};
use local::Role;

/// Expects a test to know every action of a role.
///
/// # Errors
/// The role allows another one; names it.
pub fn expect_known(role: &Role, is_known: impl Fn(&str) -> bool) -> Result<()> {
    let actions = role.actions();
    let unknown = actions.iter().find(|action| !is_known(action));
    ensure!(
        unknown.is_none(),
        "{} allows {unknown:?}, and nothing here shows that it is needed",
        role.name()
    );
    Ok(())
}

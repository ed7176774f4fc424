//! The shared part of system tests. Each test has a local stack of its own, with the
//! agents, functions and image of `cargo xtask test prepare`; its logs and mails stay
//! below `.local/test/`.

mod boot;
mod permissions;
mod queue;
mod workspace;

pub use boot::{
    latest_user_data, launch_template_data, ready, says, shellcheck, signal, verify_unit,
};
pub use permissions::expect_known;
pub use queue::{send, set_attribute, waiting};
pub use workspace::Workspace;

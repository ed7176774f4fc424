//! Shows the dead letters of a lake, and produces chosen ones again.

mod found;
mod list;
mod once;
mod register;
mod replay;

pub use found::Choice;
pub(crate) use list::list;
pub use replay::Replay;
pub(crate) use replay::replay;

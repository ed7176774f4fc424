//! The commands of an operator, beside landing.

pub(crate) mod curate;
pub(crate) mod dead_letters;
pub(crate) mod reconcile;
pub(crate) mod skip;
pub(crate) mod verify;

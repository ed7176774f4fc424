use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use lake_layout::{LakePartition, ObjectKey};

use crate::{Outcome, Plan, Register, RegisterError, RegisterKey};

/// A register as a look found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRegister {
    /// Its key.
    pub key: RegisterKey,
    /// When S3 created it.
    pub created: Timestamp,
    /// Its body; not read if [`Register::has_content`] is false.
    pub body: Vec<u8>,
}

/// A version of an hour.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version {
    /// Its plan.
    pub plan: Plan,
    /// When its open tasks had been sent, oldest first.
    pub sent: Vec<Timestamp>,
    /// Its outcome, if it has one.
    pub outcome: Option<Outcome>,
    /// When the outcome was created.
    pub decided: Option<Timestamp>,
    /// Whether its outputs carry the tag by which they expire.
    pub is_superseded: bool,
}

/// All versions of an hour, from 0 on without a hole. Each but the newest has an outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Registers(Vec<Version>);

impl Registers {
    /// Returns the versions of an hour from the registers that a look found.
    ///
    /// # Errors
    /// A register is unreadable, or the look is torn, see [`Registers::of`].
    pub fn new(
        hour: LakePartition,
        found: impl IntoIterator<Item = FoundRegister>,
    ) -> Result<Self, RegisterError> {
        let found: BTreeMap<_, _> = found.into_iter().map(|found| (found.key, found)).collect();
        let newest = found.keys().next_back().map(|key| key.version);
        let version = |version| {
            let key = |register| RegisterKey {
                hour,
                version,
                register,
            };
            let found = |register| found.get(&key(register));
            let plan = found(Register::Plan).ok_or(RegisterError::Torn {
                key: key(Register::Plan),
            })?;
            Ok(Version {
                plan: Plan::from_json(&plan.key, &plan.body)?,
                sent: (0..)
                    .map_while(|number| found(Register::Sent(number)))
                    .map(|sent| sent.created)
                    .collect(),
                outcome: found(Register::Outcome)
                    .map(|outcome| Outcome::from_json(&outcome.key, &outcome.body))
                    .transpose()?,
                decided: found(Register::Outcome).map(|outcome| outcome.created),
                is_superseded: found(Register::Superseded).is_some(),
            })
        };
        let versions = newest.map_or(0..0, |newest| 0..newest + 1).map(version);
        Self::of(versions.collect::<Result<_, _>>()?)
    }

    /// Returns the versions of an hour.
    ///
    /// # Errors
    /// A version before the newest has no outcome. Each plan is created after the outcome
    /// of the version before it, so the look has passed over that outcome.
    pub fn of(versions: Vec<Version>) -> Result<Self, RegisterError> {
        let mut before_newest = versions.iter().rev().skip(1);
        match before_newest.find(|version| version.outcome.is_none()) {
            Some(version) => Err(RegisterError::Torn {
                key: version.plan.register(Register::Outcome),
            }),
            None => Ok(Self(versions)),
        }
    }

    /// Returns the versions, oldest first.
    pub fn versions(&self) -> &[Version] {
        &self.0
    }

    /// Returns a version.
    pub fn version(&self, version: u32) -> Option<&Version> {
        self.0.get(usize::try_from(version).ok()?)
    }

    /// Returns the newest version.
    pub fn newest(&self) -> Option<&Version> {
        self.0.last()
    }

    /// Returns the newest committed version: the one that the catalog is to name.
    pub fn committed(&self) -> Option<&Version> {
        let is_committed =
            |version: &&Version| version.outcome.as_ref().is_some_and(Outcome::is_committed);
        self.0.iter().rfind(is_committed)
    }

    /// Returns the raw objects that the newest committed version has: its own, those of
    /// its base, and so on.
    pub fn covered(&self) -> HashSet<&ObjectKey> {
        self.inputs_below(self.committed())
    }

    /// Returns the raw objects that a version has: its own, those of its base, and so on.
    pub fn inputs_of(&self, version: u32) -> HashSet<&ObjectKey> {
        self.inputs_below(self.version(version))
    }

    fn inputs_below<'a>(&'a self, mut next: Option<&'a Version>) -> HashSet<&'a ObjectKey> {
        let mut covered = HashSet::new();
        while let Some(version) = next {
            covered.extend(version.plan.inputs());
            next = version
                .plan
                .base()
                .and_then(|base| self.version(base.version));
        }
        covered
    }
}

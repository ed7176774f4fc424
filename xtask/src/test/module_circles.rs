//! Refuses circles between the files of a crate: who reads a file that needs no other in
//! return can understand it on its own. Test modules are left out.

mod paths;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use local::Repository;

/// Folders of crates.
const CRATES: [&str; 3] = ["crates", "ec2-agents", "functions"];
/// Crates beside them.
const MORE_CRATES: [&str; 3] = ["local", "system-tests", "xtask"];
/// Files that need each other, by crate. This list may only become shorter.
const KNOWN: [(&str, &str); 2] = [
    ("xtask", "crate::background, crate::up"),
    (
        "xtask",
        "crate::chaos::producer, crate::chaos::transactions",
    ),
];

/// Checks every crate of the workspace.
pub(crate) fn check(repository: &Repository) -> Result<()> {
    let mut crates: Vec<String> = MORE_CRATES.map(str::to_owned).to_vec();
    for folder in CRATES {
        for entry in std::fs::read_dir(repository.path(folder))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if repository.path(folder).join(&name).join("src").is_dir() {
                crates.push(format!("{folder}/{name}"));
            }
        }
    }
    let mut faults = Vec::new();
    let mut found = BTreeSet::new();
    for name in &crates {
        let modules = modules(&repository.path(name).join("src"))?;
        for circle in circles(&edges(&modules)) {
            let members = circle.join(", ");
            if !KNOWN.contains(&(name.as_str(), members.as_str())) {
                faults.push(format!(
                    "{name}/src: these modules need each other: {members}; move what they share \
                     into a module of its own"
                ));
            }
            found.insert((name.clone(), members));
        }
    }
    for (name, members) in KNOWN {
        if !found.contains(&(name.to_owned(), members.to_owned())) {
            faults.push(format!(
                "{name}/src: {members} are not a circle any more; take them out of KNOWN in \
                 module_circles.rs"
            ));
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

/// Returns the source of each module, by its path; the crate's root is `crate`.
fn modules(src: &Path) -> Result<BTreeMap<String, String>> {
    let mut modules = BTreeMap::new();
    let mut folders = vec![src.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let within = path.strip_prefix(src)?.with_extension("");
            let mut names: Vec<&str> = within.iter().filter_map(|name| name.to_str()).collect();
            let last = names.pop().context("a file without a name")?;
            if names.is_empty() && last == "main" && src.join("lib.rs").exists() {
                continue;
            }
            if last != "mod" && !(names.is_empty() && ["lib", "main"].contains(&last)) {
                names.push(last);
            }
            names.insert(0, "crate");
            modules.insert(names.join("::"), std::fs::read_to_string(&path)?);
        }
    }
    Ok(modules)
}

/// Returns the modules that each module needs.
fn edges(modules: &BTreeMap<String, String>) -> BTreeMap<&str, BTreeSet<String>> {
    let read: BTreeMap<&str, paths::File> = modules
        .iter()
        .map(|(module, source)| (module.as_str(), paths::File::read(module, source)))
        .collect();
    let is_test = |module: &str| {
        read.values().any(|file| {
            file.test_modules.iter().any(|test| {
                let below = module.strip_prefix(test.as_str());
                below.is_some_and(|below| below.is_empty() || below.starts_with("::"))
            })
        })
    };
    let needs = |module: &str, file: &paths::File| {
        let needed = file.used.iter().filter_map(|path| owner(path, &read));
        needed.filter(|needed| needed != module).collect()
    };
    read.iter()
        .filter(|(module, _)| !is_test(module))
        .map(|(module, file)| (*module, needs(module, file)))
        .collect()
}

/// Returns the module that has the item of a path, through re-exports; `None` if the path
/// leads to another crate.
fn owner(path: &str, files: &BTreeMap<&str, paths::File>) -> Option<String> {
    let mut module = "crate".to_owned();
    let mut names = path.split("::");
    if names.next() != Some("crate") {
        return None;
    }
    for name in names {
        let below = format!("{module}::{name}");
        if files.contains_key(below.as_str()) {
            module = below;
            continue;
        }
        let file = files.get(module.as_str())?;
        return match file.exported.get(name) {
            Some(target) if target != path => owner(target, files),
            _ => Some(module).filter(|_| !file.foreign.contains(name)),
        };
    }
    Some(module)
}

/// Returns the sets of modules that need each other.
fn circles(edges: &BTreeMap<&str, BTreeSet<String>>) -> BTreeSet<Vec<String>> {
    let below = |module: &str| {
        let mut found = BTreeSet::new();
        let mut next = vec![module.to_owned()];
        while let Some(module) = next.pop() {
            for needed in edges.get(module.as_str()).into_iter().flatten() {
                if found.insert(needed.clone()) {
                    next.push(needed.clone());
                }
            }
        }
        found
    };
    let below: BTreeMap<&str, BTreeSet<String>> = edges
        .keys()
        .map(|module| (*module, below(module)))
        .collect();
    let circle = |module: &&str| -> Vec<String> {
        let needed = below[module].iter();
        needed
            .filter(|other| {
                below
                    .get(other.as_str())
                    .is_some_and(|b| b.contains(*module))
            })
            .cloned()
            .collect()
    };
    let circles = edges.keys().map(circle);
    circles.filter(|circle| !circle.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sources: &[(&str, &str)]) -> Vec<String> {
        let modules = sources
            .iter()
            .map(|(module, source)| ((*module).to_owned(), (*source).to_owned()))
            .collect();
        let circles = circles(&edges(&modules));
        circles.iter().map(|circle| circle.join(", ")).collect()
    }

    #[test]
    fn a_circle_is_found_through_super_braces_and_re_exports() {
        let root = ("crate", "mod a; mod b; mod c; pub use c::{d::Thing};");
        let sources = [
            root,
            ("crate::a", "use crate::{b::{self, X}, Thing};"),
            ("crate::b", "fn f() -> super::c::d::Y {}"),
            ("crate::c", "mod d;"),
            ("crate::c::d", "use super::super::a;"),
        ];
        assert_eq!(found(&sources), ["crate::a, crate::b, crate::c::d"]);
    }

    #[test]
    fn comments_texts_tests_and_other_crates_need_nothing() {
        let sources = [
            (
                "crate",
                "mod a; mod b; use a::A; pub use other::{Foreign, X};",
            ),
            (
                "crate::a",
                r##"// crate::b::X
                /* super::b */ const A: &str = "crate::b"; const B: &str = r#"crate::b"#;
                fn f<'a>(c: char) -> bool { c == '"' }
                #[cfg(test)] mod tests { use crate::b::X; fn f() { {} } }"##,
            ),
            (
                "crate::b",
                "use crate::a::A; use std::b; use other::crate_b;",
            ),
        ];
        assert!(found(&sources).is_empty(), "{:?}", found(&sources));
    }

    #[test]
    fn a_module_whose_name_begins_like_that_of_tests_is_no_test() {
        let sources = [
            ("crate", "#[cfg(test)] mod test; mod test_bench; mod b;"),
            ("crate::b", "use crate::test_bench::X;"),
            ("crate::test", "use crate::test::c::X;"),
            ("crate::test::c", "use crate::test::Y;"),
            ("crate::test_bench", "use crate::b::Y;"),
        ];
        assert_eq!(found(&sources), ["crate::b, crate::test_bench"]);
    }
}

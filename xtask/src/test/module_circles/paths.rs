use std::collections::{BTreeMap, BTreeSet};

/// The paths in a module's source.
#[derive(Debug, Default)]
pub(super) struct File {
    /// Paths of items that it uses, from `crate` on.
    pub(super) used: Vec<String>,
    /// Paths of items that it re-exports, by their name.
    pub(super) exported: BTreeMap<String, String>,
    /// Names that it has from other crates.
    pub(super) foreign: BTreeSet<String>,
    /// Its modules that are for tests only and have files of their own.
    pub(super) test_modules: Vec<String>,
}

impl File {
    /// Reads the source of a module.
    pub(super) fn read(module: &str, source: &str) -> Self {
        let all = tokens_of(source);
        let test_modules = tests(&all).map(|name| format!("{module}::{name}"));
        let mut file = Self {
            test_modules: test_modules.collect(),
            ..Self::default()
        };
        let tokens = without_tests(&all);
        let children: Vec<&str> = tokens
            .windows(3)
            .filter(|tokens| tokens[0] == "mod" && tokens[2] == ";")
            .map(|tokens| tokens[1].as_str())
            .collect();
        let mut is_public_use = false;
        for (place, token) in tokens.iter().enumerate() {
            match token.as_str() {
                "use" => {
                    let before = place.checked_sub(1).map(|before| tokens[before].as_str());
                    is_public_use = matches!(before, Some("pub" | ")"));
                }
                ";" => is_public_use = false,
                _ => {}
            }
            let before = place.checked_sub(1).map(|before| tokens[before].as_str());
            let is_path = tokens.get(place + 1).is_some_and(|next| next == "::");
            let is_own = ["crate", "super", "self"].contains(&token.as_str())
                || children.contains(&token.as_str());
            if before == Some("::") || !is_path || !(is_own || before == Some("use")) {
                continue;
            }
            let mut found = Vec::new();
            tree(&tokens, place, Vec::new(), &mut found);
            for path in found {
                if !is_own {
                    let name = path.rsplit("::").next().unwrap_or_default();
                    file.foreign.insert(name.to_owned());
                    continue;
                }
                let path = absolute(module, &path);
                if is_public_use && let Some((_, name)) = path.rsplit_once("::") {
                    file.exported.insert(name.to_owned(), path.clone());
                }
                file.used.push(path);
            }
        }
        file
    }
}

/// Collects the paths of the tree that begins at a token, as in `a::{b, c::d}`, below a
/// path. Returns the place behind it.
fn tree(
    tokens: &[String],
    mut place: usize,
    mut path: Vec<String>,
    found: &mut Vec<String>,
) -> usize {
    loop {
        match tokens.get(place).map(String::as_str) {
            Some("{") => {
                place += 1;
                while tokens.get(place).is_some_and(|token| token != "}") {
                    place = tree(tokens, place, path.clone(), found);
                    // Names that a path gets (`as x`), and commas.
                    while tokens
                        .get(place)
                        .is_some_and(|token| token != "," && token != "}")
                    {
                        place += 1;
                    }
                    place += usize::from(tokens.get(place).is_some_and(|token| token == ","));
                }
                return place + 1;
            }
            Some(name) if is_name(name) => path.push(name.to_owned()),
            // A glob, or type arguments.
            _ => break,
        }
        if tokens.get(place + 1).is_none_or(|next| next != "::") {
            place += 1;
            break;
        }
        place += 2;
    }
    found.push(path.join("::"));
    place
}

/// Returns a path from `crate` on.
fn absolute(module: &str, path: &str) -> String {
    let mut names: Vec<&str> = module.split("::").collect();
    for name in path.split("::") {
        match name {
            "crate" => names = vec!["crate"],
            "super" => drop(names.pop()),
            // The module itself, also at the end of `{self, …}`.
            "self" => {}
            name => names.push(name),
        }
    }
    names.join("::")
}

/// Returns the names of modules that are declared for tests only.
fn tests(tokens: &[String]) -> impl Iterator<Item = &str> {
    let declared = tokens
        .windows(10)
        .filter(|tokens| tokens[..8].concat() == "#[cfg(test)]mod" && tokens[9] == ";");
    declared.map(|tokens| tokens[8].as_str())
}

/// Leaves out modules for tests that are within the source.
fn without_tests(tokens: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut place = 0;
    while place < tokens.len() {
        let ahead = &tokens[place..tokens.len().min(place + 10)];
        if ahead.len() == 10 && ahead[..8].concat() == "#[cfg(test)]mod" && ahead[9] == "{" {
            place += 10;
            let mut depth = 1;
            while depth > 0 && place < tokens.len() {
                match tokens[place].as_str() {
                    "{" => depth += 1,
                    "}" => depth -= 1,
                    _ => {}
                }
                place += 1;
            }
        } else {
            kept.push(tokens[place].clone());
            place += 1;
        }
    }
    kept
}

/// Returns names, `::` and single other characters; comments and texts are left out.
fn tokens_of(source: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let behind = |text: &str| rest.find(text).map_or(rest.len(), |at| at + text.len());
        let raw = rest.trim_start_matches(['b', 'r']);
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let is_raw = rest.starts_with("r#") || rest.starts_with("r\"") || rest.starts_with("br");
        let length = if rest.starts_with("//") {
            behind("\n")
        } else if rest.starts_with("/*") {
            behind("*/")
        } else if is_raw && raw[hashes..].starts_with('"') {
            let begin = rest.len() - raw.len() + hashes + 1;
            let end = format!("\"{}", "#".repeat(hashes));
            let text = &rest[begin..];
            begin + text.find(&end).map_or(text.len(), |at| at + end.len())
        } else if first == '"' {
            text_length(rest, '"')
        } else if first == '\'' && (rest[1..].starts_with('\\') || is_char(rest)) {
            text_length(rest, '\'')
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else if is_name(rest) {
            let is_part = |c: char| c.is_alphanumeric() || c == '_';
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            tokens.push(rest[..end].to_owned());
            end
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Returns true for `'x'`, and false for a lifetime.
fn is_char(text: &str) -> bool {
    text.chars().nth(2) == Some('\'')
}

/// Returns the length of a text with its quotes.
fn text_length(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (place, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return place + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

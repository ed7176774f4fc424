/// The page that lists the steps.
const PAGE: &str = include_str!("../../../docs/aws-checklist.md");

/// Who runs a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// This command.
    Script,
    /// This command, with `--write`.
    WritingScript,
    /// A person.
    Hand,
}

/// A step of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) by: By,
    /// The expectation, or the instruction.
    pub(super) text: String,
}

/// Returns the steps of docs/aws-checklist.md, in their order.
pub(super) fn checklist() -> Vec<Item> {
    parse(PAGE)
}

fn parse(page: &str) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut is_open = false;
    for line in page.lines() {
        if let Some(item) = begin(line) {
            items.push(item);
            is_open = true;
        } else if let (true, Some(more), Some(item)) =
            (is_open, line.strip_prefix("  "), items.last_mut())
        {
            item.text.push(' ');
            item.text.push_str(more.trim());
        } else {
            is_open = false;
        }
    }
    items
}

/// Returns the step that a line such as ``- `id` (script): text`` begins.
fn begin(line: &str) -> Option<Item> {
    let (id, rest) = line.strip_prefix("- `")?.split_once("` (")?;
    let (by, text) = rest.split_once("): ")?;
    let by = match by {
        "script" => By::Script,
        "script, --write" => By::WritingScript,
        "by hand" => By::Hand,
        _ => return None,
    };
    Some(Item {
        id: id.to_owned(),
        by,
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::aws_check::steps::STEPS;

    #[test]
    fn the_page_and_the_command_have_the_same_steps() {
        let of_command: BTreeSet<(&str, bool)> =
            STEPS.iter().map(|step| (step.id, step.writes)).collect();
        assert_eq!(
            of_command.len(),
            STEPS.len(),
            "the command has a step twice"
        );
        let items = checklist();
        let of_page: BTreeSet<(&str, bool)> = items
            .iter()
            .filter(|item| item.by != By::Hand)
            .map(|item| (item.id.as_str(), item.by == By::WritingScript))
            .collect();
        let difference: Vec<_> = of_command.symmetric_difference(&of_page).collect();
        assert!(
            difference.is_empty(),
            "only the page or only the command has (step, needs --write): {difference:?}"
        );
    }

    #[test]
    fn every_entry_of_the_page_is_a_step_with_an_id_of_its_own() {
        let items = checklist();
        let ids: BTreeSet<&str> = items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!(ids.len(), items.len(), "the page has an id twice");
        let is_entry = |line: &&str| {
            line.starts_with("- ") || line.starts_with(|first: char| first.is_ascii_digit())
        };
        let entries: Vec<&str> = PAGE.lines().filter(is_entry).collect();
        let others: Vec<_> = entries
            .iter()
            .filter(|line| begin(line).is_none())
            .collect();
        assert!(
            others.is_empty(),
            "entries without an id or without who runs it: {others:?}"
        );
    }

    #[test]
    fn indented_lines_belong_to_the_step_above_them() {
        let page = "- `a` (script): one\n  two\n\n  three\n- `b` (by hand): four\n";
        let item = |id: &str, by: By, text: &str| Item {
            id: id.to_owned(),
            by,
            text: text.to_owned(),
        };
        assert_eq!(
            parse(page),
            [
                item("a", By::Script, "one two"),
                item("b", By::Hand, "four")
            ]
        );
    }
}

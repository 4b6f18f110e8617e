//! Every requirement in docs/CONFORMANCE.md has a test, and every test that it names exists and runs.
//!
//! A page that promises conformance is believed; one that names tests which were renamed or deleted
//! promises what nobody checks any more.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The cells of a table's row; `None` for other lines, headings of tables and their rules.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
    let is_head = cells.first() == Some(&"requirement") || cells.iter().all(|cell| *cell == "---");
    (!is_head).then_some(cells)
}

/// The texts between backquotes.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Whether `source` has a function `name` that the test runner runs.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let declares = |line: &str| {
        let rest = line.strip_prefix("async ").unwrap_or(line);
        let rest = rest.strip_prefix("fn ").unwrap_or_default();
        rest.strip_prefix(name).is_some_and(|after| after.starts_with('('))
    };
    lines.iter().enumerate().any(|(place, line)| {
        let attributes = lines.iter().take(place).rev();
        let mut attributes = attributes.take_while(|line| line.starts_with("#["));
        declares(line)
            && attributes
                .any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    })
}

/// What is wrong with a row.
fn fault(cells: &[&str], sources: &mut BTreeMap<String, Option<String>>) -> Option<String> {
    let [requirement, section, tests] = cells else {
        return Some("a row has a requirement, a section and a test".to_owned());
    };
    if requirement.is_empty() || section.is_empty() || quoted(tests).next().is_none() {
        return Some("a cell is empty".to_owned());
    }
    for test in quoted(tests) {
        let Some((path, name)) = test.split_once("::") else {
            return Some(format!("`{test}` is not file::function"));
        };
        let read = |path: &str| fs::read_to_string(root().join(Path::new(path))).ok();
        let source = sources.entry(path.to_owned()).or_insert_with(|| read(path));
        match source {
            None => return Some(format!("there is no file {path}")),
            Some(source) if !has_test(source, name) => {
                return Some(format!("{path} has no test {name}"));
            }
            Some(_) => {}
        }
    }
    None
}

#[test]
fn every_requirement_has_a_test_that_exists() {
    let page = fs::read_to_string(root().join("docs/CONFORMANCE.md")).unwrap();
    let mut sources = BTreeMap::new();
    let mut rows = 0;
    let mut faults = Vec::new();
    for (number, line) in page.lines().enumerate() {
        let Some(cells) = cells(line) else { continue };
        rows += 1;
        if let Some(fault) = fault(&cells, &mut sources) {
            faults.push(format!("docs/CONFORMANCE.md:{}: {fault}", number + 1));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(rows >= 80, "only {rows} rows were read: is the table still one?");
}

#[test]
fn a_name_in_passing_is_no_test() {
    let source =
        "#[test]\nfn one() {}\n\nfn two() { one(); }\n\n#[tokio::test(x)]\nasync fn three() {}\n";
    assert!(has_test(source, "one") && has_test(source, "three"));
    assert!(!has_test(source, "two") && !has_test(source, "on"));
    assert_eq!(cells("| requirement | section | test |"), None);
    assert_eq!(cells("|---|---|---|"), None);
    let mut sources = BTreeMap::new();
    assert!(fault(&["a", "b", ""], &mut sources).is_some());
    assert!(fault(&["a", "b", "`src/lib.rs::nowhere`"], &mut sources).is_some());
}

//! Rewrites the expected changes of a file by what was found, for review.

use super::parse::{Expected, GoldenFile};
use super::run::Found;
use std::collections::{BTreeMap, BTreeSet};

/// The file's text with the changes, lates and rejects below each step that ran replaced by those found; all
/// else stays.
#[must_use]
pub fn rewrite(text: &str, file: &GoldenFile, found: &Found) -> String {
    let mut dropped: BTreeSet<usize> = BTreeSet::new();
    let mut added: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for item in file.items.iter().filter(|item| found.keys().any(|(line, _)| *line == item.line)) {
        let outcomes = item.expected.iter().filter(|expectation| {
            let about_a_record = !matches!(
                expectation.kind,
                Expected::Error { .. } | Expected::Hint(_) | Expected::Columns(_) | Expected::Key(_)
            );
            about_a_record && found.contains_key(&(item.line, expectation.query.clone()))
        });
        dropped.extend(outcomes.map(|expectation| expectation.line));
        for ((_, query), lines) in found.iter().filter(|((line, _), _)| *line == item.line) {
            let name = if query.is_empty() { String::new() } else { format!("{query} ") };
            let shown = lines.iter().map(|line| format!("  {name}{line}"));
            added.entry(item.last_line).or_default().extend(shown);
        }
    }
    let mut rewritten = String::new();
    for (at, line) in text.lines().enumerate() {
        let number = at + 1;
        if !dropped.contains(&number) {
            rewritten.push_str(line);
            rewritten.push('\n');
        }
        for line in added.get(&number).into_iter().flatten() {
            rewritten.push_str(line);
            rewritten.push('\n');
        }
    }
    rewritten
}

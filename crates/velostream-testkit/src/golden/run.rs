//! Runs the scenes of a golden file against `QueryProcessor`: every batch size, each also with a snapshot and
//! restore in the middle. The change log must be the same, record by record.

use super::catalog::{GoldenCatalog, sources_of};
use super::door::{CoreDoor, DoorError};
use super::parse::{Expectation, Expected, GoldenFile, Item, ItemKind, Word};
use super::texts::Failure;
use super::value::{literal, same, show};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use velostream_sql::catalog::FunctionCatalog;
use velostream_sql::plan::Literal;
use velostream_sql::statement::BoundQuery;
use velostream_sql::types::DataType;

/// Batch sizes of the matrix.
pub const BATCH_SIZES: [usize; 3] = [1, 7, 1024];

/// The name by which `only` means this runner.
const RUNNER: &str = "core";

/// What one step caused in one query.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A change: its mark and row.
    Change(char, Vec<Literal>),
    /// The record came too late.
    Late,
    /// The record was refused: code and message.
    Reject(String, String),
}

/// How a scene is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Configuration {
    /// Records per call at most.
    pub batch_rows: usize,
    /// Whether the state moves into a fresh processor in the middle.
    pub restore: bool,
}

/// Queries and the input that they see.
struct Scene<'a> {
    runs_here: bool,
    queries: Vec<(&'a str, usize, BoundQuery)>,
    steps: Vec<&'a Item>,
}

/// The lines that the file's steps should cause: by item position and query.
pub type Found = BTreeMap<(usize, String), Vec<String>>;

/// Runs everything; the failures, and for each step what it caused, for rewriting the file.
pub fn run(file: &GoldenFile, functions: &dyn FunctionCatalog) -> (Vec<Failure>, Found) {
    let mut catalog = GoldenCatalog::default();
    let (mut failures, mut found) = (Vec::new(), Found::new());
    let mut scene = Scene { runs_here: true, queries: Vec::new(), steps: Vec::new() };
    for item in file.items.iter().filter(|item| !item.is_refused()) {
        if !item.kind.is_step() && !scene.steps.is_empty() {
            run_scene(&catalog, &scene, functions, &mut failures, &mut found);
            scene = Scene { runs_here: true, queries: Vec::new(), steps: Vec::new() };
        }
        match &item.kind {
            ItemKind::Only(runners) => scene.runs_here = runners.iter().any(|runner| runner == RUNNER),
            ItemKind::Query { name, sql } => match catalog.query(sql, functions, false) {
                Ok(query) => scene.queries.push((name, item.line, query)),
                Err(errors) => failures.push(Failure { line: item.line, message: errors.to_string() }),
            },
            ItemKind::Statement(sql) if !item.kind.is_step() => match catalog.bind(sql, functions) {
                Ok(statements) => statements.into_iter().for_each(|statement| catalog.define(statement)),
                Err(errors) => failures.push(Failure { line: item.line, message: errors.to_string() }),
            },
            _ => scene.steps.push(item),
        }
    }
    run_scene(&catalog, &scene, functions, &mut failures, &mut found);
    (failures, found)
}

fn run_scene(
    catalog: &GoldenCatalog,
    scene: &Scene<'_>,
    functions: &dyn FunctionCatalog,
    failures: &mut Vec<Failure>,
    found: &mut Found,
) {
    if !scene.runs_here {
        return;
    }
    let writes = |step: &&Item| matches!(step.kind, ItemKind::Statement(_));
    if scene.steps.iter().any(writes) {
        return;
    }
    for (at, step) in scene.steps.iter().enumerate() {
        if let ItemKind::All(sql) = &step.kind {
            let history = &scene.steps[..at];
            failures.extend(run_snapshot(catalog, sql, step, history, functions).err());
        }
    }
    for (name, line, query) in &scene.queries {
        for configuration in matrix() {
            match run_query(catalog, query, &scene.steps, configuration) {
                Ok(outcomes) => {
                    let types = types_of(query);
                    failures.extend(compare(name, &scene.steps, &outcomes, &types, configuration));
                    note(name, &scene.steps, &outcomes, &types, found);
                }
                Err(message) => {
                    let message = format!("{configuration:?}: {message}");
                    failures.push(Failure { line: *line, message });
                }
            }
        }
    }
}

fn matrix() -> impl Iterator<Item = Configuration> {
    BATCH_SIZES
        .into_iter()
        .flat_map(|batch_rows| [false, true].map(|restore| Configuration { batch_rows, restore }))
}

fn types_of(query: &BoundQuery) -> Vec<DataType> {
    query.plan.schema().fields.iter().map(|field| field.data_type).collect()
}

/// What every step causes in one query. Steps of relations that it does not read cause nothing.
fn run_query(
    catalog: &GoldenCatalog,
    query: &BoundQuery,
    steps: &[&Item],
    configuration: Configuration,
) -> Result<Vec<Vec<Outcome>>, String> {
    let sources = sources_of(&query.plan);
    let declared =
        sources.iter().map(|source| catalog.source(&source.name).ok_or("a source is not declared"));
    let declared: Vec<_> = declared.collect::<Result<_, _>>()?;
    if declared.is_empty() {
        return Err("a query without sources cannot be run here".to_owned());
    }
    let reads = |name: &str| sources.iter().any(|source| source.name.eq_ignore_ascii_case(name));
    let mut door = CoreDoor::new(query, &declared).map_err(|error| error.to_string())?;
    let mut outcomes = vec![Vec::new(); steps.len()];
    let mut batch: Vec<usize> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        if configuration.restore && at == steps.len() / 2 {
            flush(&mut door, &mut batch, &mut outcomes)?;
            door.move_state().map_err(|error| error.to_string())?;
        }
        let located = |error: DoorError| format!("line {}: {error}", step.line);
        if let ItemKind::Record { relation, .. } | ItemKind::Delete { relation, .. } = &step.kind
            && reads(relation)
            && !door.continues(relation)
        {
            flush(&mut door, &mut batch, &mut outcomes)?;
        }
        match &step.kind {
            ItemKind::Record { relation, values } if reads(relation) => {
                door.push(relation, values, false).map_err(located)?;
                batch.push(at);
            }
            ItemKind::Delete { relation, key } if reads(relation) => {
                door.push(relation, key, true).map_err(located)?;
                batch.push(at);
            }
            ItemKind::Advance(time) => {
                flush(&mut door, &mut batch, &mut outcomes)?;
                outcomes[at] = door.advance(&timestamp(time)?).map_err(located)?;
            }
            ItemKind::Clock(time) => door.set_clock(&timestamp(time)?),
            ItemKind::End => {
                flush(&mut door, &mut batch, &mut outcomes)?;
                outcomes[at] = door.end().map_err(located)?;
            }
            _ => {}
        }
        if batch.len() == configuration.batch_rows {
            flush(&mut door, &mut batch, &mut outcomes)?;
        }
    }
    flush(&mut door, &mut batch, &mut outcomes)?;
    Ok(outcomes)
}

fn timestamp(word: &Word) -> Result<Literal, String> {
    literal(word, DataType::Timestamp).map_err(|error| error.to_string())
}

/// Runs the records in hand and gives each step what its record caused.
fn flush(door: &mut CoreDoor, batch: &mut Vec<usize>, outcomes: &mut [Vec<Outcome>]) -> Result<(), String> {
    if batch.is_empty() {
        return Ok(());
    }
    let caused = door.process().map_err(|error| error.to_string())?;
    for (row, outcome) in caused {
        outcomes[batch[row]].push(outcome);
    }
    batch.clear();
    Ok(())
}

/// The answer after `history`, computed from scratch: by definition what a snapshot gives.
fn run_snapshot(
    catalog: &GoldenCatalog,
    sql: &str,
    step: &Item,
    history: &[&Item],
    functions: &dyn FunctionCatalog,
) -> Result<(), Failure> {
    let fail = |message: String| Failure { line: step.line, message };
    let query = catalog.query(sql, functions, false).or_else(|_| catalog.query(sql, functions, true));
    let query = query.map_err(|errors| fail(errors.to_string()))?;
    let single_row = query.plan.schema().single_row;
    let is_plain = !sources_of(&query.plan).is_empty() && !sql.contains("LIMIT");
    if !is_plain {
        return Ok(());
    }
    let configuration = Configuration { batch_rows: 1024, restore: false };
    let outcomes = run_query(catalog, &query, history, configuration).map_err(fail)?;
    let mut rows: Vec<Vec<Literal>> = Vec::new();
    let key = query.plan.schema().primary_key.clone();
    let same_key =
        |left: &[Literal], right: &[Literal]| key.iter().all(|&column| left[column] == right[column]);
    for outcome in outcomes.into_iter().flatten() {
        match outcome {
            Outcome::Change('+', row) => rows.push(row),
            Outcome::Change('-', row) => {
                let at = rows.iter().position(|known| *known == row);
                rows.remove(at.ok_or_else(|| fail("a row went that was not there".to_owned()))?);
            }
            Outcome::Change(_, row) => {
                let at = rows.iter().position(|known| same_key(known, &row));
                let at = at.ok_or_else(|| fail("a row was updated that was not there".to_owned()))?;
                rows[at] = row;
            }
            Outcome::Late | Outcome::Reject(..) => {}
        }
    }
    if single_row && rows.is_empty() {
        // SQL's one row of an empty input is made by whoever asks once; the processor has nothing to say.
        return Ok(());
    }
    let types = types_of(&query);
    let mut found: Vec<String> = rows.iter().map(|row| shown('+', row, &types)).collect();
    let wanted = step.expected.iter().filter_map(|expectation| expected(expectation, &types).ok());
    let mut wanted: Vec<String> = wanted.map(|outcome| outcome_text(&outcome, &types)).collect();
    found.sort();
    wanted.sort();
    if found == wanted { Ok(()) } else { Err(fail(difference(&wanted, &found))) }
}

/// An expectation as an outcome; a reject's message is a part of it.
fn expected(expectation: &Expectation, types: &[DataType]) -> Result<Outcome, String> {
    let row = |mark: char, words: &[Word]| {
        if words.len() != types.len() {
            return Err(format!("{} values for {} columns", words.len(), types.len()));
        }
        let values = words.iter().zip(types).map(|(word, &data_type)| literal(word, data_type));
        let values: Result<Vec<_>, _> = values.collect();
        values.map(|values| Outcome::Change(mark, values)).map_err(|error| error.to_string())
    };
    match &expectation.kind {
        Expected::Insert(words) => row('+', words),
        Expected::Delete(words) => row('-', words),
        Expected::Update(words) => row('~', words),
        Expected::Late => Ok(Outcome::Late),
        Expected::Reject { code, message } => Ok(Outcome::Reject(code.clone(), message.clone())),
        other => Err(format!("{other:?} says nothing of a record")),
    }
}

fn fits(wanted: &Outcome, found: &Outcome) -> bool {
    match (wanted, found) {
        (Outcome::Change(mark, row), Outcome::Change(found_mark, found_row)) => {
            mark == found_mark
                && row.len() == found_row.len()
                && row.iter().zip(found_row).all(|(left, right)| same(left, right))
        }
        (Outcome::Late, Outcome::Late) => true,
        (Outcome::Reject(code, part), Outcome::Reject(found_code, message)) => {
            code == found_code && message.contains(part.as_str())
        }
        _ => false,
    }
}

fn compare(
    name: &str,
    steps: &[&Item],
    outcomes: &[Vec<Outcome>],
    types: &[DataType],
    configuration: Configuration,
) -> Vec<Failure> {
    let mut failures = Vec::new();
    for (step, found) in steps.iter().zip(outcomes) {
        if matches!(step.kind, ItemKind::All(_)) {
            continue;
        }
        let own = step.expected.iter().filter(|expectation| expectation.query == name);
        let wanted: Result<Vec<Outcome>, String> =
            own.map(|expectation| expected(expectation, types)).collect();
        let wanted = match wanted {
            Ok(wanted) => wanted,
            Err(message) => {
                failures.push(Failure { line: step.line, message });
                continue;
            }
        };
        let same =
            wanted.len() == found.len() && wanted.iter().zip(found).all(|(left, right)| fits(left, right));
        if !same {
            let lines =
                |list: &[Outcome]| list.iter().map(|each| outcome_text(each, types)).collect::<Vec<_>>();
            let message = format!("{configuration:?}{}", difference(&lines(&wanted), &lines(found)));
            failures.push(Failure { line: step.line, message });
        }
    }
    failures
}

fn difference(wanted: &[String], found: &[String]) -> String {
    let mut text = String::new();
    for (title, lines) in [("expected", wanted), ("found", found)] {
        let lines = if lines.is_empty() { "(nothing)".to_owned() } else { lines.join("\n            ") };
        write!(text, "\n  {title:>8}: {lines}").expect("writing to a string cannot fail");
    }
    text
}

fn shown(mark: char, row: &[Literal], types: &[DataType]) -> String {
    let values: Vec<String> =
        row.iter().zip(types).map(|(value, &data_type)| show(value, data_type)).collect();
    format!("{mark} {}", values.join(" "))
}

fn outcome_text(outcome: &Outcome, types: &[DataType]) -> String {
    match outcome {
        Outcome::Change(mark, row) => shown(*mark, row, types),
        Outcome::Late => "late".to_owned(),
        Outcome::Reject(code, message) => format!("reject {code} {message}"),
    }
}

fn note(name: &str, steps: &[&Item], outcomes: &[Vec<Outcome>], types: &[DataType], found: &mut Found) {
    let causes = |step: &Item| !matches!(step.kind, ItemKind::All(_));
    for (step, outcomes) in steps.iter().zip(outcomes).filter(|(step, _)| causes(step)) {
        let lines = outcomes.iter().map(|outcome| outcome_text(outcome, types)).collect();
        found.entry((step.line, name.to_owned())).or_insert(lines);
    }
}

//! Tests of the SQL front end: files of texts with what they are bound to, or the errors they give.
//!
//! `golden/*.txt` hold texts with their indented outcome below; `golden/*.items` hold one select item over
//! `trades` a line, with ` => ` the expression, its type and whether it can be NULL, or the errors. Lines that
//! begin with `#` are comments. `UPDATE_EXPECT=1` rewrites the outcomes for review.

mod catalog;
mod contract;
mod interface;
mod limits;
mod places;
mod stages;

use catalog::{TestCatalog, TestFunctions};
use std::path::{Path, PathBuf};
use velostream_sql::bind::{BindOptions, Params, bind_script};
use velostream_sql::diagnostic::Diagnostics;
use velostream_sql::explain::{explain, expression};
use velostream_sql::plan::{EmitMode, LogicalPlan};
use velostream_sql::statement::{BoundQuery, Statement};
use velostream_sql::types::Schema;

/// Between an item and its outcome.
const ARROW: &str = " => ";

#[test]
fn texts_are_bound_as_recorded() {
    for path in golden_files("txt") {
        compare(&path, &|text| {
            let mut updated = String::new();
            let mut sql = String::new();
            for line in text.lines() {
                if line.starts_with("  ") && !line.starts_with("   .") {
                    continue;
                }
                if line.starts_with('#') || line.is_empty() {
                    append_outcome(&mut sql, &mut updated);
                } else {
                    sql.push_str(line);
                    sql.push('\n');
                }
                updated.push_str(line);
                updated.push('\n');
            }
            append_outcome(&mut sql, &mut updated);
            updated
        });
    }
}

/// Adds the outcome of the text that has just ended.
fn append_outcome(sql: &mut String, updated: &mut String) {
    if sql.is_empty() {
        return;
    }
    for line in outcome(sql.trim_end(), &Params::default(), BindOptions::default()) {
        updated.push_str(&format!("  {line}\n"));
    }
    sql.clear();
}

#[test]
fn items_are_bound_as_recorded() {
    for path in golden_files("items") {
        compare(&path, &|text| {
            let update = |line: &str| {
                let item = line.split_once(ARROW).map_or(line, |(item, _)| item);
                if line.is_empty() || line.starts_with('#') {
                    format!("{line}\n")
                } else {
                    format!("{item}{ARROW}{}\n", outcome_of_item(item))
                }
            };
            text.lines().map(update).collect()
        });
    }
}

/// The recorded files of a kind; there is at least one.
fn golden_files(extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = std::fs::read_dir(folder).expect("the folder of recorded outcomes");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    assert!(!files.is_empty(), "no file with extension {extension}");
    files
}

/// Compares a file with what its texts give now, or rewrites it.
fn compare(path: &Path, update: &dyn Fn(&str) -> String) {
    let recorded = std::fs::read_to_string(path).expect("a readable file");
    let updated = update(&recorded);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, updated).expect("a writable file");
        return;
    }
    for (number, (wanted, found)) in recorded.lines().zip(updated.lines()).enumerate() {
        let place = format!("{}:{}", path.display(), number + 1);
        assert!(wanted == found, "{place}\n--- recorded\n{wanted}\n--- found\n{found}\n");
    }
    assert!(recorded == updated, "{} has other lines at its end", path.display());
}

/// Binds a text against the test catalogue.
fn bind(sql: &str, params: &Params, options: BindOptions) -> Result<Vec<Statement>, Diagnostics> {
    bind_script(sql, &TestCatalog::new(), &TestFunctions, params, &options)
}

/// The plan of the one query that a text is bound to.
fn first_plan(statements: Vec<Statement>) -> LogicalPlan {
    match <[Statement; 1]>::try_from(statements) {
        Ok([Statement::Query(query)]) => query.plan,
        other => panic!("not one query: {other:?}"),
    }
}

/// The lines that a text is bound to, or its errors.
fn outcome(sql: &str, params: &Params, options: BindOptions) -> Vec<String> {
    match bind(sql, params, options) {
        Ok(statements) => statements.iter().flat_map(show).collect(),
        Err(errors) => errors.0.iter().map(ToString::to_string).collect(),
    }
}

/// What one item of a SELECT over `trades` is bound to.
fn outcome_of_item(item: &str) -> String {
    let sql = format!("SELECT {item} FROM trades");
    let statements = match bind(&sql, &Params::default(), BindOptions::default()) {
        Ok(statements) => statements,
        Err(errors) => return errors.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(" & "),
    };
    let [Statement::Query(BoundQuery { plan, .. })] = statements.as_slice() else {
        return format!("not one query: {statements:?}");
    };
    contract::check_plan(plan);
    let field = &plan.schema().fields[0];
    let null = if field.nullable { " NULL" } else { "" };
    let shown = match plan {
        LogicalPlan::Project { input, items, .. } => expression(&items[0], input.schema()),
        other => explain(other).join(" "),
    };
    format!("{shown}: {}{null}", field.data_type)
}

fn show(statement: &Statement) -> Vec<String> {
    match statement {
        Statement::Query(query) => show_query("", query),
        Statement::Explain { query, analyze } => {
            show_query(if *analyze { "explain analyze " } else { "explain " }, query)
        }
        Statement::CreateSource(create) => {
            let relation = &create.relation;
            let mut lines = vec![format!(
                "source {:?} {} {}{}",
                relation.kind,
                relation.name,
                columns(&relation.schema),
                create.replaces.map_or(String::new(), |id| format!(" replaces {}", id.0))
            )];
            if let Some(event_time) = relation.event_time {
                let name = &relation.schema.fields[event_time].name;
                lines.push(format!("time {name} less {} us", create.bound_micros));
            }
            for (check, text) in &create.checks {
                lines.push(format!("check {text}: {}", expression(check, &relation.schema)));
            }
            if !create.options.0.is_empty() {
                lines.push(format!("with {:?}", create.options.0));
            }
            lines
        }
        Statement::CreateDerived(create) => {
            let relation = &create.relation;
            let mut lines =
                vec![format!("derived {:?} {} {}", relation.kind, relation.name, columns(&relation.schema))];
            lines.push(format!("definition {}", relation.definition.as_deref().unwrap_or("none")));
            lines.extend(show_query("", &create.query));
            lines
        }
        Statement::CreateView(create) => {
            let reads: Vec<u32> = create.reads.iter().map(|id| id.0).collect();
            vec![format!("view {} {} reads {reads:?}", create.relation.name, columns(&create.schema))]
        }
        Statement::InsertValues { target, rows } => {
            let empty = Schema::default();
            let row = |row: &Vec<_>| {
                row.iter().map(|value| expression(value, &empty)).collect::<Vec<_>>().join(", ")
            };
            rows.iter().map(|values| format!("insert {} ({})", target.name, row(values))).collect()
        }
        Statement::InsertSelect { target, query } => show_query(&format!("insert {} ", target.name), query),
        Statement::Update { target, items, predicate } => {
            let items: Vec<String> = items.iter().map(|item| expression(item, &target.schema)).collect();
            let predicate = predicate.as_ref().map_or("all".to_owned(), |p| expression(p, &target.schema));
            vec![format!("update {} ({}) where {predicate}", target.name, items.join(", "))]
        }
        Statement::Delete { target, predicate } => {
            let predicate = predicate.as_ref().map_or("all".to_owned(), |p| expression(p, &target.schema));
            vec![format!("delete {} where {predicate}", target.name)]
        }
        Statement::Drop { target } => vec![format!("drop {}", target.name)],
        Statement::Terminate { query } => vec![format!("terminate {query}")],
        Statement::Show(kind) => vec![format!("show {kind:?}")],
        Statement::Describe(relation) => vec![format!("describe {}", relation.name)],
        Statement::Set { key, value } => vec![format!("set {key} = {value}")],
        Statement::Nothing => vec!["nothing".to_owned()],
    }
}

fn show_query(head: &str, query: &BoundQuery) -> Vec<String> {
    let mode = if query.emit == EmitMode::Final { "final" } else { "changes" };
    contract::check_query(query);
    let mut lines = vec![format!("{head}{mode} {}", columns(query.plan.schema()))];
    lines.extend(explain(&query.plan));
    lines
}

fn columns(schema: &Schema) -> String {
    let column = |(position, field): (usize, &velostream_sql::types::Field)| {
        let key = if schema.primary_key.contains(&position) { " KEY" } else { "" };
        let null = if field.nullable { "" } else { " NOT NULL" };
        format!("{} {}{null}{key}", field.name, field.data_type)
    };
    let columns: Vec<String> = schema.fields.iter().enumerate().map(column).collect();
    format!("({})", columns.join(", "))
}

//! Statements that do something: CREATE, INSERT, UPDATE, DELETE, DROP, TERMINATE, SET.

use super::Engine;
use super::pipelines::Start;
use crate::api::{ExecOutcome, QueryOptions};
use crate::catalog::{Derived, Entry, Origin, Source, What};
use crate::error::{Error, Result};
use crate::ingest::Decoded;
use crate::kernel::{self, Kernel};
use crate::pipeline::Purpose;
use crate::source::door::Door;
use crate::source::file::{FileSource, compile_format};
use crate::source::table::TableStore;
use std::sync::Arc;
use velostream_engine::batch::{ChangeBatch, Op, Seq};
use velostream_engine::column::Values;
use velostream_engine::expr::Program;
use velostream_sql::bind::{BindOptions, Params};
use velostream_sql::catalog::{Relation, RelationId, RelationKind};
use velostream_sql::diagnostic::ErrorCode;
use velostream_sql::plan::Expr;
use velostream_sql::statement::{BoundQuery, CreateDerived, CreateSource, CreateView, Statement};

impl Engine {
    /// Binds statements of any kind and runs none; the error has all that is wrong with them.
    pub fn check(&self, sql: &str, params: &Params) -> Result<()> {
        self.open()?;
        // As answers given once SELECTs may do the most.
        let options = BindOptions { snapshot: true, ..BindOptions::default() };
        self.bind(sql, params, &options).map(drop)
    }

    /// Runs one or several statements but those that give rows; all are bound before the first runs.
    pub fn exec(&mut self, sql: &str, params: &Params, now_ms: i64) -> Result<ExecOutcome> {
        self.open()?;
        self.now_ms = now_ms;
        let statements = self.bind(sql, params, &BindOptions::default())?;
        let gives_rows = |statement: &Statement| {
            use Statement::{Describe, Explain, Query, Show};
            matches!(statement, Query(_) | Show(_) | Describe(_) | Explain { .. })
        };
        if statements.iter().any(gives_rows) {
            let error = Error::new(ErrorCode::Argument, "exec takes no statement that gives rows");
            return Err(error.with_hint("use query() for a SELECT that goes on, all() for rows"));
        }
        for statement in statements {
            self.run(statement, now_ms)?;
            self.pump(now_ms);
        }
        Ok(ExecOutcome::Done)
    }

    fn run(&mut self, statement: Statement, now_ms: i64) -> Result<()> {
        match statement {
            Statement::CreateSource(create) => self.create_source(create),
            Statement::CreateDerived(create) => self.create_derived(create, now_ms),
            Statement::CreateView(create) => self.create_view(create),
            Statement::InsertValues { target, rows } => self.insert_values(&target, &rows, now_ms),
            Statement::InsertSelect { target, query } => self.insert_select(&target, &query, now_ms),
            Statement::Update { target, items, predicate } => {
                self.change(&target, Some(&items), predicate.as_ref(), now_ms)
            }
            Statement::Delete { target, predicate } => self.change(&target, None, predicate.as_ref(), now_ms),
            Statement::Drop { target } => self.drop_relation(target.id),
            Statement::Terminate { query } => self.terminate(&query),
            Statement::Set { key, value } => self.set(&key, &value),
            Statement::Nothing => Ok(()),
            Statement::Query(_) | Statement::Show(_) | Statement::Describe(_) | Statement::Explain { .. } => {
                unreachable!("exec has refused statements that give rows")
            }
        }
    }

    fn create_source(&mut self, create: CreateSource) -> Result<()> {
        if let Some(policy) = create.options.get("on_error").filter(|policy| *policy != "dead_letter") {
            let message = format!("on_error = '{policy}' of a source is not supported yet");
            return Err(Error::new(ErrorCode::Unsupported, message)
                .with_hint("give it to the query or the derived relation"));
        }
        let timestamp_format = create.options.get("timestamp_format").map(compile_format).transpose()?;
        let is_file = create.options.get("connector").is_some_and(|name| name.eq_ignore_ascii_case("file"));
        let origin = match self.catalog.take_inferred(&create.options) {
            Some(inferred) => Some(Origin::File(inferred)),
            None if is_file => {
                let argument = |message| Error::new(ErrorCode::Argument, message);
                let file = FileSource::new(&create.options).map_err(argument)?;
                file.check()?;
                Some(Origin::File(file))
            }
            None => None,
        };
        let door = Door::new(&create)?;
        self.replace(create.replaces)?;
        let decoded = Decoded::new(&create.relation.schema.fields);
        let relation = Arc::clone(&create.relation);
        let readers = Vec::new();
        let reads = Arc::default();
        let source = Source {
            create,
            door,
            origin,
            reads,
            readers,
            timestamp_format,
            json: None,
            decoded,
            ended: false,
        };
        let what = What::Source(Box::new(source));
        self.catalog.add(Entry { relation, what, reads: Vec::new() });
        Ok(())
    }

    fn create_derived(&mut self, create: CreateDerived, now_ms: i64) -> Result<()> {
        if create.options.get("retention").is_some() {
            return Err(Error::new(ErrorCode::Unsupported, "option retention is not supported yet"));
        }
        self.replace(create.replaces)?;
        let relation = Arc::clone(&create.relation);
        let is_table = kernel::is_table(&relation);
        let options = QueryOptions {
            name: Some(relation.name.to_string()),
            on_error: create.options.get("on_error").map(str::to_owned),
            ..QueryOptions::default()
        };
        let reads = create.query.reads.clone();
        let plan = create.query.plan;
        let pipeline = if !is_table && self.is_finite(&plan) && !kernel::sources_of(&plan).is_empty() {
            Kernel::new(&self.expanded(&plan), &self.kernel_options(true))?;
            None
        } else {
            let start = Start {
                plan: &plan,
                sql: Arc::clone(&create.query.text),
                reads: reads.clone(),
                purpose: Purpose::Derived(relation.id),
                keeps_rows: is_table,
                options: &options,
                sinks: None,
                now_ms,
            };
            Some(self.start(start)?)
        };
        self.catalog.add(Entry {
            relation,
            what: What::Derived(Box::new(Derived { plan, pipeline })),
            reads,
        });
        Ok(())
    }

    fn create_view(&mut self, create: CreateView) -> Result<()> {
        self.replace(create.replaces)?;
        self.catalog.add(Entry { relation: create.relation, what: What::View, reads: create.reads });
        Ok(())
    }

    fn insert_values(&mut self, target: &Relation, rows: &[Vec<Expr>], now_ms: i64) -> Result<()> {
        let source = self.open_source(target.id)?;
        let mut taken = source.door.empty();
        let mut one = ChangeBatch::default();
        one.push_mark(Op::Insert, Seq(0), now_ms.saturating_mul(1000));
        for (index, row) in rows.iter().enumerate() {
            let index = index as u32;
            let mut program = Program::compile(row)?;
            let mut errors = Vec::new();
            program.evaluate(&one, &mut errors);
            if let Some((_, error)) = errors.into_iter().next() {
                return Err(Error::from(error).at_record(&target.name, index));
            }
            for (position, column) in taken.columns.iter_mut().enumerate() {
                column.push_from(program.output(position, &one), 0);
                let field = &target.schema.fields[position];
                if !field.nullable && column.is_null(index as usize) {
                    let message = format!("{} must not be NULL", field.name);
                    let error = Error::new(ErrorCode::Constraint, message);
                    return Err(error.at_record(&target.name, index).at_field(&field.name));
                }
            }
        }
        self.accept(target.id, taken, Op::Insert, now_ms);
        Ok(())
    }

    fn insert_select(&mut self, target: &Relation, query: &BoundQuery, now_ms: i64) -> Result<()> {
        self.open_source(target.id)?;
        if self.flows_into(target.id, query) {
            let message =
                format!("the SELECT reads what {} feeds: its rows would go round for ever", target.name);
            return Err(Error::new(ErrorCode::Unsupported, message));
        }
        let plan = self.down_to_sources(&query.plan);
        let mut reads = query.reads.clone();
        reads.push(target.id);
        let options = QueryOptions::default();
        let start = Start {
            plan: &plan,
            sql: Arc::clone(&query.text),
            reads,
            purpose: Purpose::Insert(target.id),
            keeps_rows: false,
            options: &options,
            sinks: None,
            now_ms,
        };
        self.start(start).map(|_| ())
    }

    /// Whether rows of `target` come, by whatever way, into a query.
    fn flows_into(&self, target: RelationId, query: &BoundQuery) -> bool {
        let mut seen = Vec::new();
        let mut next = query.reads.clone();
        while let Some(id) = next.pop() {
            if id == target {
                return true;
            }
            if seen.contains(&id) {
                continue;
            }
            seen.push(id);
            next.extend(self.catalog.get(id).into_iter().flat_map(|entry| entry.reads.iter().copied()));
            let inserts = self.pipelines.values().filter(|pipeline| pipeline.purpose == Purpose::Insert(id));
            next.extend(inserts.flat_map(|pipeline| pipeline.inputs.iter().copied()));
        }
        false
    }

    /// UPDATE, or DELETE where there are no items: one step of one number, refused whole if a row fails.
    fn change(
        &mut self,
        target: &Relation,
        items: Option<&[Expr]>,
        predicate: Option<&Expr>,
        now_ms: i64,
    ) -> Result<()> {
        let seq = Seq(self.next_seq);
        let source = self.open_source(target.id)?;
        let Some(table) = source.door.table.as_mut() else {
            return Err(Error::new(ErrorCode::Unsupported, format!("{} is not a table", target.name)));
        };
        let chosen = chosen(&table.rows(seq), predicate)?;
        let mut applied = match items {
            None => marked(&chosen, Op::Delete),
            Some(items) => updated(&chosen, items)?,
        };
        if items.is_some() {
            let refused = source.door.first_violation(&additions(&applied))?;
            if let Some((row, error)) = refused {
                return Err(Error::from(error).at_record(&target.name, row));
            }
        }
        applied.seqs.iter_mut().for_each(|each| *each = seq);
        let table = source.door.table.as_mut().expect("the target is a table");
        let held = table.bytes();
        let changes = apply_step(table, &applied);
        let holds = table.bytes();
        if changes.is_empty() {
            return Ok(());
        }
        let envelope = source.door.step(changes, seq, now_ms);
        self.next_seq += 1;
        self.count_table(held, holds);
        self.send(target.id, envelope);
        Ok(())
    }

    fn replace(&mut self, replaces: Option<RelationId>) -> Result<()> {
        replaces.map_or(Ok(()), |id| self.drop_relation(id))
    }

    fn drop_relation(&mut self, id: RelationId) -> Result<()> {
        let Some(entry) = self.catalog.get(id) else { return Ok(()) };
        let name = Arc::clone(&entry.relation.name);
        let relation = self.catalog.readers_of(id).map(|reader| reader.relation.name.to_string()).next();
        let query = self.pipelines.values().find(|pipeline| {
            pipeline.reads.contains(&id)
                && !pipeline.is_finished()
                && !matches!(pipeline.purpose, Purpose::Derived(_) | Purpose::Ask)
        });
        if let Some(reader) = relation.or_else(|| query.map(|query| query.name.clone())) {
            let error = Error::new(ErrorCode::InUse, format!("{name} is read by {reader}"));
            return Err(error.with_hint(format!("drop or terminate {reader} first")));
        }
        // A snapshot under way gets no answer any more.
        let asks = self.pipelines.values().filter(|pipeline| pipeline.purpose == Purpose::Ask);
        for ask in asks.filter(|ask| ask.inputs.contains(&id) && !ask.is_finished()) {
            let error = Error::new(ErrorCode::State, format!("{name} was dropped"));
            ask.output.iter().for_each(|output| output.fail(error.clone()));
        }
        let pipeline = match self.catalog.remove(id).map(|entry| entry.what) {
            Some(What::Derived(derived)) => derived.pipeline,
            Some(What::Source(source)) => {
                self.count_table(source.door.table_bytes(), 0);
                None
            }
            _ => None,
        };
        pipeline.into_iter().for_each(|pipeline| self.remove(pipeline));
        Ok(())
    }

    /// Ends a query by its id or name.
    fn terminate(&mut self, query: &str) -> Result<()> {
        let found = self.pipelines.values().find(|pipeline| pipeline.name.eq_ignore_ascii_case(query));
        let Some(pipeline) = found else {
            return Err(Error::new(ErrorCode::UnknownName, format!("no query \"{query}\" is running")));
        };
        if let Purpose::Derived(_) = pipeline.purpose {
            let message = format!("{} is maintained by this query", pipeline.name);
            return Err(Error::new(ErrorCode::InUse, message).with_hint("use DROP"));
        }
        let id = pipeline.id;
        if pipeline.purpose == Purpose::Query {
            // Its reader finds the end behind what is already there.
            self.detach(id);
        } else {
            self.remove(id);
        }
        Ok(())
    }

    /// Whether a relation of this kind takes records.
    pub(super) fn kind_name(kind: RelationKind) -> &'static str {
        match kind {
            RelationKind::Stream => "STREAM",
            RelationKind::Table => "TABLE",
            RelationKind::View => "VIEW",
        }
    }
}

/// The rows for which a predicate is TRUE.
fn chosen(rows: &ChangeBatch, predicate: Option<&Expr>) -> Result<ChangeBatch> {
    let Some(predicate) = predicate else { return Ok(rows.clone()) };
    let mut program = Program::compile(std::slice::from_ref(predicate))?;
    let mut errors = Vec::new();
    program.evaluate(rows, &mut errors);
    if let Some((_, error)) = errors.into_iter().next() {
        return Err(error.into());
    }
    let truth = program.output(0, rows);
    let Values::Bool(values) = &truth.values else { unreachable!("WHERE is a BOOLEAN") };
    let mut chosen = marked(rows, Op::Insert);
    chosen.clear();
    for (row, &value) in values.iter().enumerate() {
        if value != 0 && !truth.is_null(row) {
            chosen.push_row(rows, row, Op::Insert);
        }
    }
    Ok(chosen)
}

/// The same rows under another mark.
fn marked(rows: &ChangeBatch, op: Op) -> ChangeBatch {
    let mut rows = rows.clone();
    rows.ops.fill(op);
    rows
}

/// Each row with its successor.
fn updated(rows: &ChangeBatch, items: &[Expr]) -> Result<ChangeBatch> {
    let mut program = Program::compile(items)?;
    let mut errors = Vec::new();
    program.evaluate(rows, &mut errors);
    if let Some((_, error)) = errors.into_iter().next() {
        return Err(error.into());
    }
    let mut pairs = marked(rows, Op::Insert);
    pairs.clear();
    for row in 0..rows.len() {
        pairs.push_row(rows, row, Op::UpdateBefore);
        for (position, column) in pairs.columns.iter_mut().enumerate() {
            column.push_from(program.output(position, rows), row);
        }
        pairs.push_mark(Op::UpdateAfter, rows.seqs[row], rows.event_times[row]);
    }
    Ok(pairs)
}

/// The new rows among changes.
fn additions(changes: &ChangeBatch) -> ChangeBatch {
    let mut new = marked(changes, Op::Insert);
    new.clear();
    for row in (0..changes.len()).filter(|&row| changes.ops[row].is_addition()) {
        new.push_row(changes, row, Op::Insert);
    }
    new
}

/// Applies a step to a table; its changes, deletes first.
fn apply_step(table: &mut TableStore, step: &ChangeBatch) -> ChangeBatch {
    let mut changes = table.empty();
    table.apply(step, &mut changes);
    changes
}

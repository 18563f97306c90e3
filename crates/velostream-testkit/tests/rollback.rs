//! Whatever is rolled back, and every record that fails, leaves a processor as if it had never come: the same state
//! byte for byte, and the same changes afterwards. Random queries over every operator, random histories.
//!
//! `ROLLBACK_SEED` and `ROLLBACK_CASES` choose the cases; a failure names its seed.

use std::collections::BTreeMap;
use velostream_engine::batch::{Batch, ChangeBatch, Op, Seq};
use velostream_engine::error::Rejects;
use velostream_engine::limits::Limits;
use velostream_engine::plan::{PhysicalPlan, SourceId};
use velostream_engine::processor::QueryProcessor;
use velostream_engine::time::{TimeRuns, Watermark};
use velostream_sql::plan::Literal;
use velostream_testkit::golden::GoldenCatalog;
use velostream_testkit::scripts::{
    Doors, Event, Random, Script, Step, TEMPLATES, catalog, plan, random_query, setting,
};

const DEFAULT_CASES: u64 = 10_000;
const DEFAULT_SEED: u64 = 20_261_129;

/// A change as it is compared: number, mark and values.
type Line = (u64, Op, Vec<Literal>);

/// What a call gave, with what it left out as late and what could not be computed for no record.
#[derive(Debug, Default, PartialEq)]
struct Answer {
    lines: Vec<Line>,
    late: Vec<u64>,
    row_errors: usize,
}

/// What both sides are given: the second gets it without the rows that failed on the first.
enum Applied {
    Batch { id: SourceId, batch: Batch, failed: Vec<u64> },
    End(SourceId),
}

struct Subject {
    processor: QueryProcessor,
    out: ChangeBatch,
    rejects: Rejects,
    begun: bool,
}

impl Subject {
    fn new(plan: &PhysicalPlan) -> Self {
        // When memory is given back depends on how much there is, which a failing record may make more; so never.
        let limits = Limits { spare_bytes: usize::MAX, ..Limits::default() };
        Self {
            processor: QueryProcessor::new(plan, &limits).expect("the plan runs"),
            out: ChangeBatch::new(&plan.output_types()),
            rejects: Rejects::default(),
            begun: false,
        }
    }

    /// Gives a batch; returns the answer and the numbers of the rows that failed.
    fn batch(&mut self, id: SourceId, batch: &Batch) -> (Answer, Vec<u64>) {
        self.out.clear();
        self.rejects.clear();
        self.processor.process(id, batch, &mut self.out, &mut self.rejects).expect("the processor goes on");
        let number = |row: u32| batch.changes.seqs[row as usize].0;
        let failed = self.rejects.failed.iter().map(|reject| number(reject.row)).collect();
        let late = self.rejects.late.iter().map(|&(row, _)| number(row)).collect();
        (Answer { late, ..self.answer() }, failed)
    }

    fn answer(&mut self) -> Answer {
        let out = &self.out;
        let line = |row: usize| {
            let values = out.columns.iter().map(|column| column.literal(row)).collect();
            (out.seqs[row].0, out.ops[row], values)
        };
        let lines = (0..out.len()).map(line).collect();
        Answer { lines, late: Vec::new(), row_errors: self.processor.take_row_errors().len() }
    }

    fn apply(&mut self, applied: &Applied) -> Answer {
        self.out.clear();
        match applied {
            Applied::Batch { id, batch, .. } => return self.batch(*id, batch).0,
            Applied::End(id) => self.processor.end(*id, &mut self.out).expect("the processor goes on"),
        }
        self.answer()
    }

    /// The state, outside of any transaction.
    fn snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.processor.snapshot(&mut bytes).expect("no transaction is open");
        bytes
    }
}

/// A processor that goes on excursions, with its doors; and one that never hears of them.
struct Case<'a> {
    plan: &'a PhysicalPlan,
    doors: Doors,
    wanderer: Subject,
    homebody: Subject,
    /// How often something was rolled back, by excursions and by failing records.
    rollbacks: u64,
    failures: u64,
}

impl Case<'_> {
    /// An event at the wanderer: what the other is to be given, and the answer.
    fn wander(&mut self, event: &Event) -> Option<(Applied, Answer)> {
        match event {
            Event::Batch(relation, given) => {
                let (id, batch) = self.doors.admit(*relation, given);
                let (answer, failed) = self.wanderer.batch(id, &batch);
                self.failures += failed.len() as u64;
                Some((Applied::Batch { id, batch, failed }, answer))
            }
            Event::Advance(relation, micros) => {
                let (id, batch) = self.doors.advance(*relation, *micros)?;
                let applied = Applied::Batch { id, batch, failed: Vec::new() };
                let answer = self.wanderer.apply(&applied);
                Some((applied, answer))
            }
            Event::End(relation) => {
                let applied = Applied::End(self.doors.source(*relation).id);
                let answer = self.wanderer.apply(&applied);
                Some((applied, answer))
            }
        }
    }

    fn keep(&mut self, event: &Event) {
        let Some((applied, answer)) = self.wander(event) else { return };
        let expected = match applied {
            Applied::Batch { id, batch, failed } if !failed.is_empty() => self.without(id, &batch, &failed),
            applied => self.homebody.apply(&applied),
        };
        assert_eq!(answer, expected, "of what stays");
    }

    /// The homebody's answer to a batch without the rows that failed, whose time passes all the same. Where a
    /// failure is found behind state, the records ran one by one, each under a savepoint: so do these.
    fn without(&mut self, id: SourceId, batch: &Batch, failed: &[u64]) -> Answer {
        let parts = if self.plan.is_journaled(id) { one_by_one(batch) } else { vec![batch.clone()] };
        let mut all = Answer::default();
        for part in parts {
            let (answer, again) = self.homebody.batch(id, &filtered(&part, failed));
            assert_eq!(again, Vec::<u64>::new(), "a record fails only because of one that failed");
            all.lines.extend(answer.lines);
            all.late.extend(answer.late);
            all.row_errors += answer.row_errors;
        }
        all
    }

    /// Events that are rolled back, by a transaction or a savepoint, and the state before and after.
    fn excursion(&mut self, events: &[Event], by_savepoint: bool) {
        let doors: Vec<Watermark> = self.doors.sources.iter().map(|source| source.gate.watermark()).collect();
        let next = self.doors.next;
        let before = (!self.wanderer.begun).then(|| self.wanderer.snapshot());
        let processor = &mut self.wanderer.processor;
        match (by_savepoint, self.wanderer.begun) {
            (true, _) => processor.savepoint(),
            (false, true) => processor.commit(),
            (false, false) => processor.begin(),
        }
        let mut ended = Vec::new();
        for event in events {
            let (Event::Batch(relation, _) | Event::Advance(relation, _) | Event::End(relation)) = event;
            if ended.contains(relation) {
                continue;
            }
            self.wander(event);
            if matches!(event, Event::End(_)) {
                ended.push(*relation);
            }
        }
        let processor = &mut self.wanderer.processor;
        match (by_savepoint, self.wanderer.begun) {
            (true, _) => processor.rollback_savepoint(),
            (false, true) => {
                processor.rollback();
                self.homebody.processor.commit();
            }
            (false, false) => {
                processor.rollback();
                processor.finish_transaction();
            }
        }
        self.doors.sources.iter_mut().zip(doors).for_each(|(source, mark)| source.gate.set_watermark(mark));
        self.doors.next = next;
        self.rollbacks += 1;
        if let Some(before) = before {
            assert!(self.wanderer.snapshot() == before, "an excursion changed the state");
        }
    }

    fn step(&mut self, step: &Step, by_savepoint: bool) {
        match step {
            Step::Keep(event) => self.keep(event),
            Step::Excursion(events) => self.excursion(events, by_savepoint),
            Step::Begin => {
                for subject in [&mut self.wanderer, &mut self.homebody] {
                    subject.processor.begin();
                    subject.begun = true;
                }
            }
            Step::Commit => {
                self.wanderer.processor.commit();
                self.homebody.processor.commit();
            }
        }
    }

    /// Both have the same state, and give the same to their end. A record that failed has had its number: so that
    /// both have seen the same last one, time moves once more.
    fn finish(&mut self) {
        let last = self
            .doors
            .sources
            .iter()
            .map(|source| (source.relation, source.gate.watermark()))
            .collect::<Vec<_>>();
        for (relation, watermark) in last {
            self.keep(&Event::Advance(relation, watermark.0.max(0) + 1));
        }
        for subject in [&mut self.wanderer, &mut self.homebody] {
            subject.processor.finish_transaction();
        }
        assert!(self.wanderer.snapshot() == self.homebody.snapshot(), "the states differ");
        for id in self.doors.sources.iter().map(|source| source.id).collect::<Vec<_>>() {
            let end = Applied::End(id);
            assert_eq!(self.wanderer.apply(&end), self.homebody.apply(&end), "at the end");
        }
        assert!(self.wanderer.snapshot() == self.homebody.snapshot(), "the states differ after the end");
    }
}

/// A batch without the rows of these numbers; its time passes.
fn filtered(batch: &Batch, failed: &[u64]) -> Batch {
    let mut changes =
        ChangeBatch::new(&batch.changes.columns.iter().map(|column| column.data_type).collect::<Vec<_>>());
    for row in 0..batch.changes.len() {
        if !failed.contains(&batch.changes.seqs[row].0) {
            changes.push_row(&batch.changes, row, batch.changes.ops[row]);
        }
    }
    Batch { changes, time: batch.time.clone() }
}

/// Each row of a batch as a batch of its own, with the move of time that it makes.
fn one_by_one(batch: &Batch) -> Vec<Batch> {
    let mut standing = batch.time.before;
    let mut parts = Vec::new();
    for row in 0..batch.changes.len() {
        let mut part = filtered(&Batch { changes: batch.changes.clone(), time: TimeRuns::default() }, &[]);
        part.changes =
            ChangeBatch::new(&part.changes.columns.iter().map(|column| column.data_type).collect::<Vec<_>>());
        part.changes.push_row(&batch.changes, row, batch.changes.ops[row]);
        let own = |&&(seq, _): &&(Seq, Watermark)| seq == batch.changes.seqs[row];
        let advances: Vec<_> = batch.time.advances.iter().filter(own).copied().collect();
        part.time = TimeRuns { before: standing, advances };
        standing = part.time.after();
        parts.push(part);
    }
    parts
}

/// Every operator, and the modes that differ in what they keep, by what EXPLAIN says of a plan that has it.
const OPERATORS: [&str; 26] = [
    "Filter ",
    "Project ",
    "Check ",
    "Limit",
    "Union",
    "Aggregate: ",
    "Aggregate by ",
    "rows only come",
    "takes rows back",
    "DISTINCT",
    "window tumbling",
    "window hopping",
    "window cumulating",
    "window session",
    "final when the watermark",
    "final at the end of input",
    "EmitFinal: ",
    "Table ",
    "Over ",
    "Order by event time",
    "keeps rows until the watermark",
    "rows without a match when none can come",
    "keeps the table's rows",
    "keeps the rows of both sides",
    "keeps all rows of both streams",
    "FULL JOIN",
];
/// At least so many times the state of each was rolled back and compared.
const ROLLBACKS_MIN: u64 = 150;

/// What a case was.
struct Ran {
    /// The plan as EXPLAIN shows it.
    plan: String,
    rollbacks: u64,
    failures: u64,
}

/// One case, or `None` where the language refuses the query.
fn run(catalog: &GoldenCatalog, template: &str, seed: u64) -> Option<Ran> {
    let random = &mut Random::new(seed);
    let sql = random_query(template, random);
    let plan = plan(catalog, &sql)?;
    let doors = Doors::new(catalog, &plan);
    let read: Vec<usize> = doors.sources.iter().map(|source| source.relation).collect();
    let script = Script::random(random, &read);
    let mut case = Case {
        plan: &plan,
        doors,
        wanderer: Subject::new(&plan),
        homebody: Subject::new(&plan),
        rollbacks: 0,
        failures: 0,
    };
    let story = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for step in &script.steps {
            let by_savepoint = random.once_in(3);
            case.step(step, by_savepoint);
        }
        case.finish();
    }));
    if let Err(panic) = story {
        println!("ROLLBACK_SEED={seed} ROLLBACK_CASES=1\n{sql}\n{:?}", script.steps);
        std::panic::resume_unwind(panic);
    }
    Some(Ran { plan: plan.explain().join("\n"), rollbacks: case.rollbacks, failures: case.failures })
}

#[test]
fn what_is_rolled_back_or_fails_has_never_come() {
    let (seed, cases) = (setting("ROLLBACK_SEED", DEFAULT_SEED), setting("ROLLBACK_CASES", DEFAULT_CASES));
    println!("ROLLBACK_SEED={seed} ROLLBACK_CASES={cases}");
    let catalog = catalog();
    let mut ran: BTreeMap<&str, u64> = TEMPLATES.iter().map(|template| (*template, 0)).collect();
    let mut of_operators = OPERATORS.map(|operator| (operator, 0));
    let (mut rollbacks, mut failures) = (0, 0);
    let (mut done, mut at) = (0, seed);
    while done < cases {
        let template = TEMPLATES[at as usize % TEMPLATES.len()];
        if let Some(case) = run(&catalog, template, at) {
            rollbacks += case.rollbacks;
            failures += case.failures;
            done += 1;
            let has = |(operator, _): &&mut (&str, u64)| case.plan.contains(*operator);
            of_operators
                .iter_mut()
                .filter(has)
                .for_each(|(_, count)| *count += case.rollbacks + case.failures);
            *ran.entry(template).or_default() += 1;
        }
        at += 1;
    }
    println!("{done} cases, {rollbacks} rollbacks, {failures} failing records\n{of_operators:?}");
    if cases >= 100 * TEMPLATES.len() as u64 {
        ran.iter().for_each(|(template, count)| assert!(*count >= 100, "{count} cases of {template}"));
        for (operator, count) in of_operators {
            assert!(count >= ROLLBACKS_MIN, "{count} rollbacks of plans with {operator:?}");
        }
        assert!(rollbacks >= cases && failures >= cases / 4, "the histories have become tame");
    }
}

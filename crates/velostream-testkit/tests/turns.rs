//! Batches of several sources that are applied together give what their records give one by one, in the order of their
//! numbers: changes, late records, failures. Random queries over every operator, random histories.
//!
//! `TURNS_SEED` and `TURNS_CASES` choose the cases; a failure names its seed.

use velostream_engine::batch::{Batch, ChangeBatch, Op};
use velostream_engine::error::Rejects;
use velostream_engine::limits::Limits;
use velostream_engine::plan::{PhysicalPlan, SourceId};
use velostream_engine::processor::QueryProcessor;
use velostream_sql::plan::Literal;
use velostream_testkit::golden::GoldenCatalog;
use velostream_testkit::scripts::{
    Doors, Event, Random, Script, Step, TEMPLATES, catalog, plan, random_query, setting,
};

const DEFAULT_CASES: u64 = 3_000;
const DEFAULT_SEED: u64 = 20_261_129;
/// About so many events' batches are applied together.
const TOGETHER: usize = 4;

/// All that a processor has given: changes, late records and failing ones by number, rows that could not be computed.
#[derive(Debug, Default, PartialEq)]
struct Given {
    lines: Vec<(u64, Op, Vec<Literal>)>,
    late: Vec<(u64, i64)>,
    failed: Vec<(u64, String)>,
    row_errors: Vec<(u64, String)>,
}

struct Subject {
    processor: QueryProcessor,
    out: ChangeBatch,
    given: Given,
}

impl Subject {
    fn new(plan: &PhysicalPlan) -> Self {
        let processor = QueryProcessor::new(plan, &Limits::default()).expect("the plan runs");
        Self { processor, out: ChangeBatch::new(&plan.output_types()), given: Given::default() }
    }

    /// Each record by itself.
    fn one(&mut self, id: SourceId, batch: &Batch) {
        let mut rejects = Rejects::default();
        self.processor.process(id, batch, &mut self.out, &mut rejects).expect("the processor goes on");
        self.note(&[(id, batch)], &[rejects]);
    }

    /// All together.
    fn several(&mut self, batches: &[(SourceId, Batch)]) {
        let inputs: Vec<(SourceId, &Batch)> = batches.iter().map(|(id, batch)| (*id, batch)).collect();
        let mut rejects: Vec<Rejects> = inputs.iter().map(|_| Rejects::default()).collect();
        self.processor.process_turns(&inputs, &mut self.out, &mut rejects).expect("the processor goes on");
        self.note(&inputs, &rejects);
    }

    fn note(&mut self, inputs: &[(SourceId, &Batch)], rejects: &[Rejects]) {
        let (mut late, mut failed) = (Vec::new(), Vec::new());
        for ((_, batch), rejects) in inputs.iter().zip(rejects) {
            let number = |row: u32| batch.changes.seqs[row as usize].0;
            late.extend(rejects.late.iter().map(|&(row, by)| (number(row), by)));
            failed.extend(rejects.failed.iter().map(|one| (number(one.row), one.error.to_string())));
        }
        late.sort_unstable();
        failed.sort();
        self.given.late.extend(late);
        self.given.failed.extend(failed);
        self.take();
    }

    fn take(&mut self) {
        let out = &self.out;
        let values = |row: usize| out.columns.iter().map(|column| column.literal(row)).collect();
        self.given.lines.extend((0..out.len()).map(|row| (out.seqs[row].0, out.ops[row], values(row))));
        self.out.clear();
        let errors = self.processor.take_row_errors();
        self.given.row_errors.extend(errors.into_iter().map(|(seq, error)| (seq.0, error.to_string())));
    }

    fn end(&mut self, id: SourceId) {
        self.processor.end(id, &mut self.out).expect("the processor goes on");
        self.take();
    }
}

/// Appends a batch to another of the same source.
fn append(to: &mut Batch, more: &Batch) {
    to.changes.extend_range(&more.changes, 0, more.changes.len());
    to.time.advances.extend_from_slice(&more.time.advances);
}

/// What stays of some histories, one behind the other.
fn events(random: &mut Random, read: &[usize]) -> Vec<Event> {
    let steps = (0..3).flat_map(|_| Script::random(random, read).steps);
    let kept = steps.filter_map(|step| match step {
        Step::Keep(event) => Some(event),
        _ => None,
    });
    kept.collect()
}

/// One case; how many sources took turns, and how many records failed. `None` where the query is refused, or reads sources
/// that cannot take turns.
fn run(catalog: &GoldenCatalog, template: &str, seed: u64) -> Option<(usize, usize)> {
    let random = &mut Random::new(seed);
    let sql = random_query(template, random);
    let plan = plan(catalog, &sql).filter(PhysicalPlan::takes_turns)?;
    let mut doors = Doors::new(catalog, &plan);
    if doors.sources.len() < 2 {
        return None;
    }
    let read: Vec<usize> = doors.sources.iter().map(|source| source.relation).collect();
    let (mut single, mut together) = (Subject::new(&plan), Subject::new(&plan));
    let mut most = 0;
    let mut waiting: Vec<(SourceId, Batch)> = Vec::new();
    for event in events(random, &read) {
        let entered = match event {
            Event::Batch(relation, given) => {
                given.iter().map(|one| doors.admit(relation, std::slice::from_ref(one))).collect()
            }
            Event::Advance(relation, micros) => doors.advance(relation, micros).into_iter().collect(),
            Event::End(_) => Vec::new(),
        };
        for (id, batch) in entered {
            single.one(id, &batch);
            match waiting.iter_mut().find(|(other, _)| *other == id) {
                Some((_, waiting)) => append(waiting, &batch),
                None => waiting.push((id, batch)),
            }
        }
        if random.once_in(TOGETHER) {
            most = most.max(waiting.len());
            together.several(&std::mem::take(&mut waiting));
        }
    }
    together.several(&waiting);
    for source in &doors.sources {
        single.end(source.id);
        together.end(source.id);
    }
    assert_eq!(together.given, single.given, "TURNS_SEED={seed} TURNS_CASES=1\n{sql}");
    Some((most, single.given.failed.len()))
}

#[test]
fn records_of_several_sources_give_together_what_they_give_one_by_one() {
    let (seed, cases) = (setting("TURNS_SEED", DEFAULT_SEED), setting("TURNS_CASES", DEFAULT_CASES));
    println!("TURNS_SEED={seed} TURNS_CASES={cases}");
    let catalog = catalog();
    let (mut done, mut at, mut turns, mut failures) = (0, seed, 0, 0);
    while done < cases {
        if let Some((most, failed)) = run(&catalog, TEMPLATES[at as usize % TEMPLATES.len()], at) {
            done += 1;
            turns += u64::from(most > 1);
            failures += failed as u64;
        }
        at += 1;
    }
    println!("{done} cases, {turns} with turns, {failures} failing records");
    if cases >= DEFAULT_CASES {
        assert!(turns > cases / 2 && failures > cases / 4, "the histories have become tame");
    }
}

//! Through the record-at-a-time engine, whatever is rolled back and every batch that fails has never come, the rows
//! of source tables, time and ends of input included. Random queries over every operator, random histories.
//!
//! `ROLLBACK_SEED` and `ROLLBACK_CASES` choose the cases; a failure names its seed.

use velostream_runtime::{StreamExecutionEngine, StreamRecord, StreamingQuery};
use velostream_testkit::scripts::{
    DEFINITIONS, Event, Given, RELATIONS, Random, Script, Step, TEMPLATES, random_query,
};

const DEFAULT_CASES: u64 = 2_000;
const DEFAULT_SEED: u64 = 5;

fn setting(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// An engine with the definitions, and a query where the language takes it.
fn started(sql: &str) -> Option<(StreamExecutionEngine, StreamingQuery)> {
    let mut engine = StreamExecutionEngine::new().expect("an engine starts");
    engine.define(&DEFINITIONS.join(";")).expect("the definitions are in the language");
    let query = engine.query(sql).ok()?;
    Some((engine, query))
}

fn records(relation: usize, given: &[Given]) -> Vec<StreamRecord> {
    let record = |Given { op, row }: &Given| {
        let named = ["id", "k", "g", "v", "ts"].into_iter().zip(row);
        let record =
            named.fold(StreamRecord::new(), |record, (name, value)| record.with(name, value.clone()));
        StreamRecord { op: *op, ..record.to(RELATIONS[relation]) }
    };
    given.iter().map(record).collect()
}

/// What an event gives; `None` where a record of it fails.
fn apply(
    engine: &mut StreamExecutionEngine,
    query: &StreamingQuery,
    event: &Event,
) -> Option<Vec<StreamRecord>> {
    match event {
        Event::Batch(relation, given) => engine.process_batch(query, &records(*relation, given)).ok(),
        Event::Advance(_, micros) => engine.advance_time(query, *micros).ok(),
        Event::End(_) => engine.end(query).ok(),
    }
}

struct Case {
    wanderer: (StreamExecutionEngine, StreamingQuery),
    homebody: (StreamExecutionEngine, StreamingQuery),
    begun: bool,
    failures: u64,
}

impl Case {
    fn both(&mut self, call: impl Fn(&mut StreamExecutionEngine, &StreamingQuery)) {
        call(&mut self.wanderer.0, &self.wanderer.1);
        call(&mut self.homebody.0, &self.homebody.1);
    }

    fn begin(&mut self) {
        self.both(|engine, query| engine.begin(query).expect("the query is open"));
        self.begun = true;
    }

    fn commit(&mut self) {
        if self.begun {
            self.both(|engine, query| engine.commit(query).expect("it has begun"));
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Begin => self.begin(),
            Step::Commit => self.commit(),
            Step::Excursion(events) => {
                self.begin();
                self.commit();
                let (engine, query) = &mut self.wanderer;
                for event in events {
                    apply(engine, query, event);
                }
                engine.rollback(query).expect("it has begun");
            }
            Step::Keep(event) => {
                let results = apply(&mut self.wanderer.0, &self.wanderer.1, event);
                if results.is_none() {
                    self.failures += 1;
                    return;
                }
                let expected = apply(&mut self.homebody.0, &self.homebody.1, event);
                assert!(results == expected, "{results:#?}\n{expected:#?}");
            }
        }
    }

    fn finish(&mut self) {
        let ends = [&mut self.wanderer, &mut self.homebody].map(|(engine, query)| engine.end(query));
        assert!(ends[0] == ends[1], "{ends:#?}");
    }
}

/// One case; gives how many batches failed, or `None` where the language refuses the query.
fn run(template: &str, seed: u64) -> Option<u64> {
    let random = &mut Random::new(seed);
    let sql = random_query(template, random);
    let (wanderer, homebody) = (started(&sql)?, started(&sql)?);
    let sources = wanderer.0.sources(&wanderer.1).expect("the query is open");
    let is_read = |name: &str| sources.iter().any(|source| source.name == name);
    let read: Vec<usize> = (0..RELATIONS.len()).filter(|&place| is_read(RELATIONS[place])).collect();
    let script = Script::random(random, &read);
    let mut case = Case { wanderer, homebody, begun: false, failures: 0 };
    let story = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        script.steps.iter().for_each(|step| case.step(step));
        case.finish();
    }));
    if let Err(panic) = story {
        println!("ROLLBACK_SEED={seed} ROLLBACK_CASES=1\n{sql}\n{:?}", script.steps);
        std::panic::resume_unwind(panic);
    }
    Some(case.failures)
}

#[test]
fn what_is_rolled_back_or_fails_has_never_come() {
    let (seed, cases) = (setting("ROLLBACK_SEED", DEFAULT_SEED), setting("ROLLBACK_CASES", DEFAULT_CASES));
    println!("ROLLBACK_SEED={seed} ROLLBACK_CASES={cases}");
    let (mut done, mut failures, mut at) = (0, 0, seed);
    while done < cases {
        if let Some(failed) = run(TEMPLATES[at as usize % TEMPLATES.len()], at) {
            (done, failures) = (done + 1, failures + failed);
        }
        at += 1;
    }
    println!("{done} cases, {failures} failing batches");
}

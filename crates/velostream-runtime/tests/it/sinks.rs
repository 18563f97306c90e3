//! Changes that are taken on the threads that compute them.

use crate::harness::{Harness, each, show};
use std::sync::mpsc::{Receiver, Sender, channel};
use velostream_runtime::{
    ChangeBatch, ChangeSink, Changes, EngineOptions, Error, ErrorCode, Params, Pull, QueryId, QueryOptions,
};

const SQL: &str = "SELECT k, COUNT(*) AS n FROM s GROUP BY k EMIT CHANGES";

/// What a sink at some place tells.
#[derive(Debug, PartialEq)]
enum Told {
    Lines(usize, Vec<String>),
    Gone(usize),
}

/// Tells what it takes, until it has taken so many batches; then it does not go on.
struct Teller {
    place: usize,
    teller: Sender<Told>,
    left: usize,
    stop: fn() -> Result<(), Error>,
}

impl ChangeSink for Teller {
    fn take(&mut self, changes: &Changes<'_>) -> Result<(), Error> {
        if self.left == 0 {
            return (self.stop)();
        }
        self.left -= 1;
        let mut batch = ChangeBatch::like(changes.batches()[0]);
        changes.append_to(&mut batch);
        assert_eq!((batch.len(), changes.order().count()), (changes.len(), changes.len()));
        self.teller.send(Told::Lines(self.place, show(&batch))).expect("the test listens");
        Ok(())
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        // The test may have ended.
        let _ = self.teller.send(Told::Gone(self.place));
    }
}

fn start(
    t: &mut Harness,
    order_by_key: bool,
    left: usize,
    stop: fn() -> Result<(), Error>,
) -> (QueryId, Receiver<Told>) {
    t.exec("CREATE STREAM s (k INT)");
    let (teller, told) = channel();
    let sinks = move |place| -> Box<dyn ChangeSink> {
        Box::new(Teller { place, teller: teller.clone(), left, stop })
    };
    let options = QueryOptions { order_by_key, ..QueryOptions::default() };
    let query = t.engine.query_into(SQL, &Params::default(), &options, sinks, 0).expect("the query is right");
    (query, told)
}

/// Waits for the end of a query that gives no rows.
fn ended(t: &mut Harness, query: QueryId) -> Result<(), Error> {
    loop {
        match t.engine.pull(query, 1, &mut ChangeBatch::default())? {
            Pull::Rows => panic!("its rows are taken elsewhere"),
            Pull::Empty => t.wait(),
            Pull::Ended => return Ok(()),
        }
    }
}

#[test]
fn a_flush_waits_until_all_is_taken_and_each_sink_goes_before_the_end() {
    for (partitions, order_by_key, places) in [(0, false, 1), (1, true, 1), (3, false, 1), (3, true, 3)] {
        let mut t = Harness::new(EngineOptions { partitions, ..EngineOptions::default() });
        let (query, told) = start(&mut t, order_by_key, usize::MAX, || Ok(()));
        t.insert("s", r#"{"k":1}{"k":2}{"k":3}{"k":1}"#);
        t.flush();
        let mut lines: Vec<String> = Vec::new();
        for told in told.try_iter() {
            let Told::Lines(place, taken) = told else { panic!("none is gone") };
            assert!(place < places);
            lines.extend(taken);
        }
        if order_by_key {
            lines.sort();
            assert_eq!(lines, ["+ 1 1", "+ 2 1", "+ 3 1", "~ 1 2"]);
        } else {
            assert_eq!(lines, ["+ 1 1", "+ 2 1", "+ 3 1", "~ 1 2"]);
        }
        t.end();
        ended(&mut t, query).expect("nothing fails");
        let mut gone: Vec<Told> = told.try_iter().collect();
        gone.sort_by_key(|told| match told {
            Told::Gone(place) => *place,
            Told::Lines(..) => panic!("all was taken before"),
        });
        assert_eq!(gone, (0..places).map(Told::Gone).collect::<Vec<_>>());
    }
}

#[test]
fn changes_are_counted_as_those_of_a_queue() {
    each(|t| {
        let (_, _told) = start(t, false, usize::MAX, || Ok(()));
        t.insert("s", r#"{"k":1}{"k":2}{"k":1}"#);
        t.flush();
        assert_eq!(
            t.engine.metrics().queries[0].partitions.iter().map(|each| each.changes_out).sum::<u64>(),
            3
        );
    });
}

#[test]
fn a_sink_that_fails_or_panics_ends_its_query_alone() {
    let refuses = || Err(Error::new(ErrorCode::Io, "the disk is full"));
    let panics = || panic!("the sink has lost its place");
    for (stop, code, reason) in [
        (refuses as fn() -> Result<(), Error>, ErrorCode::Io, "the disk is full"),
        (panics, ErrorCode::Internal, "the sink has lost its place"),
    ] {
        for order_by_key in [false, true] {
            each(|t| {
                let (query, _told) = start(t, order_by_key, 1, stop);
                let sound = t.query(SQL);
                for _ in 0..20 {
                    t.insert("s", r#"{"k":1}"#);
                    t.flush();
                }
                let error = ended(t, query).expect_err("the sink has stopped it");
                assert_eq!(error.code, code);
                assert!(error.message.ends_with(reason), "{}", error.message);
                assert_eq!(t.changes(sound).len(), 20);
            });
        }
    }
}

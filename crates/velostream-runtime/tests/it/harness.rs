//! A small driver: waits without sleeping, and changes as text.

use crate::wakes::Wakes;
use std::task::Poll;
use velostream_runtime::{
    Admission, ChangeBatch, Engine, EngineOptions, Error, Literal, Op, Params, Pull, QueryId, QueryOptions,
    Ticket, TicketValue, Waker,
};

pub struct Harness {
    pub engine: Engine,
    wakes: Wakes,
    pub now_ms: i64,
}

/// One engine per number of partitions.
pub fn each(test: impl Fn(&mut Harness)) {
    for partitions in [0, 1, 3] {
        test(&mut Harness::new(EngineOptions { partitions, ..EngineOptions::default() }));
    }
}

impl Harness {
    pub fn new(options: EngineOptions) -> Self {
        Self::with_waker(options).0
    }

    /// Also what the engine and its threads hold to wake the caller.
    pub fn with_waker(options: EngineOptions) -> (Self, Waker) {
        let (waker, wakes) = Wakes::new();
        let engine = Engine::new(options, waker.clone()).expect("the options are supported");
        (Self { engine, wakes, now_ms: 1_000 }, waker)
    }

    /// Waits until something has changed.
    pub fn wait(&mut self) {
        self.wakes.wait();
        self.engine.woken();
    }

    pub fn exec(&mut self, sql: &str) {
        self.try_exec(sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
    }

    pub fn try_exec(&mut self, sql: &str) -> Result<(), Error> {
        self.engine.exec(sql, &Params::default(), self.now_ms).map(|_| ())
    }

    pub fn query(&mut self, sql: &str) -> QueryId {
        self.query_with(sql, &QueryOptions::default())
    }

    pub fn query_with(&mut self, sql: &str, options: &QueryOptions) -> QueryId {
        let started = self.engine.query(sql, &Params::default(), options, self.now_ms);
        started.unwrap_or_else(|error| panic!("{error}\n{sql}"))
    }

    /// Inserts JSON records, waiting while the engine is full.
    pub fn insert(&mut self, relation: &str, json: &str) {
        let id = self.engine.relation(relation).expect("the relation exists").id;
        loop {
            match self.engine.insert_json(id, json.as_bytes(), true, self.now_ms).expect("accepted") {
                Admission::Accepted => return,
                Admission::Full => self.wait(),
            }
        }
    }

    /// Appends what a query has given out by now, whatever is still on its way; false once it is over.
    pub fn pull(&mut self, query: QueryId, lines: &mut Vec<String>) -> bool {
        loop {
            let mut out = ChangeBatch::default();
            match self.engine.pull(query, 1_000, &mut out) {
                Ok(Pull::Rows) => lines.extend(show(&out)),
                Ok(Pull::Empty) => return true,
                Ok(Pull::Ended) => return false,
                Err(error) => {
                    lines.push(error.to_string());
                    return false;
                }
            }
        }
    }

    pub fn end(&mut self) {
        self.engine.end(None).expect("the input ends");
    }

    pub fn finish(&mut self, ticket: Ticket) -> Result<TicketValue, Error> {
        loop {
            match self.engine.poll(ticket) {
                Poll::Ready(value) => return value,
                Poll::Pending => self.wait(),
            }
        }
    }

    pub fn flush(&mut self) {
        let ticket = self.engine.flush();
        self.finish(ticket).expect("a flush succeeds");
    }

    /// What a query has given out so far, all accepted input processed.
    pub fn changes(&mut self, query: QueryId) -> Vec<String> {
        self.flush();
        let mut lines = Vec::new();
        loop {
            let mut out = ChangeBatch::default();
            match self.engine.pull(query, 1_000, &mut out) {
                Ok(Pull::Rows) => lines.extend(show(&out)),
                Ok(Pull::Empty) => return lines,
                Ok(Pull::Ended) => {
                    lines.push("end".to_owned());
                    return lines;
                }
                Err(error) => {
                    lines.push(error.to_string());
                    return lines;
                }
            }
        }
    }

    /// Everything until the query's end, waiting for it.
    pub fn drain(&mut self, query: QueryId) -> Vec<String> {
        let mut lines = Vec::new();
        while self.pull(query, &mut lines) {
            self.wait();
        }
        lines
    }

    pub fn all(&mut self, sql: &str) -> Vec<String> {
        self.try_all(sql).unwrap_or_else(|error| panic!("{error}\n{sql}"))
    }

    pub fn try_all(&mut self, sql: &str) -> Result<Vec<String>, Error> {
        let ticket = self.engine.all(sql, &Params::default(), self.now_ms)?;
        match self.finish(ticket)? {
            TicketValue::Rows(_, rows) => Ok(show(&rows).iter().map(|line| line[2..].to_owned()).collect()),
            TicketValue::Done => panic!("a question is answered by rows"),
        }
    }

    /// Dead letters as `query code message`.
    pub fn letters(&mut self) -> Vec<String> {
        let letters = self.engine.take_new_dead_letters();
        let line = |letter: velostream_runtime::DeadLetter| {
            format!(
                "{}#{} {} {}: {}",
                letter.relation,
                letter.offset,
                letter.query.as_deref().unwrap_or("-"),
                letter.code.as_str(),
                letter.message
            )
        };
        letters.into_iter().map(line).collect()
    }
}

/// `+ a 1` for an insert, `-` for a delete, `<` and `~` for the two halves of an update.
pub fn show(batch: &ChangeBatch) -> Vec<String> {
    let mark = |op| match op {
        Op::Insert => "+",
        Op::Delete => "-",
        Op::UpdateBefore => "<",
        Op::UpdateAfter => "~",
    };
    let row = |row: usize| {
        let values = batch.columns.iter().map(|column| value(&column.literal(row)));
        format!("{} {}", mark(batch.ops[row]), values.collect::<Vec<_>>().join(" "))
    };
    (0..batch.len()).map(row).collect()
}

fn value(literal: &Literal) -> String {
    match literal {
        Literal::Null => "NULL".to_owned(),
        Literal::Boolean(value) => value.to_string(),
        Literal::Int(value) | Literal::Date(value) => value.to_string(),
        Literal::BigInt(value) | Literal::Time(value) | Literal::Timestamp(value) => value.to_string(),
        Literal::Double(value) => value.to_string(),
        Literal::Decimal(value) => value.to_string(),
        Literal::String(value) => value.to_string(),
        Literal::Bytes(value) => format!("{value:?}"),
        Literal::Interval(value) => format!("{value:?}"),
    }
}

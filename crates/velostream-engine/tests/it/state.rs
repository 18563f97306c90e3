//! State containers: any writes under nested savepoints are taken back to the byte.

use proptest::prelude::*;
use velostream_engine::column::{Column, Values};
use velostream_engine::state::{
    GroupColumns, KeyTable, Layer, OrderedCounts, RowStore, Session, Sessions, SliceReader, State, StateCell,
    hash_rows,
};
use velostream_sql::types::DataType;

/// What a step does to a container.
#[derive(Debug, Clone)]
enum Action {
    Savepoint,
    Rollback,
    Commit,
    Write(u8, i64),
    Remove(u8),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        2 => Just(Action::Savepoint),
        2 => Just(Action::Rollback),
        1 => Just(Action::Commit),
        6 => (0..8u8, any::<i64>()).prop_map(|(at, value)| Action::Write(at, value)),
        3 => (0..8u8).prop_map(Action::Remove),
    ];
    prop::collection::vec(action, 0..60)
}

fn bytes(state: &impl State) -> Vec<u8> {
    let mut bytes = Vec::new();
    state.snapshot(&mut bytes).unwrap();
    bytes
}

/// Runs the actions; after each rollback the container must be what it was at the savepoint. Restoring what is
/// there at the end must give the same.
fn check<S: State>(make: impl Fn() -> S, actions: &[Action], apply: impl Fn(&mut S, &Action)) {
    let mut state = make();
    let mut saved: Vec<Vec<u8>> = Vec::new();
    for action in actions {
        match action {
            Action::Savepoint => {
                saved.push(bytes(&state));
                state.savepoint();
            }
            Action::Rollback => {
                if let Some(before) = saved.pop() {
                    state.rollback();
                    assert_eq!(bytes(&state), before);
                }
            }
            Action::Commit => {
                if saved.pop().is_some() {
                    state.commit();
                }
            }
            write => apply(&mut state, write),
        }
    }
    for _ in saved {
        state.commit();
    }
    let last = bytes(&state);
    let mut other = make();
    other.restore(&mut SliceReader(&last)).unwrap();
    assert_eq!(bytes(&other), last);
}

/// A text too long for a view, which names its number.
fn key(at: u8) -> Column {
    let mut column = Column::new(DataType::String);
    if let Values::Text(texts) = &mut column.values {
        texts.push(format!("the key with the number {at}").as_bytes());
    }
    column
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cells(actions in actions()) {
        check(|| StateCell::new(0), &actions, |cell, action| {
            if let Action::Write(_, value) = action {
                cell.set(*value);
            }
        });
    }

    #[test]
    fn group_columns(actions in actions()) {
        check(GroupColumns::<i64>::default, &actions, |column, action| {
            if let Action::Write(at, value) = action {
                column.grow(usize::from(*at) + 1);
                column.set(u32::from(*at), *value);
            }
        });
    }

    #[test]
    fn key_tables(actions in actions()) {
        check(|| KeyTable::new(&[DataType::String]), &actions, |table, action| {
            let (Action::Write(at, _) | Action::Remove(at)) = action else { return };
            let columns = [key(*at)];
            let keys: &[Column] = &columns;
            let mut hashes = Vec::new();
            hash_rows(1, |index| &keys[index], &[0], &mut hashes);
            match (action, table.find(&keys, hashes[0], 0)) {
                (Action::Remove(_), Some(group)) => table.remove(group),
                (Action::Write(..), None) => drop(table.insert(&keys, hashes[0], 0)),
                _ => {}
            }
        });
    }

    #[test]
    fn row_stores(actions in actions()) {
        check(|| RowStore::new(&[DataType::String]), &actions, |store, action| {
            if let Action::Write(at, value) = action {
                let column = key((*value % 8) as u8);
                if usize::from(*at) < store.len() {
                    store.set(u32::from(*at), |_| &column, 0);
                } else {
                    store.push(|_| &column, 0);
                }
            }
        });
    }

    #[test]
    fn ordered_counts(actions in actions()) {
        check(OrderedCounts::<i64>::default, &actions, |counts, action| match action {
            Action::Write(at, value) => drop(counts.add(u32::from(*at), value % 3, 1)),
            Action::Remove(at) => drop(counts.add(u32::from(*at), 1, -1)),
            _ => {}
        });
    }

    #[test]
    fn sessions(actions in actions()) {
        let is_session = |at: u8| at % 3 != 0;
        check(Sessions::default, &actions, |sessions, action| {
            let (Action::Write(at, _) | Action::Remove(at)) = action else { return };
            let (layer, key) = (if is_session(*at) { Layer::Session } else { Layer::Moment }, u32::from(*at / 4));
            let found = sessions.at_or_before(layer, key, i64::from(*at));
            let found = found.filter(|&id| sessions.get(id).first == i64::from(*at));
            match (action, found) {
                (Action::Write(_, value), Some(id)) => {
                    let last = i64::from(*at) + value.rem_euclid(50);
                    sessions.set(id, Session { last, rows: *value, ..*sessions.get(id) });
                }
                (Action::Write(_, value), None) => {
                    let first = i64::from(*at);
                    sessions.open(layer, Session { key, first, last: first, birth: *value as u64, rows: 1 });
                }
                (Action::Remove(_), Some(id)) => sessions.close(id),
                _ => {}
            }
            let mut due = Vec::new();
            sessions.due(25, &mut due);
            let all = (0..8u8).filter(|&at| is_session(at)).filter_map(|at| {
                let id = sessions.at_or_before(Layer::Session, u32::from(at / 4), i64::from(at))?;
                (sessions.get(id).first == i64::from(at)).then_some(id)
            });
            let mut expected: Vec<u32> = all.filter(|&id| sessions.get(id).last <= 25).collect();
            due.sort_unstable();
            expected.sort_unstable();
            assert_eq!(due, expected);
        });
    }
}

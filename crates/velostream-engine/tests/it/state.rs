//! State containers: any writes under nested savepoints are taken back to the byte.

use proptest::prelude::*;
use velostream_engine::batch::{ChangeBatch, Op, Seq};
use velostream_engine::column::{Column, Values};
use velostream_engine::state::{
    Derived, GroupColumns, GroupQueues, KeyTable, KeyedRows, KeyedRowsSpec, Layer, OrderedCounts, RowQueues,
    RowStore, Session, Sessions, SliceReader, Slots, State, StateCell, TimeQueue, hash_rows,
};
use velostream_sql::plan::Literal;
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

#[test]
fn derived_values_are_lost_when_anything_is_taken_back() {
    let mut derived = Derived::default();
    derived.keep(1, 8);
    derived.savepoint();
    derived.keep(2, 16);
    derived.commit();
    assert_eq!((derived.bytes(), derived.take()), (16, Some(2)));
    derived.keep(3, 8);
    derived.savepoint();
    derived.rollback();
    assert_eq!((derived.bytes(), derived.take()), (0, None));
    derived.keep(4, 8);
    derived.restore(&mut SliceReader(&bytes(&Derived::<i32>::default()))).unwrap();
    assert_eq!(derived.take(), None);
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
    fn group_queues(actions in actions()) {
        check(GroupQueues::<i64>::default, &actions, |queues, action| {
            queues.grow(8);
            match action {
                Action::Write(at, value) if value % 3 == 0 => {
                    let group = u32::from(*at);
                    let middle = queues.queue(group).len() / 2;
                    queues.insert(group, middle, *value);
                }
                Action::Write(at, value) => queues.push_back(u32::from(*at), *value),
                Action::Remove(at) if at % 2 == 0 => drop(queues.pop_front(u32::from(*at))),
                Action::Remove(at) => drop(queues.pop_back(u32::from(*at))),
                _ => {}
            }
        });
    }

    #[test]
    fn row_queues(actions in actions()) {
        check(|| RowQueues::new(&[DataType::String]), &actions, |rows, action| {
            rows.grow(4);
            match action {
                Action::Write(at, value) => {
                    let column = key(*at);
                    let (group, time) = (u32::from(*at) % 4, *value % 16);
                    let place = rows.insert(group, time, |_| &column, 0);
                    let order = rows.order(group);
                    assert!(order[place].0 == time && order.iter().is_sorted_by_key(|entry| entry.0));
                    assert!(order.get(place + 1).is_none_or(|entry| entry.0 > time), "ties follow the sequence");
                }
                Action::Remove(at) => rows.drop_front(u32::from(*at) % 4),
                _ => {}
            }
        });
    }

    #[test]
    fn sessions(actions in actions()) {
        let is_session = |at: u8| !at.is_multiple_of(3);
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

    #[test]
    fn slots(actions in actions()) {
        // What is in use stands beside the container and is taken back with it.
        let used = std::cell::RefCell::new(Vec::<u32>::new());
        check(Slots::default, &actions, |slots, action| match action {
            Action::Write(..) => used.borrow_mut().push(slots.take()),
            Action::Remove(at) => {
                let mut used = used.borrow_mut();
                used.retain(|&slot| (slot as usize) < slots.capacity());
                used.sort_unstable();
                used.dedup();
                if slots.len() == used.len() && usize::from(*at) < used.len() {
                    slots.put_back(used.remove(usize::from(*at)));
                }
            }
            _ => {}
        });
    }

    #[test]
    fn time_queue(actions in actions()) {
        check(TimeQueue::default, &actions, |queue, action| match action {
            Action::Write(at, value) => queue.add(value.rem_euclid(20), u32::from(*at)),
            Action::Remove(at) => {
                let limit = i64::from(*at) * 2;
                let first = queue.first_time();
                let taken = queue.take_before(limit);
                assert_eq!(taken.is_some(), first.is_some_and(|time| time < limit));
                assert!(queue.first_time() >= first || taken.is_none() || queue.is_empty());
            }
            _ => {}
        });
    }

    #[test]
    fn keyed_rows(actions in actions(), found_again in any::<bool>()) {
        let spec = KeyedRowsSpec {
            types: vec![DataType::String, DataType::BigInt],
            key_types: vec![DataType::String],
            identity: found_again.then(|| vec![0, 1]),
            counts_matches: true,
        };
        check(|| KeyedRows::new(&spec), &actions, |rows, action| {
            let (Action::Write(at, _) | Action::Remove(at)) = action else { return };
            let mut input = ChangeBatch::new(&spec.types);
            input.columns[0].push_from(&key(*at % 3), 0);
            input.columns[1].push_literal(&Literal::BigInt(i64::from(*at)));
            input.push_mark(Op::Insert, Seq(1), i64::from(*at));
            let keys = &input.columns[..1];
            let mut hashes = Vec::new();
            hash_rows(1, |index| &keys[index], &[0], &mut hashes);
            let of_key = |rows: &KeyedRows| {
                let mut slots = Vec::new();
                rows.for_each_of_key(&keys, hashes[0], 0, |slot| slots.push(slot));
                slots
            };
            let before: i64 = of_key(rows).iter().map(|&slot| rows.count(slot)).sum();
            let by = match action {
                Action::Write(..) => {
                    let slot = rows.add(&keys, hashes[0], &input, 0);
                    rows.set_matches(slot, i64::from(*at));
                    1
                }
                _ => {
                    let slots = of_key(rows);
                    let last = if found_again { rows.find(&input, 0) } else { slots.last().copied() };
                    last.iter().for_each(|&slot| rows.remove(slot));
                    -i64::from(last.is_some())
                }
            };
            let after: i64 = of_key(rows).iter().map(|&slot| rows.count(slot)).sum();
            assert_eq!(after, before + by);
        });
    }
}

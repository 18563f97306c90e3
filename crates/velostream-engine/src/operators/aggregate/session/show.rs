//! What a step changed: its sessions' rows before and after.

use super::{SessionAggregate, SessionState};
use crate::batch::{ChangeBatch, Op, Seq};
use crate::column::{Column, Values};
use crate::state::{GroupId, Session, rows_equal};
use velostream_sql::types::DataType;

/// A session as it is or was shown, and where its row stands among the rows to compare.
#[derive(Debug, Clone, Copy)]
struct Shown {
    session: Session,
    row: usize,
}

/// Whether a session is among those of the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Mark {
    #[default]
    Out,
    Noted,
    /// Noted, and gone since.
    Gone,
}

/// The sessions that a step has touched. Empty between steps.
#[derive(Default)]
pub(super) struct Step {
    /// Numbers of sessions touched or made, each once.
    noted: Vec<GroupId>,
    marks: Vec<Mark>,
    alive: Vec<GroupId>,
    /// Keys that may have no sessions left.
    pub idle_keys: Vec<GroupId>,
    /// Moments that may have no rows left.
    pub emptied: Vec<GroupId>,
    /// Sessions as they were shown before the step.
    old: Vec<Shown>,
    new: Vec<Shown>,
    /// Rows that go; rows that come, with the one each replaces.
    deletes: Vec<Shown>,
    additions: Vec<(Shown, Option<usize>)>,
    /// Rows to compare.
    wide: ChangeBatch,
    keys: Vec<GroupId>,
}

impl Step {
    pub fn new(types: &[DataType]) -> Self {
        Self { wide: ChangeBatch::new(types), ..Self::default() }
    }

    /// Notes a session; gives whether it was not noted before.
    pub fn note(&mut self, id: GroupId) -> bool {
        let at = id as usize;
        self.marks.resize(self.marks.len().max(at + 1), Mark::Out);
        let before = std::mem::replace(&mut self.marks[at], Mark::Noted);
        if before == Mark::Out {
            self.noted.push(id);
        }
        before != Mark::Noted
    }

    /// Notes that a session of the step is gone.
    pub fn forget(&mut self, id: GroupId) {
        self.marks[id as usize] = Mark::Gone;
    }

    /// The noted sessions that are there.
    pub fn alive(&mut self) -> &[GroupId] {
        self.alive.clear();
        let marks = &self.marks;
        self.alive.extend(self.noted.iter().filter(|&&id| marks[id as usize] == Mark::Noted));
        &self.alive
    }

    /// Ends the step.
    pub fn clear(&mut self) {
        for id in self.noted.drain(..) {
            self.marks[id as usize] = Mark::Out;
        }
        self.idle_keys.clear();
        self.emptied.clear();
        self.old.clear();
        self.new.clear();
        self.wide.clear();
    }

    /// Finds what goes and what comes: sessions of one key with the same bounds are the same row.
    fn compare(&mut self) {
        let Self { old, new, deletes, additions, wide, .. } = self;
        let identity = |shown: &Shown| (shown.session.key, shown.session.first, shown.session.last);
        old.sort_unstable_by_key(identity);
        new.sort_unstable_by_key(identity);
        deletes.clear();
        additions.clear();
        let mut olds = old.iter().peekable();
        for shown in new.iter() {
            while let Some(gone) = olds.next_if(|old| identity(old) < identity(shown)) {
                deletes.push(*gone);
            }
            match olds.next_if(|old| identity(old) == identity(shown)) {
                Some(same) if rows_equal(&wide.columns, same.row, &wide.columns, shown.row) => {}
                same => additions.push((*shown, same.map(|same| same.row))),
            }
        }
        deletes.extend(olds);
        deletes.sort_unstable_by_key(|shown| order(&shown.session));
        additions.sort_unstable_by_key(|(shown, _)| order(&shown.session));
    }
}

/// The order of sessions: by end, then start, then by their first record.
pub(super) fn order(session: &Session) -> (i64, i64, u64) {
    (session.last, session.first, session.birth)
}

impl SessionAggregate {
    /// Keeps the row of a session from before the step.
    pub(super) fn touch(&mut self, id: GroupId, seq: Seq) {
        let step = &mut self.scratch.step;
        if step.note(id) && !self.spec.is_final {
            step.old.push(Shown { session: *self.state.sessions.get(id), row: step.wide.len() });
            self.state.emit(&[id], self.gap, seq, &mut step.keys, &mut step.wide);
        }
    }

    /// Ends the step: shows the rows that it changed.
    pub(super) fn show(&mut self, seq: Seq, out: &mut ChangeBatch) {
        let step = &mut self.scratch.step;
        if !self.spec.is_final {
            step.alive();
            let first = step.wide.len();
            self.state.emit(&step.alive, self.gap, seq, &mut step.keys, &mut step.wide);
            let shown = |(at, &id): (usize, &GroupId)| Shown {
                session: *self.state.sessions.get(id),
                row: first + at,
            };
            step.new.extend(step.alive.iter().enumerate().map(shown));
            step.compare();
            for shown in &step.deletes {
                out.push_row(&step.wide, shown.row, Op::Delete);
            }
            for &(shown, replaced) in &step.additions {
                if let (Some(old), true) = (replaced, self.spec.before) {
                    out.push_row(&step.wide, old, Op::UpdateBefore);
                }
                let op = if replaced.is_some() { Op::UpdateAfter } else { Op::Insert };
                out.push_row(&step.wide, shown.row, op);
            }
        }
        step.idle_keys.sort_unstable();
        step.idle_keys.dedup();
        step.idle_keys.iter().for_each(|&key| self.state.drop_idle_key(key));
        step.clear();
    }
}

impl SessionState {
    /// Appends the rows of sessions as inserts.
    pub(super) fn emit(
        &self,
        ids: &[GroupId],
        gap: i64,
        seq: Seq,
        keys: &mut Vec<GroupId>,
        out: &mut ChangeBatch,
    ) {
        keys.clear();
        keys.extend(ids.iter().map(|&id| self.sessions.get(id).key));
        let key_columns = self.keys.columns();
        for (column, key) in out.columns.iter_mut().zip(key_columns) {
            column.extend_selected(key, keys);
        }
        let bounds = key_columns.len();
        extend_times(&mut out.columns[bounds], ids.iter().map(|&id| self.sessions.get(id).first));
        extend_times(&mut out.columns[bounds + 1], ids.iter().map(|&id| self.sessions.get(id).last + gap));
        for (call, column) in self.calls.iter().zip(&mut out.columns[bounds + 2..]) {
            call.emit(ids, column);
        }
        for &id in ids {
            out.push_mark(Op::Insert, seq, self.sessions.get(id).last + gap - 1);
        }
    }
}

/// Appends TIMESTAMPs.
fn extend_times(column: &mut Column, times: impl Iterator<Item = i64>) {
    let Values::I64(values) = &mut column.values else {
        unreachable!("window bounds are TIMESTAMPs");
    };
    let before = values.len();
    values.extend(times);
    let count = values.len() - before;
    column.validity.extend_valid(before, count);
}

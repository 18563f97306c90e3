//! Aggregates whose state is one cell per group: the loops, shared by all of them.

use super::{Aggregate, CallRows, Slides, same_call};
use crate::column::{Column, Validity, Values};
use crate::error::Result;
use crate::state::{GroupColumns, GroupId, SnapshotReader, SnapshotWriter, State, Storable};

/// A type that stands in a column as it is.
pub trait Physical: Copy + Default {
    /// The values of a column of this type.
    fn values(column: &Column) -> &[Self];
    /// The values and the validity of a column of this type.
    fn parts(column: &mut Column) -> (&mut Vec<Self>, &mut Validity);
}

macro_rules! physical {
    ($($type:ty => $variant:ident),+) => {
        $(impl Physical for $type {
            #[inline]
            fn values(column: &Column) -> &[Self] {
                match &column.values {
                    Values::$variant(values) => values,
                    _ => unreachable!("the planner chose the aggregate by its argument's type"),
                }
            }

            #[inline]
            fn parts(column: &mut Column) -> (&mut Vec<Self>, &mut Validity) {
                match &mut column.values {
                    Values::$variant(values) => (values, &mut column.validity),
                    _ => unreachable!("the planner chose the aggregate by its result's type"),
                }
            }
        })+
    };
}
physical!(u8 => Bool, i32 => I32, i64 => I64, f64 => F64, i128 => I128);

/// Appends a result or NULL.
#[inline]
pub fn push_result<T: Physical>(values: &mut Vec<T>, validity: &mut Validity, result: Option<T>) {
    validity.push(values.len(), result.is_some());
    values.push(result.unwrap_or_default());
}

/// What a kernel is given per row: a column's value, or nothing.
pub trait Input: Copy {
    /// The argument's values.
    type View<'a>: Copy;
    /// The values of the argument.
    fn view(values: Option<&Column>) -> Self::View<'_>;
    /// The value of one row.
    fn get(view: Self::View<'_>, row: usize) -> Self;
    /// At least the largest of the values' magnitudes over these rows.
    fn largest(view: Self::View<'_>, rows: &[u32]) -> f64;
}

impl Input for () {
    type View<'a> = ();

    fn view(_values: Option<&Column>) {}

    #[inline]
    fn get((): (), _row: usize) {}

    fn largest((): (), _rows: &[u32]) -> f64 {
        0.0
    }
}

macro_rules! input {
    ($($type:ty, |$values:ident, $rows:ident| $largest:expr);+) => {
        $(impl Input for $type {
            type View<'a> = &'a [$type];

            fn view(values: Option<&Column>) -> &[$type] {
                <$type>::values(values.expect("the aggregate has an argument"))
            }

            #[inline]
            fn get(view: &[$type], row: usize) -> $type {
                view[row]
            }

            fn largest($values: &[$type], $rows: &[u32]) -> f64 {
                $largest
            }
        })+
    };
}
input!(
    u8, |_values, _rows| 1.0;
    i32, |_values, _rows| 2_147_483_648.0;
    i64, |values, rows| rows.iter().fold(0, |bits, &row| bits | values[row as usize].unsigned_abs()) as f64;
    i128, |values, rows| rows.iter().fold(0, |bits, &row| bits | values[row as usize].unsigned_abs()) as f64;
    f64, |values, rows| {
        // Magnitudes are in the order of their bits, which are compared in fewer steps.
        let finite = |row: &u32| {
            let size = values[*row as usize].abs().to_bits();
            if size < f64::INFINITY.to_bits() { size } else { 0 }
        };
        f64::from_bits(rows.iter().map(finite).fold(0, u64::max))
    }
);

/// At least the largest magnitude of a call's argument over these rows; 0 where it has none to add up.
pub fn largest_magnitude(argument: Option<&Column>, rows: &[u32]) -> f64 {
    match argument.map(|column| &column.values) {
        Some(Values::Bool(values)) => u8::largest(values, rows),
        Some(Values::I32(values)) => i32::largest(values, rows),
        Some(Values::I64(values)) => i64::largest(values, rows),
        Some(Values::I128(values)) => i128::largest(values, rows),
        Some(Values::F64(values)) => f64::largest(values, rows),
        Some(Values::Text(_) | Values::Interval(_)) | None => 0.0,
    }
}

/// The arithmetic of an aggregate over one group.
pub trait Kernel: Send {
    /// What it is given.
    type Input: Input;
    /// What it keeps.
    type Cell: Clone + Default + Storable + Send;
    /// What it gives.
    type Output: Physical;
    /// The magnitude of a cell up to which nothing overflows; infinite where nothing ever does.
    fn limit(&self) -> f64 {
        f64::INFINITY
    }
    /// The magnitude of a cell.
    fn magnitude(_cell: &Self::Cell) -> f64 {
        0.0
    }
    /// Adds a value; false where it overflows.
    fn add(cell: &mut Self::Cell, value: Self::Input) -> bool;
    /// Takes a value back; false where it overflows.
    fn retract(cell: &mut Self::Cell, value: Self::Input) -> bool;
    /// Adds what another group has; false where it overflows.
    fn merge(cell: &mut Self::Cell, other: &Self::Cell) -> bool;
    /// The result, `None` for NULL.
    fn result(&self, cell: &Self::Cell) -> Option<Self::Output>;
    /// Whether the result can be represented.
    fn verify(&self, _cell: &Self::Cell) -> bool {
        true
    }
}

/// How large any cell can be at most: adding up what came in is cheap; looking at the cells is exact.
///
/// Derived from the cells and only ever too large, hence nothing that a snapshot has. What was found by looking is true of
/// the cells at that time: with them it goes back.
#[derive(Debug, Clone, Copy)]
struct Bound {
    magnitude: f64,
    /// Rows to come before the cells are looked at again, so that looking costs little per row.
    rows_to_wait: usize,
}

impl Bound {
    /// Of no cells.
    const NONE: Self = Self { magnitude: 0.0, rows_to_wait: 0 };
    /// Of cells that have to be looked at.
    const UNKNOWN: Self = Self { magnitude: f64::INFINITY, rows_to_wait: 0 };

    fn admits(&mut self, limit: f64, more: f64, rows: usize, exact: impl FnOnce() -> (f64, usize)) -> bool {
        if self.magnitude + more <= limit {
            self.magnitude += more;
            return true;
        }
        self.magnitude = f64::INFINITY;
        self.rows_to_wait = self.rows_to_wait.saturating_sub(rows);
        if self.rows_to_wait > 0 {
            return false;
        }
        let (magnitude, groups) = exact();
        if magnitude + more <= limit {
            self.magnitude = magnitude + more;
            return true;
        }
        self.rows_to_wait = groups;
        false
    }
}

/// One cell per group.
pub struct Cells<K: Kernel> {
    kernel: K,
    cells: GroupColumns<K::Cell>,
    bound: Bound,
    /// That at each open savepoint.
    bounds_before: Vec<Bound>,
}

impl<K: Kernel> Cells<K> {
    /// No groups.
    pub fn new(kernel: K) -> Self {
        Self { kernel, cells: GroupColumns::default(), bound: Bound::NONE, bounds_before: Vec::new() }
    }

    /// The cells, of which the caller writes none but those of `groups`.
    pub(super) fn write(&mut self, groups: &[GroupId]) -> (&K, &mut [K::Cell]) {
        (&self.kernel, self.cells.write(groups))
    }
}

impl<K: Kernel> State for Cells<K> {
    fn savepoint(&mut self) {
        self.cells.savepoint();
        self.bounds_before.push(self.bound);
    }

    fn rollback(&mut self) {
        self.cells.rollback();
        self.bound = self.bounds_before.pop().expect("rollback follows savepoint");
    }

    fn commit(&mut self) {
        self.cells.commit();
        self.bounds_before.pop().expect("commit follows savepoint");
    }

    fn snapshot(&self, writer: &mut dyn SnapshotWriter) -> Result<()> {
        self.cells.snapshot(writer)
    }

    fn restore(&mut self, reader: &mut dyn SnapshotReader) -> Result<()> {
        self.bound = Bound::UNKNOWN;
        self.cells.restore(reader)
    }

    fn bytes(&self) -> usize {
        self.cells.bytes()
    }

    fn release(&mut self) {
        self.bound = Bound::UNKNOWN;
        self.cells.release();
    }
}

impl<K: Kernel + 'static> Aggregate for Cells<K> {
    fn grow(&mut self, groups: usize) {
        self.cells.grow(groups);
    }

    fn reset(&mut self, group: GroupId) {
        self.cells.set(group, K::Cell::default());
    }

    fn clear(&mut self) {
        self.cells.clear();
        self.bound = Bound::NONE;
    }

    fn is_safe(&mut self, input: &CallRows<'_>) -> bool {
        self.kernel.limit() == f64::INFINITY
            || self.has_room(K::Input::largest(K::Input::view(input.values), input.rows), input.rows.len())
    }

    fn has_room(&mut self, largest: f64, rows: usize) -> bool {
        let cells = self.cells.values();
        self.bound.admits(self.kernel.limit(), largest * rows as f64, rows, || {
            (cells.iter().map(K::magnitude).fold(0.0, f64::max), cells.len())
        })
    }

    fn is_safe_within(&mut self, input: &CallRows<'_>, held: &Column) -> bool {
        let limit = self.kernel.limit();
        if limit == f64::INFINITY {
            return true;
        }
        let more = K::Input::largest(K::Input::view(input.values), input.rows) * input.rows.len() as f64;
        let cells = &self.cells;
        self.bound.admits(limit, more, input.rows.len(), || {
            let all: Vec<u32> = (0..held.len() as u32).collect();
            let kept = K::Input::largest(K::Input::view(Some(held)), &all) * all.len() as f64;
            (kept + cells.values().iter().map(K::magnitude).fold(0.0, f64::max), all.len())
        })
    }

    fn slide(&mut self, steps: &Slides<'_>, out: &mut Column) -> bool {
        let (kernel, cells) = (&self.kernel, self.cells.write(steps.groups));
        let (given, kept) = (K::Input::view(steps.given.values), K::Input::view(steps.kept.values));
        let (all_come, all_leave) = (steps.given.count_all(), steps.kept.count_all());
        let (values, validity) = K::Output::parts(out);
        values.reserve(steps.rows.len());
        let mut fits = true;
        steps.each(|group, gone, row| {
            let cell = &mut cells[group as usize];
            for &slot in gone {
                if all_leave || steps.kept.counts(slot as usize) {
                    fits &= K::retract(cell, K::Input::get(kept, slot as usize));
                }
            }
            if all_come || steps.given.counts(row as usize) {
                fits &= K::add(cell, K::Input::get(given, row as usize));
            }
            fits &= kernel.verify(cell);
            push_result(values, validity, kernel.result(cell));
        });
        fits
    }

    fn add(&mut self, input: &CallRows<'_>) -> bool {
        let cells = self.cells.write(input.groups);
        let view = K::Input::view(input.values);
        let mut fits = true;
        input.each(|row, group| fits &= K::add(&mut cells[group], K::Input::get(view, row)));
        fits
    }

    fn add_running(&mut self, input: &CallRows<'_>, out: &mut Column) {
        let (kernel, cells) = (&self.kernel, self.cells.write(input.groups));
        let view = K::Input::view(input.values);
        let (values, validity) = K::Output::parts(out);
        values.reserve(input.rows.len());
        input.each_marked(|row, group, counts| {
            let cell = &mut cells[group];
            if counts {
                let fits = K::add(cell, K::Input::get(view, row));
                debug_assert!(fits, "the caller asked whether the rows are safe");
            }
            push_result(values, validity, kernel.result(cell));
        });
    }

    fn retract(&mut self, input: &CallRows<'_>) -> bool {
        let cells = self.cells.write(input.groups);
        let view = K::Input::view(input.values);
        let mut fits = true;
        input.each(|row, group| fits &= K::retract(&mut cells[group], K::Input::get(view, row)));
        fits
    }

    fn merge(&mut self, from: GroupId, into: GroupId) -> bool {
        let other = self.cells.values()[from as usize].clone();
        let cell = &mut self.cells.write(&[into])[into as usize];
        let fits = K::merge(cell, &other);
        self.bound.magnitude = self.bound.magnitude.max(K::magnitude(cell));
        fits
    }

    fn absorb(&mut self, other: &dyn Aggregate, from: &[GroupId], into: &[GroupId]) -> bool {
        let others = same_call::<Self>(other).cells.values();
        let cells = self.cells.write(into);
        let mut fits = true;
        for (&from, &into) in from.iter().zip(into) {
            fits &= K::merge(&mut cells[into as usize], &others[from as usize]);
        }
        fits
    }

    fn bounds(&self) -> (f64, f64) {
        (self.bound.magnitude, self.kernel.limit())
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn verify(&self, groups: &[GroupId]) -> bool {
        groups.iter().all(|&group| self.kernel.verify(&self.cells.values()[group as usize]))
    }

    fn emit(&self, groups: &[GroupId], out: &mut Column) {
        let (values, validity) = K::Output::parts(out);
        let (before, cells) = (values.len(), self.cells.values());
        let result = |&group: &GroupId| self.kernel.result(&cells[group as usize]);
        let mut complete = true;
        values.extend(groups.iter().map(|group| {
            let result = result(group);
            complete &= result.is_some();
            result.unwrap_or_default()
        }));
        if complete {
            validity.extend_valid(before, groups.len());
        } else {
            validity.extend_mask(before, groups.iter().map(|group| u8::from(result(group).is_some())));
        }
    }
}

/// Makes a struct of plain fields storable.
macro_rules! storable_cell {
    ($name:ident { $($field:ident: $type:ty),+ }) => {
        impl $crate::state::Storable for $name {
            fn store(&self, writer: &mut dyn $crate::state::SnapshotWriter) -> $crate::error::Result<()> {
                $($crate::state::Storable::store(&self.$field, writer)?;)+
                Ok(())
            }

            fn load(reader: &mut dyn $crate::state::SnapshotReader) -> $crate::error::Result<Self> {
                Ok(Self { $($field: <$type as $crate::state::Storable>::load(reader)?),+ })
            }
        }
    };
}
pub(super) use storable_cell;

//! Kernels: plain loops over typed slices, one call per instruction and batch.
//!
//! A kernel writes one value per row into its output column. A strict kernel leaves NULL to the driver,
//! which sets the output's validity to the intersection of the inputs' before the call; what it writes at
//! NULL rows is never read. A fallible kernel reports rows for which [`Args::is_live`] holds and no others.

use crate::column::{Column, TextColumn, Values};
use crate::error::RecordError;
use crate::expr::RowErrors;
use velostream_sql::plan::Interval;

/// Where an instruction finds an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Slot {
    /// A column of the batch.
    Column(usize),
    /// A register: a constant or what an earlier instruction wrote.
    Register(usize),
}

/// What a kernel reads.
pub(crate) struct Args<'a> {
    /// Rows to compute. Constant registers may hold more.
    pub rows: usize,
    pub(super) inputs: &'a [Slot],
    pub(super) columns: &'a [Column],
    pub(super) registers: &'a [Column],
    pub(super) live: Option<&'a [u8]>,
}

impl<'a> Args<'a> {
    /// Input `index`; may be longer than `rows`.
    #[inline]
    pub fn column(&self, index: usize) -> &'a Column {
        match self.inputs[index] {
            Slot::Column(position) => &self.columns[position],
            Slot::Register(register) => &self.registers[register],
        }
    }

    /// The values of input `index`.
    #[inline]
    pub fn values<T: Native>(&self, index: usize) -> &'a [T] {
        &T::slice(&self.column(index).values)[..self.rows]
    }

    /// The validity mask of input `index`, if it has NULLs.
    #[inline]
    pub fn mask(&self, index: usize) -> Option<&'a [u8]> {
        self.column(index).validity.mask().map(|mask| &mask[..self.rows])
    }

    /// Input `index`, which is STRING or BYTES.
    #[inline]
    pub fn text(&self, index: usize) -> &'a TextColumn {
        match &self.column(index).values {
            Values::Text(text) => text,
            _ => unreachable!("the compiler gives text kernels text"),
        }
    }

    /// Number of inputs.
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Whether row `row` is computed at all: no strict input is NULL and the row takes this branch.
    #[inline]
    pub fn is_live(&self, row: usize) -> bool {
        self.live.is_none_or(|live| live[row] != 0)
    }
}

/// The loop of a kernel.
pub(crate) type Run = Box<dyn FnMut(&Args<'_>, &mut Column, &mut RowErrors) + Send>;

/// One operation over columns.
pub(crate) struct Kernel {
    pub(super) run: Run,
    /// Whether NULL in any input gives NULL; the driver then sets the validity.
    pub(super) strict: bool,
    /// Whether it can fail for a row.
    pub(super) fallible: bool,
    /// Whether it asks `is_live` although it cannot fail.
    pub(super) asks_live: bool,
    /// Whether it is a loop that does little for a row, as long as the row's values are numbers.
    pub(super) light: bool,
}

impl Kernel {
    /// An infallible kernel that leaves NULL to the driver.
    pub fn strict(mut run: impl FnMut(&Args<'_>, &mut Column) + Send + 'static) -> Self {
        let run: Run = Box::new(move |args, out, _| run(args, out));
        Self { run, strict: true, fallible: false, asks_live: false, light: true }
    }

    /// A strict kernel that reports failing rows.
    pub fn fallible(run: impl FnMut(&Args<'_>, &mut Column, &mut RowErrors) + Send + 'static) -> Self {
        Self { run: Box::new(run), strict: true, fallible: true, asks_live: true, light: false }
    }

    /// An infallible kernel that writes the validity itself; it is empty before the call.
    pub fn with_nulls(mut run: impl FnMut(&Args<'_>, &mut Column) + Send + 'static) -> Self {
        let run: Run = Box::new(move |args, out, _| run(args, out));
        Self { run, strict: false, fallible: false, asks_live: false, light: true }
    }

    /// A kernel that skips rows which are not live; it may report failing rows if `fallible`.
    pub fn by_row(
        fallible: bool,
        run: impl FnMut(&Args<'_>, &mut Column, &mut RowErrors) + Send + 'static,
    ) -> Self {
        Self { run: Box::new(run), strict: true, fallible, asks_live: true, light: false }
    }

    fn made_light(self) -> Self {
        Self { light: true, ..self }
    }

    /// Whether NULL in any input gives NULL.
    pub fn is_strict(&self) -> bool {
        self.strict
    }

    /// Whether it can fail for a row.
    pub fn is_fallible(&self) -> bool {
        self.fallible
    }

    /// `f` of each value.
    pub fn unary<A: Native, O: Native>(f: impl Fn(A) -> O + Send + 'static) -> Self {
        Self::strict(move |args, out| O::fill(out, args.values::<A>(0).iter().map(|&a| f(a))))
    }

    /// `f` of each pair.
    pub fn binary<A: Native, B: Native, O: Native>(f: impl Fn(A, B) -> O + Send + 'static) -> Self {
        Self::strict(move |args, out| {
            let (left, right) = (args.values::<A>(0), args.values::<B>(1));
            O::fill(out, left.iter().zip(right).map(|(&a, &b)| f(a, b)));
        })
    }

    /// `f` of each value; where it gives `None`, the row fails with what `why` says.
    pub fn try_unary<A: Native, O: Native>(
        f: impl Fn(A) -> Option<O> + Send + 'static,
        why: impl Fn(A) -> RecordError + Send + 'static,
    ) -> Self {
        let kernel = Self::fallible(move |args, out, errors| {
            let values = args.values::<A>(0);
            let mut failed = false;
            O::fill(
                out,
                values.iter().map(|&a| {
                    let value = f(a);
                    failed |= value.is_none();
                    value.unwrap_or_default()
                }),
            );
            if failed {
                let failing = (0..args.rows).filter(|&row| args.is_live(row) && f(values[row]).is_none());
                errors.extend(failing.map(|row| (row as u32, why(values[row]))));
            }
        });
        kernel.made_light()
    }

    /// `f` of each pair; where it gives `None`, the row fails with what `why` says.
    pub fn try_binary<A: Native, B: Native, O: Native>(
        f: impl Fn(A, B) -> Option<O> + Send + 'static,
        why: impl Fn(A, B) -> RecordError + Send + 'static,
    ) -> Self {
        let kernel = Self::fallible(move |args, out, errors| {
            let (left, right) = (args.values::<A>(0), args.values::<B>(1));
            let mut failed = false;
            O::fill(
                out,
                left.iter().zip(right).map(|(&a, &b)| {
                    let value = f(a, b);
                    failed |= value.is_none();
                    value.unwrap_or_default()
                }),
            );
            if failed {
                let failing =
                    (0..args.rows).filter(|&row| args.is_live(row) && f(left[row], right[row]).is_none());
                errors.extend(failing.map(|row| (row as u32, why(left[row], right[row]))));
            }
        });
        kernel.made_light()
    }

    /// `f` of each pair of doubles. A row whose result is not finite fails with what `why` says if `fails` says so of the
    /// result and the pair. Mostly all are finite, which is quickly seen.
    pub fn try_doubles(
        f: impl Fn(f64, f64) -> f64 + Send + 'static,
        fails: impl Fn(f64, f64, f64) -> bool + Send + 'static,
        why: impl Fn(f64, f64) -> RecordError + Send + 'static,
    ) -> Self {
        let kernel = Self::fallible(move |args, out, errors| {
            let (left, right) = (args.values::<f64>(0), args.values::<f64>(1));
            let mut all_finite = true;
            f64::fill(
                out,
                left.iter().zip(right).map(|(&a, &b)| {
                    let value = f(a, b);
                    all_finite &= value.is_finite();
                    value
                }),
            );
            if !all_finite {
                let fails = |row: &usize| fails(f(left[*row], right[*row]), left[*row], right[*row]);
                let failing = (0..args.rows).filter(|&row| args.is_live(row)).filter(fails);
                errors.extend(failing.map(|row| (row as u32, why(left[row], right[row]))));
            }
        });
        kernel.made_light()
    }
}

/// A fixed-width value of a column.
pub(crate) trait Native: Copy + Default + Send + 'static {
    /// The values as this type.
    fn slice(values: &Values) -> &[Self];
    /// The vector to write to.
    fn vector(values: &mut Values) -> &mut Vec<Self>;

    /// Replaces the values of `out`.
    #[inline]
    fn fill(out: &mut Column, values: impl Iterator<Item = Self>) {
        let vector = Self::vector(&mut out.values);
        vector.clear();
        vector.extend(values);
    }
}

macro_rules! native {
    ($($native:ty => $variant:ident),*) => {
        $(impl Native for $native {
            #[inline]
            fn slice(values: &Values) -> &[Self] {
                match values {
                    Values::$variant(values) => values,
                    _ => unreachable!("the compiler chooses kernels by type"),
                }
            }
            #[inline]
            fn vector(values: &mut Values) -> &mut Vec<Self> {
                match values {
                    Values::$variant(values) => values,
                    _ => unreachable!("the compiler chooses kernels by type"),
                }
            }
        })*
    };
}

native!(u8 => Bool, i32 => I32, i64 => I64, f64 => F64, i128 => I128, Interval => Interval);

/// The text vector of an output column.
pub(crate) fn text_out(out: &mut Column) -> &mut TextColumn {
    match &mut out.values {
        Values::Text(text) => text,
        _ => unreachable!("the compiler chooses kernels by type"),
    }
}

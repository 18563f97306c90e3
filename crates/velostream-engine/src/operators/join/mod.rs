//! Joins: pairs of rows of two inputs that match.
//!
//! Three operators, by how the sides meet: [`kept::KeptJoin`] keeps both sides' rows and revises the result,
//! [`lookup::LookupJoin`] keeps a table that a stream's rows look up, [`interval::IntervalJoin`] keeps rows of two
//! streams for as long as time lets others match them.
//!
//! All walk the changes of both inputs by sequence number, in runs of one side. While a run's rows are matched the
//! other side stands still, so that the matches of a run are found, and its output is gathered, column by column.

pub mod interval;
pub mod kept;
pub mod lookup;
mod matching;
mod output;
mod runs;
mod side;

use crate::error::Result;
use crate::expr::Program;
use crate::state::KeyedRowsSpec;
use velostream_sql::plan::{Expr, JoinKind, Side};
use velostream_sql::types::DataType;

/// What a join computes.
#[derive(Debug, Clone)]
pub struct JoinSpec {
    /// Which rows stay without a match.
    pub kind: JoinKind,
    /// The left input.
    pub left: SideSpec,
    /// The right input.
    pub right: SideSpec,
    /// What must be TRUE besides equal keys, over the left input's columns and behind them the right one's.
    pub residual: Option<Expr>,
    /// Which of these columns are the output's.
    pub columns: Vec<usize>,
}

/// One input of a join.
#[derive(Debug, Clone)]
pub struct SideSpec {
    /// Types of its columns.
    pub types: Vec<DataType>,
    /// Expressions over it, as many as on the other side and of the same types.
    pub keys: Vec<Expr>,
    /// Positions of its primary key's columns, if it has one.
    pub primary_key: Option<Vec<usize>>,
    /// Whether it can take rows back.
    pub updating: bool,
}

impl JoinSpec {
    /// Whether keys or the residual condition can fail for a row.
    pub fn is_fallible(&self) -> Result<bool> {
        let exprs = self.left.keys.iter().chain(&self.right.keys).chain(&self.residual);
        let exprs: Vec<Expr> = exprs.cloned().collect();
        // The sides' columns differ, which matters nothing to whether a kernel can fail.
        Ok(!Program::compile(&exprs)?.is_infallible())
    }

    fn side(&self, side: Side) -> &SideSpec {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    /// Whether rows of a side stay without a match.
    fn keeps(&self, side: Side) -> bool {
        match side {
            Side::Left => self.kind.keeps_left(),
            Side::Right => self.kind.keeps_right(),
        }
    }

    /// How a side's rows are kept.
    fn rows(&self, side: Side) -> KeyedRowsSpec {
        let spec = self.side(side);
        let whole = || (0..spec.types.len()).collect();
        KeyedRowsSpec {
            types: spec.types.clone(),
            key_types: spec.keys.iter().map(|key| key.data_type).collect(),
            identity: spec.updating.then(|| spec.primary_key.clone().unwrap_or_else(whole)),
            counts_matches: self.keeps(side),
        }
    }
}

/// The other side.
fn other(side: Side) -> Side {
    match side {
        Side::Left => Side::Right,
        Side::Right => Side::Left,
    }
}

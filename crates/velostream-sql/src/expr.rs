//! Walking and rebuilding expressions.

use crate::diagnostic::Span;
use crate::plan::{Expr, ExprKind};

/// The operands of an expression, in the order of their evaluation.
#[must_use]
pub fn children(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        ExprKind::Column(_) | ExprKind::RowTime | ExprKind::Literal(_) => Vec::new(),
        ExprKind::Negate(operand) | ExprKind::Not(operand) => vec![operand],
        ExprKind::IsNull { expr, .. } | ExprKind::IsTruth { expr, .. } | ExprKind::Cast { expr, .. } => {
            vec![expr]
        }
        ExprKind::Binary { left, right, .. } => vec![left, right],
        ExprKind::Like { expr, pattern, .. } => vec![expr, pattern],
        ExprKind::InList { expr, list, .. } => std::iter::once(expr.as_ref()).chain(list).collect(),
        ExprKind::Coalesce(operands) => operands.iter().collect(),
        ExprKind::Call { arguments, .. } => arguments.iter().collect(),
        ExprKind::Case { branches, otherwise } => branches
            .iter()
            .flat_map(|(condition, value)| [condition, value])
            .chain(otherwise.as_deref())
            .collect(),
    }
}

/// The expression with each operand replaced by what `f` makes of it; the first error ends it.
pub fn try_map_children<E>(expr: Expr, f: &mut impl FnMut(Expr) -> Result<Expr, E>) -> Result<Expr, E> {
    let mut boxed = |operand: Box<Expr>| f(*operand).map(Box::new);
    let kind = match expr.kind {
        kind @ (ExprKind::Column(_) | ExprKind::RowTime | ExprKind::Literal(_)) => kind,
        ExprKind::Negate(operand) => ExprKind::Negate(boxed(operand)?),
        ExprKind::Not(operand) => ExprKind::Not(boxed(operand)?),
        ExprKind::IsNull { expr, negated } => ExprKind::IsNull { expr: boxed(expr)?, negated },
        ExprKind::IsTruth { expr, value, negated } => {
            ExprKind::IsTruth { expr: boxed(expr)?, value, negated }
        }
        ExprKind::Cast { expr, try_cast } => ExprKind::Cast { expr: boxed(expr)?, try_cast },
        ExprKind::Binary { op, left, right } => {
            ExprKind::Binary { op, left: boxed(left)?, right: boxed(right)? }
        }
        ExprKind::Like { expr, pattern, escape, case_insensitive, negated } => {
            let (expr, pattern) = (boxed(expr)?, boxed(pattern)?);
            ExprKind::Like { expr, pattern, escape, case_insensitive, negated }
        }
        ExprKind::InList { expr, list, negated } => {
            let expr = boxed(expr)?;
            ExprKind::InList { expr, list: list.into_iter().map(f).collect::<Result<_, E>>()?, negated }
        }
        ExprKind::Coalesce(operands) => {
            ExprKind::Coalesce(operands.into_iter().map(f).collect::<Result<_, E>>()?)
        }
        ExprKind::Call { function, name, arguments } => {
            let arguments = arguments.into_iter().map(f).collect::<Result<_, E>>()?;
            ExprKind::Call { function, name, arguments }
        }
        ExprKind::Case { branches, otherwise } => {
            let mut mapped = Vec::with_capacity(branches.len());
            for (condition, value) in branches {
                mapped.push((f(condition)?, f(value)?));
            }
            let otherwise = otherwise.map(|value| f(*value).map(Box::new)).transpose()?;
            ExprKind::Case { branches: mapped, otherwise }
        }
    };
    Ok(Expr { kind, ..expr })
}

/// The expression with each operand replaced by what `f` makes of it.
pub fn map_children(expr: Expr, f: &mut impl FnMut(Expr) -> Expr) -> Expr {
    match try_map_children::<std::convert::Infallible>(expr, &mut |operand| Ok(f(operand))) {
        Ok(expr) => expr,
        Err(never) => match never {},
    }
}

/// The expression with every column at another position.
pub fn map_columns(expr: Expr, f: &mut impl FnMut(usize) -> usize) -> Expr {
    match expr.kind {
        ExprKind::Column(position) => Expr { kind: ExprKind::Column(f(position)), ..expr },
        _ => map_children(expr, &mut |operand| map_columns(operand, f)),
    }
}

/// An expression over the columns of a projection as one over the projection's input.
#[must_use]
pub fn substitute(expr: Expr, items: &[Expr]) -> Expr {
    match expr.kind {
        ExprKind::Column(column) => items[column].clone(),
        _ => map_children(expr, &mut |operand| substitute(operand, items)),
    }
}

/// Calls `f` with every column that an expression reads, as often as it reads it.
pub fn for_each_column(expr: &Expr, f: &mut impl FnMut(usize)) {
    if let ExprKind::Column(position) = expr.kind {
        f(position);
    }
    for operand in children(expr) {
        for_each_column(operand, f);
    }
}

/// How many nodes an expression has.
#[must_use]
pub fn size(expr: &Expr) -> usize {
    1 + children(expr).into_iter().map(size).sum::<usize>()
}

/// The expression without its places.
fn without_spans(expr: &Expr) -> Expr {
    fn strip(expr: Expr) -> Expr {
        let expr = Expr { span: Span::default(), ..expr };
        map_children(expr, &mut strip)
    }
    strip(expr.clone())
}

/// Whether two expressions are the same wherever they stand in the text.
#[must_use]
pub fn same(left: &Expr, right: &Expr) -> bool {
    std::mem::discriminant(&left.kind) == std::mem::discriminant(&right.kind)
        && left.data_type == right.data_type
        && without_spans(left) == without_spans(right)
}

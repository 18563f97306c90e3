//! Operators: arithmetic, comparison, logic, LIKE, BETWEEN.

use super::coerce::is_constant;
use super::expression::{boolean, constant, negated_if};
use super::literal::{self, cast_to};
use super::scope::Scope;
use super::{Binder, Bound, types};
use crate::diagnostic::{Diagnostic, ErrorCode, Span};
use crate::parse::join_spans;
use crate::plan::{BinaryOp, Expr, ExprKind, Literal};
use crate::types::DataType;
use sqlparser::ast as syntax;

impl Binder<'_> {
    /// `+e -e ~e NOT e @e |/e ||/e`
    pub(super) fn unary(
        &mut self,
        ast: &syntax::Expr,
        op: syntax::UnaryOperator,
        operand: &syntax::Expr,
        scope: &mut Scope,
    ) -> Bound<Expr> {
        use syntax::UnaryOperator as U;
        let span = self.span(ast);
        let function = match op {
            U::PGAbs => Some("ABS"),
            U::PGSquareRoot => Some("SQRT"),
            U::PGCubeRoot => Some("CBRT"),
            _ => None,
        };
        let expr = self.expr(operand, scope)?;
        if let Some(function) = function {
            return self.call(function, vec![expr], span, scope);
        }
        match op {
            U::Not => {
                let expr = self.boolean_operand(expr, "NOT")?;
                Ok(negated_if(true, expr))
            }
            U::Plus if expr.data_type.is_numeric() => Ok(expr),
            U::Minus => self.negate(expr),
            U::BitwiseNot => {
                let all_ones = constant(Literal::Int(-1), DataType::Int, span);
                self.bits(BinaryOp::BitXor, expr, all_ones, span)
            }
            U::Plus => {
                let message = format!("+ takes a number, not {}", expr.data_type);
                Err(self.error(ErrorCode::Type, expr.span, message))
            }
            other => Err(self.unsupported(span, &format!("operator {other}"))),
        }
    }

    fn negate(&mut self, expr: Expr) -> Bound<Expr> {
        let Expr { data_type, nullable, span, .. } = expr;
        if let ExprKind::Literal(literal) = &expr.kind
            && let Some((literal, data_type)) = literal::negate(literal, data_type)
        {
            return Ok(constant(literal, data_type, span));
        }
        match data_type {
            DataType::Null => Ok(expr),
            data_type if data_type.is_numeric() => {
                Ok(Expr { kind: ExprKind::Negate(Box::new(expr)), data_type, nullable, span })
            }
            other => Err(self.error(ErrorCode::Type, span, format!("- takes a number, not {other}"))),
        }
    }

    /// AND and OR chains, without recursion along the chain, as a balanced tree.
    pub(super) fn conditions(&mut self, ast: &syntax::Expr, op: BinaryOp, scope: &mut Scope) -> Bound<Expr> {
        let wanted =
            if op == BinaryOp::And { syntax::BinaryOperator::And } else { syntax::BinaryOperator::Or };
        let mut operands = Vec::new();
        let mut rest = ast;
        while let syntax::Expr::BinaryOp { left, op: found, right } = rest
            && *found == wanted
        {
            operands.push(right.as_ref());
            rest = left;
        }
        operands.push(rest);
        let name = if op == BinaryOp::And { "AND" } else { "OR" };
        let mut bound = Vec::with_capacity(operands.len());
        for operand in operands.into_iter().rev() {
            bound.push(self.expr(operand, scope).and_then(|expr| self.boolean_operand(expr, name)));
        }
        let bound = bound.into_iter().collect::<Bound<Vec<Expr>>>()?;
        Ok(balanced(op, bound))
    }

    /// All operators of two operands but AND and OR.
    pub(super) fn binary(
        &mut self,
        ast: &syntax::Expr,
        left: &syntax::Expr,
        op: &syntax::BinaryOperator,
        right: &syntax::Expr,
        scope: &mut Scope,
    ) -> Bound<Expr> {
        use syntax::BinaryOperator as B;
        let span = self.span(ast);
        let comparison = match op {
            B::Eq => Some(BinaryOp::Equal),
            B::NotEq => Some(BinaryOp::NotEqual),
            B::Lt => Some(BinaryOp::Less),
            B::LtEq => Some(BinaryOp::LessOrEqual),
            B::Gt => Some(BinaryOp::Greater),
            B::GtEq => Some(BinaryOp::GreaterOrEqual),
            _ => None,
        };
        if let Some(op) = comparison {
            return self.compare(op, left, right, scope);
        }
        let left = self.expr(left, scope);
        let right = self.expr(right, scope);
        let (left, right) = (left?, right?);
        match op {
            B::Plus => self.arithmetic(BinaryOp::Add, left, right, span),
            B::Minus => self.arithmetic(BinaryOp::Subtract, left, right, span),
            B::Multiply => self.arithmetic(BinaryOp::Multiply, left, right, span),
            B::Divide => self.arithmetic(BinaryOp::Divide, left, right, span),
            B::Modulo => self.arithmetic(BinaryOp::Modulo, left, right, span),
            B::StringConcat => self.concatenate(left, right, span),
            B::BitwiseAnd => self.bits(BinaryOp::BitAnd, left, right, span),
            B::BitwiseOr => self.bits(BinaryOp::BitOr, left, right, span),
            B::PGBitwiseXor => self.bits(BinaryOp::BitXor, left, right, span),
            B::PGBitwiseShiftLeft => self.bits(BinaryOp::ShiftLeft, left, right, span),
            B::PGBitwiseShiftRight => self.bits(BinaryOp::ShiftRight, left, right, span),
            B::PGExp => self.call("POWER", vec![left, right], span, scope),
            B::PGStartsWith => self.call("STARTS_WITH", vec![left, right], span, scope),
            B::PGRegexMatch => self.regex(left, right, false, false, span, scope),
            B::PGRegexIMatch => self.regex(left, right, true, false, span, scope),
            B::PGRegexNotMatch => self.regex(left, right, false, true, span, scope),
            B::PGRegexNotIMatch => self.regex(left, right, true, true, span, scope),
            B::PGLikeMatch => self.like_exprs(left, right, Some('\\'), false, false, span),
            B::PGNotLikeMatch => self.like_exprs(left, right, Some('\\'), false, true, span),
            B::PGILikeMatch => self.like_exprs(left, right, Some('\\'), true, false, span),
            B::PGNotILikeMatch => self.like_exprs(left, right, Some('\\'), true, true, span),
            other => Err(self.unsupported(span, &format!("operator {other}"))),
        }
    }

    /// Comparisons, IS DISTINCT FROM among them.
    pub(super) fn compare(
        &mut self,
        op: BinaryOp,
        left: &syntax::Expr,
        right: &syntax::Expr,
        scope: &mut Scope,
    ) -> Bound<Expr> {
        let left = self.expr(left, scope);
        let right = self.expr(right, scope);
        self.compare_exprs(op, left?, right?)
    }

    /// The same of bound operands.
    pub(super) fn compare_exprs(&mut self, op: BinaryOp, left: Expr, right: Expr) -> Bound<Expr> {
        let span = join_spans(left.span, right.span);
        let mut operands = vec![left, right];
        self.unify(&mut operands, "cannot compare")?;
        let total = matches!(op, BinaryOp::Distinct | BinaryOp::NotDistinct);
        let nullable = !total && operands.iter().any(|operand| operand.nullable);
        Ok(boolean(pair(op, operands), nullable, span))
    }

    /// `x [NOT] BETWEEN a AND b`
    pub(super) fn between(
        &mut self,
        ast: &syntax::Expr,
        operand: &syntax::Expr,
        negated: bool,
        low: &syntax::Expr,
        high: &syntax::Expr,
        scope: &mut Scope,
    ) -> Bound<Expr> {
        let span = self.span(ast);
        let operands = self.exprs([operand, low, high], scope)?;
        let [operand, low, high] = self.between_operands(operands)?;
        self.charge_copy(&operand)?;
        Ok(negated_if(negated, in_range(operand, low, high, span)))
    }

    /// `x BETWEEN a AND b OR x BETWEEN b AND a`
    pub(super) fn between_symmetric(&mut self, operands: Vec<Expr>, span: Span) -> Bound<Expr> {
        let [operand, low, high] = self.between_operands(operands)?;
        for copied in [&operand, &operand, &operand, &low, &high] {
            self.charge_copy(copied)?;
        }
        let straight = in_range(operand.clone(), low.clone(), high.clone(), span);
        let swapped = in_range(operand, high, low, span);
        let nullable = straight.nullable;
        Ok(boolean(pair(BinaryOp::Or, vec![straight, swapped]), nullable, span))
    }

    fn between_operands(&mut self, mut operands: Vec<Expr>) -> Bound<[Expr; 3]> {
        self.unify(&mut operands, "BETWEEN compares")?;
        Ok(<[Expr; 3]>::try_from(operands).expect("BETWEEN has three operands"))
    }

    /// `+ - * / %` of numbers, dates and intervals.
    fn arithmetic(&mut self, op: BinaryOp, left: Expr, right: Expr, span: Span) -> Bound<Expr> {
        let (left, right) = adopt(left, right);
        let nullable = left.nullable || right.nullable;
        let common = types::widen(left.data_type, right.data_type);
        let (left, right) = match common {
            Some(DataType::Decimal { .. }) => (exact(left), exact(right)),
            Some(common) if common.is_numeric() => (cast_to(left, common), cast_to(right, common)),
            _ => (left, right),
        };
        if let Some(data_type) = types::arithmetic(op, left.data_type, right.data_type) {
            return Ok(Expr { kind: pair(op, vec![left, right]), data_type, nullable, span });
        }
        if left.data_type == DataType::Null && right.data_type == DataType::Null {
            return Ok(constant(Literal::Null, DataType::Null, span));
        }
        match date_arithmetic(op, left.data_type, right.data_type) {
            Some((data_type, swapped)) => {
                let operands = if swapped { vec![right, left] } else { vec![left, right] };
                Ok(Expr { kind: pair(op, operands), data_type, nullable, span })
            }
            None => Err(self.no_operator(op, &left, &right, span)),
        }
    }

    fn no_operator(&mut self, op: BinaryOp, left: &Expr, right: &Expr, span: Span) -> super::Reported {
        let symbol = op.symbol();
        let message = format!("no operator {} {symbol} {}", left.data_type, right.data_type);
        let error = Diagnostic::new(ErrorCode::Type, span, message);
        let is_text = |expr: &Expr| expr.data_type == DataType::String;
        let error = if op == BinaryOp::Add && is_text(left) && is_text(right) {
            error.with_hint("texts are joined by ||")
        } else if is_text(left) || is_text(right) {
            error.with_hint("use CAST")
        } else {
            error
        };
        self.report(error)
    }

    fn bits(&mut self, op: BinaryOp, left: Expr, right: Expr, span: Span) -> Bound<Expr> {
        let (left, right) = adopt(left, right);
        let nullable = left.nullable || right.nullable;
        let common = types::widen(left.data_type, right.data_type);
        match common {
            Some(data_type @ (DataType::Int | DataType::BigInt)) => {
                let operands = vec![cast_to(left, data_type), cast_to(right, data_type)];
                Ok(Expr { kind: pair(op, operands), data_type, nullable, span })
            }
            _ => Err(self.no_operator(op, &left, &right, span)),
        }
    }

    /// `||`: a text with a text, or with what has a text form.
    fn concatenate(&mut self, left: Expr, right: Expr, span: Span) -> Bound<Expr> {
        let has_text = |expr: &Expr| matches!(expr.data_type, DataType::String | DataType::Null);
        if !has_text(&left) && !has_text(&right) {
            return Err(self.no_operator(BinaryOp::Concat, &left, &right, span));
        }
        let left = self.cast_expr(left, DataType::String, false);
        let right = self.cast_expr(right, DataType::String, false);
        let operands = vec![left?, right?];
        let nullable = operands.iter().any(|operand| operand.nullable);
        Ok(Expr { kind: pair(BinaryOp::Concat, operands), data_type: DataType::String, nullable, span })
    }

    /// LIKE, ILIKE, RLIKE and REGEXP with ESCAPE and NOT.
    pub(super) fn like(&mut self, ast: &syntax::Expr, scope: &mut Scope) -> Bound<Expr> {
        use syntax::Expr as E;
        let span = self.span(ast);
        let (operand, pattern, negated) = match ast {
            E::Like { any: true, .. } | E::ILike { any: true, .. } => {
                return Err(self.unsupported(span, "LIKE ANY"));
            }
            E::Like { expr, pattern, negated, .. }
            | E::ILike { expr, pattern, negated, .. }
            | E::RLike { expr, pattern, negated, .. } => (expr, pattern, *negated),
            _ => unreachable!("called for LIKE, ILIKE and RLIKE only"),
        };
        let operand = self.expr(operand, scope);
        let pattern = self.expr(pattern, scope);
        let escape = match ast {
            E::Like { escape_char: Some(escape), .. } | E::ILike { escape_char: Some(escape), .. } => {
                self.escape(escape, scope)
            }
            _ => Ok(Some('\\')),
        };
        let (operand, pattern, escape) = (operand?, pattern?, escape?);
        if matches!(ast, E::RLike { .. }) {
            return self.regex(operand, pattern, false, negated, span, scope);
        }
        self.like_exprs(operand, pattern, escape, matches!(ast, E::ILike { .. }), negated, span)
    }

    fn escape(&mut self, ast: &syntax::Expr, scope: &mut Scope) -> Bound<Option<char>> {
        let expr = self.expr(ast, scope)?;
        let text = match &expr.kind {
            ExprKind::Literal(Literal::String(text)) if text.chars().count() <= 1 => text.chars().next(),
            _ => return Err(self.error(ErrorCode::Type, expr.span, "ESCAPE takes one character")),
        };
        Ok(text)
    }

    fn like_exprs(
        &mut self,
        operand: Expr,
        pattern: Expr,
        escape: Option<char>,
        case_insensitive: bool,
        negated: bool,
        span: Span,
    ) -> Bound<Expr> {
        let operand = self.text_operand(operand, "LIKE");
        let pattern = self.text_operand(pattern, "LIKE");
        let (expr, pattern) = (Box::new(operand?), Box::new(pattern?));
        let nullable = expr.nullable || pattern.nullable;
        let kind = ExprKind::Like { expr, pattern, escape, case_insensitive, negated };
        Ok(boolean(kind, nullable, span))
    }

    fn text_operand(&mut self, expr: Expr, what: &str) -> Bound<Expr> {
        match expr.data_type {
            DataType::String => Ok(expr),
            DataType::Null => Ok(cast_to(expr, DataType::String)),
            other => {
                let message = format!("{what} takes a STRING, not {other}");
                let error = Diagnostic::new(ErrorCode::Type, expr.span, message);
                Err(self.report(error.with_hint("use CAST(... AS STRING)")))
            }
        }
    }

    /// `~ ~* !~ !~*` by the registry's REGEXP_LIKE.
    fn regex(
        &mut self,
        operand: Expr,
        pattern: Expr,
        case_insensitive: bool,
        negated: bool,
        span: Span,
        scope: &Scope,
    ) -> Bound<Expr> {
        let pattern = if case_insensitive {
            let flag = constant(Literal::String("(?i)".into()), DataType::String, pattern.span);
            match &pattern.kind {
                ExprKind::Literal(Literal::String(text)) => {
                    let text = format!("(?i){text}").as_str().into();
                    constant(Literal::String(text), DataType::String, pattern.span)
                }
                _ => self.concatenate(flag, pattern, span)?,
            }
        } else {
            pattern
        };
        Ok(negated_if(negated, self.call("REGEXP_LIKE", vec![operand, pattern], span, scope)?))
    }
}

/// `low <= operand AND operand <= high`
fn in_range(operand: Expr, low: Expr, high: Expr, span: Span) -> Expr {
    let nullable = operand.nullable || low.nullable || high.nullable;
    let above = boolean(pair(BinaryOp::GreaterOrEqual, vec![operand.clone(), low]), nullable, span);
    let below = boolean(pair(BinaryOp::LessOrEqual, vec![operand, high]), nullable, span);
    boolean(pair(BinaryOp::And, vec![above, below]), nullable, span)
}

/// A constant takes the other side's type where it means the same in it; beside a DECIMAL it stays as exact
/// as it is written.
fn adopt(left: Expr, right: Expr) -> (Expr, Expr) {
    let take = |constant: Expr, other: DataType| match &constant.kind {
        ExprKind::Literal(literal)
            if !matches!(other, DataType::Decimal { .. } | DataType::Interval)
                && other != DataType::Null
                && (constant.data_type.is_numeric() && other.is_numeric()
                    || constant.data_type == DataType::Null)
                && literal::convert(literal, constant.data_type, other).is_some() =>
        {
            cast_to(constant, other)
        }
        ExprKind::Literal(Literal::Null) if other.is_numeric() => cast_to(constant, other),
        _ => constant,
    };
    match (is_constant(&left), is_constant(&right)) {
        (true, false) => {
            let other = right.data_type;
            (take(left, other), right)
        }
        (false, true) => {
            let other = left.data_type;
            (left, take(right, other))
        }
        _ => (left, right),
    }
}

/// An INT or BIGINT beside a DECIMAL, as one.
fn exact(expr: Expr) -> Expr {
    let digits = match &expr.kind {
        ExprKind::Literal(Literal::Int(value)) => Some(i64::from(*value)),
        ExprKind::Literal(Literal::BigInt(value)) => Some(*value),
        _ => None,
    };
    let data_type = match (digits, types::as_decimal(expr.data_type)) {
        (Some(value), _) => {
            let precision = value.unsigned_abs().checked_ilog10().unwrap_or(0) as u8 + 1;
            DataType::Decimal { precision, scale: 0 }
        }
        (None, Some((precision, scale))) => DataType::Decimal { precision, scale },
        (None, None) => return expr,
    };
    cast_to(expr, data_type)
}

/// What dates, times and intervals give, and whether the sides are to be swapped so that the date is left.
fn date_arithmetic(op: BinaryOp, left: DataType, right: DataType) -> Option<(DataType, bool)> {
    use DataType as T;
    Some(match (op, left, right) {
        (BinaryOp::Add | BinaryOp::Subtract, T::Timestamp | T::Date, T::Interval) => (T::Timestamp, false),
        (BinaryOp::Add, T::Interval, T::Timestamp | T::Date) => (T::Timestamp, true),
        (BinaryOp::Add | BinaryOp::Subtract, T::Date, T::Int) => (T::Date, false),
        (BinaryOp::Add, T::Int, T::Date) => (T::Date, true),
        (BinaryOp::Add | BinaryOp::Subtract, T::Interval, T::Interval) => (T::Interval, false),
        (BinaryOp::Multiply, T::Interval, T::Int) => (T::Interval, false),
        (BinaryOp::Multiply, T::Int, T::Interval) => (T::Interval, true),
        (BinaryOp::Subtract, T::Timestamp, T::Timestamp) => (T::Interval, false),
        _ => return None,
    })
}

fn pair(op: BinaryOp, mut operands: Vec<Expr>) -> ExprKind {
    let right = operands.pop().expect("two operands");
    let left = operands.pop().expect("two operands");
    ExprKind::Binary { op, left: Box::new(left), right: Box::new(right) }
}

/// The operands joined by AND or OR, in order, as shallow as can be.
pub(crate) fn balanced(op: BinaryOp, mut operands: Vec<Expr>) -> Expr {
    if operands.len() == 1 {
        return operands.pop().expect("one operand");
    }
    let right = operands.split_off(operands.len().div_ceil(2));
    let (left, right) = (balanced(op, operands), balanced(op, right));
    let (nullable, span) = (left.nullable || right.nullable, join_spans(left.span, right.span));
    boolean(pair(op, vec![left, right]), nullable, span)
}

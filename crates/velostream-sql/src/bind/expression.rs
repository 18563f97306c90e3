//! Expressions: from sqlparser's tree to typed ones. What the dialect has not is named and refused.

use super::literal::{self, cast_to};
use super::scope::Scope;
use super::{Binder, Bound, name_of, types};
use crate::diagnostic::{ErrorCode, Span};
use crate::interval;
use crate::parse::{join_spans, token_span};
use crate::plan::{BinaryOp, Expr, ExprKind, Literal};
use crate::types::DataType;
use sqlparser::ast as syntax;
use std::sync::Arc;

/// A constant.
pub(super) fn constant(literal: Literal, data_type: DataType, span: Span) -> Expr {
    let nullable = matches!(literal, Literal::Null);
    Expr { kind: ExprKind::Literal(literal), data_type, nullable, span }
}

/// An expression that gives BOOLEAN.
pub(super) fn boolean(kind: ExprKind, nullable: bool, span: Span) -> Expr {
    Expr { kind, data_type: DataType::Boolean, nullable, span }
}

/// `NOT e` where asked for.
pub(super) fn negated_if(negated: bool, expr: Expr) -> Expr {
    if !negated {
        return expr;
    }
    let (nullable, span) = (expr.nullable, expr.span);
    boolean(ExprKind::Not(Box::new(expr)), nullable, span)
}

impl Binder<'_> {
    /// Binds an expression. The match names every form that sqlparser reads and the dialect has.
    pub(super) fn expr(&mut self, ast: &syntax::Expr, scope: &mut Scope) -> Bound<Expr> {
        use syntax::Expr as E;
        match ast {
            E::Identifier(ident) => self.identifier(&name_of(ident), scope),
            E::CompoundIdentifier(parts) => self.compound(parts, scope),
            E::Nested(inner) => self.expr(inner, scope),
            E::Value(value) => self.value(value),
            E::TypedString(typed) => self.typed_string(typed),
            E::Interval(literal) => self.interval(ast, literal),
            E::UnaryOp { op, expr } => self.unary(ast, *op, expr, scope),
            E::BinaryOp { left, op, right } => match op {
                syntax::BinaryOperator::And => self.conditions(ast, BinaryOp::And, scope),
                syntax::BinaryOperator::Or => self.conditions(ast, BinaryOp::Or, scope),
                _ => self.binary(ast, left, op, right, scope),
            },
            E::IsDistinctFrom(left, right) => self.compare(BinaryOp::Distinct, left, right, scope),
            E::IsNotDistinctFrom(left, right) => self.compare(BinaryOp::NotDistinct, left, right, scope),
            E::IsNull(_) | E::IsNotNull(_) | E::IsUnknown(_) | E::IsNotUnknown(_) => self.is_null(ast, scope),
            E::IsTrue(_) | E::IsNotTrue(_) | E::IsFalse(_) | E::IsNotFalse(_) => self.is_truth(ast, scope),
            E::Between { expr, negated, low, high } => self.between(ast, expr, *negated, low, high, scope),
            E::InList { expr, list, negated } => self.in_list(ast, expr, list, *negated, scope),
            E::Like { .. } | E::ILike { .. } | E::RLike { .. } => self.like(ast, scope),
            E::Case { operand, conditions, else_result, .. } => {
                self.case(ast, operand.as_deref(), conditions, else_result.as_deref(), scope)
            }
            E::Cast { kind, expr, data_type, format: None } => self.cast(ast, kind, expr, data_type, scope),
            E::Function(function) => self.function(ast, function, scope),
            E::Extract { .. }
            | E::Ceil { .. }
            | E::Floor { .. }
            | E::Position { .. }
            | E::Substring { .. }
            | E::Trim { .. }
            | E::Overlay { .. }
            | E::AtTimeZone { .. } => self.special_form(ast, scope),
            other => {
                let span = self.span(other);
                Err(self.unsupported(span, form_name(other)))
            }
        }
    }

    /// Binds a condition: BOOLEAN.
    pub(super) fn condition(&mut self, ast: &syntax::Expr, scope: &mut Scope) -> Bound<Expr> {
        let expr = self.expr(ast, scope)?;
        let clause = scope.clause;
        self.boolean_operand(expr, clause)
    }

    /// The operand as BOOLEAN; `what` takes it.
    pub(super) fn boolean_operand(&mut self, expr: Expr, what: &str) -> Bound<Expr> {
        match expr.data_type {
            DataType::Boolean => Ok(expr),
            DataType::Null => Ok(cast_to(expr, DataType::Boolean)),
            other => {
                let message = format!("{what} takes a BOOLEAN, not {other}");
                Err(self.error(ErrorCode::Type, expr.span, message))
            }
        }
    }

    fn compound(&mut self, parts: &[syntax::Ident], scope: &Scope) -> Bound<Expr> {
        match parts {
            [qualifier, name] => self.qualified(&name_of(qualifier), &name_of(name), scope),
            _ => {
                let first = parts.first().map_or(Span::default(), |part| token_span(part.span));
                let last = parts.last().map_or(first, |part| token_span(part.span));
                Err(self.unsupported(join_spans(first, last), "a name of several parts"))
            }
        }
    }

    fn value(&mut self, value: &syntax::ValueWithSpan) -> Bound<Expr> {
        use syntax::Value as V;
        let span = self.expanding.unwrap_or_else(|| token_span(value.span));
        let (literal, data_type) = match &value.value {
            V::Null => (Literal::Null, DataType::Null),
            V::Boolean(value) => (Literal::Boolean(*value), DataType::Boolean),
            V::SingleQuotedString(text) | V::EscapedStringLiteral(text) => {
                (Literal::String(text.as_str().into()), DataType::String)
            }
            V::Number(text, false) => match literal::number(text) {
                Some(number) => number,
                None => return Err(self.error(ErrorCode::Type, span, format!("{text} is out of range"))),
            },
            V::HexStringLiteral(text) => match bytes(text) {
                Some(bytes) => (Literal::Bytes(bytes), DataType::Bytes),
                None => {
                    return Err(self.error(ErrorCode::Type, span, "expected pairs of hexadecimal digits"));
                }
            },
            V::Placeholder(name) => match self.parameters.value(name, span) {
                Ok(value) => value,
                Err(error) => return Err(self.report(error)),
            },
            _ => return Err(self.unsupported(span, "this literal")),
        };
        Ok(constant(literal, data_type, span))
    }

    /// `DATE '2024-01-15'`
    fn typed_string(&mut self, typed: &syntax::TypedString) -> Bound<Expr> {
        let span = self.expanding.unwrap_or_else(|| token_span(typed.value.span));
        let data_type = self.data_type(&typed.data_type, span)?;
        let text = self.value(&typed.value)?;
        match data_type {
            DataType::Date | DataType::Time | DataType::Timestamp | DataType::Interval => {
                self.coerce(text, data_type)
            }
            _ => self.cast_expr(text, data_type, false),
        }
    }

    fn interval(&mut self, ast: &syntax::Expr, literal: &syntax::Interval) -> Bound<Expr> {
        let span = self.span(ast);
        if literal.last_field.is_some() {
            return Err(self.unsupported(span, "INTERVAL of several fields"));
        }
        match interval::literal(literal) {
            Some(interval) => Ok(constant(Literal::Interval(interval), DataType::Interval, span)),
            None => Err(self.error(ErrorCode::Type, span, "this is not an interval")),
        }
    }

    fn is_null(&mut self, ast: &syntax::Expr, scope: &mut Scope) -> Bound<Expr> {
        use syntax::Expr as E;
        let (operand, negated, truth) = match ast {
            E::IsNull(operand) => (operand, false, false),
            E::IsNotNull(operand) => (operand, true, false),
            E::IsUnknown(operand) => (operand, false, true),
            E::IsNotUnknown(operand) => (operand, true, true),
            _ => unreachable!("called for IS NULL and IS UNKNOWN only"),
        };
        let mut expr = self.expr(operand, scope)?;
        if truth {
            expr = self.boolean_operand(expr, "IS UNKNOWN")?;
        }
        let span = expr.span;
        let expr = self.typed(expr);
        Ok(boolean(ExprKind::IsNull { expr: Box::new(expr), negated }, false, span))
    }

    fn is_truth(&mut self, ast: &syntax::Expr, scope: &mut Scope) -> Bound<Expr> {
        use syntax::Expr as E;
        let (operand, value, negated) = match ast {
            E::IsTrue(operand) => (operand, true, false),
            E::IsNotTrue(operand) => (operand, true, true),
            E::IsFalse(operand) => (operand, false, false),
            E::IsNotFalse(operand) => (operand, false, true),
            _ => unreachable!("called for IS TRUE and IS FALSE only"),
        };
        let expr = self.expr(operand, scope)?;
        let expr = self.boolean_operand(expr, if value { "IS TRUE" } else { "IS FALSE" })?;
        let span = expr.span;
        Ok(boolean(ExprKind::IsTruth { expr: Box::new(expr), value, negated }, false, span))
    }

    fn in_list(
        &mut self,
        ast: &syntax::Expr,
        operand: &syntax::Expr,
        list: &[syntax::Expr],
        negated: bool,
        scope: &mut Scope,
    ) -> Bound<Expr> {
        let span = self.span(ast);
        let mut operands = self.exprs(std::iter::once(operand).chain(list), scope)?;
        self.unify(&mut operands, "IN compares")?;
        let nullable = operands.iter().any(|operand| operand.nullable);
        let list = operands.split_off(1);
        let expr = Box::new(operands.pop().expect("the operand of IN stands first"));
        Ok(boolean(ExprKind::InList { expr, list, negated }, nullable, span))
    }

    /// Binds several expressions, reporting the errors of all.
    pub(super) fn exprs<'e>(
        &mut self,
        asts: impl IntoIterator<Item = &'e syntax::Expr>,
        scope: &mut Scope,
    ) -> Bound<Vec<Expr>> {
        let bound: Vec<Bound<Expr>> = asts.into_iter().map(|ast| self.expr(ast, scope)).collect();
        bound.into_iter().collect()
    }

    fn case(
        &mut self,
        ast: &syntax::Expr,
        operand: Option<&syntax::Expr>,
        conditions: &[syntax::CaseWhen],
        otherwise: Option<&syntax::Expr>,
        scope: &mut Scope,
    ) -> Bound<Expr> {
        let span = self.span(ast);
        let whens = self.case_conditions(operand, conditions, scope);
        let results = conditions.iter().map(|when| &when.result).chain(otherwise);
        let results = self.exprs(results, scope);
        let (whens, mut results) = (whens?, results?);
        let data_type = self.unify(&mut results, "CASE gives")?;
        let otherwise = if results.len() > whens.len() { results.pop().map(Box::new) } else { None };
        let nullable =
            otherwise.as_ref().is_none_or(|expr| expr.nullable) || results.iter().any(|expr| expr.nullable);
        let branches = whens.into_iter().zip(results).collect();
        Ok(Expr { kind: ExprKind::Case { branches, otherwise }, data_type, nullable, span })
    }

    /// The conditions of a searched CASE, or the comparisons that a simple one means.
    fn case_conditions(
        &mut self,
        operand: Option<&syntax::Expr>,
        conditions: &[syntax::CaseWhen],
        scope: &mut Scope,
    ) -> Bound<Vec<Expr>> {
        let operand = operand.map(|operand| self.expr(operand, scope)).transpose();
        let bound: Vec<Bound<Expr>> = conditions
            .iter()
            .map(|when| {
                let condition = self.expr(&when.condition, scope)?;
                match operand.as_ref() {
                    Ok(Some(operand)) => {
                        self.charge_copy(operand)?;
                        self.compare_exprs(BinaryOp::Equal, operand.clone(), condition)
                    }
                    Ok(None) => self.boolean_operand(condition, "WHEN"),
                    Err(reported) => Err(*reported),
                }
            })
            .collect();
        bound.into_iter().collect()
    }

    fn cast(
        &mut self,
        ast: &syntax::Expr,
        kind: &syntax::CastKind,
        operand: &syntax::Expr,
        data_type: &syntax::DataType,
        scope: &mut Scope,
    ) -> Bound<Expr> {
        let span = self.span(ast);
        let try_cast = match kind {
            syntax::CastKind::Cast | syntax::CastKind::DoubleColon => false,
            syntax::CastKind::TryCast => true,
            syntax::CastKind::SafeCast => return Err(self.unsupported(span, "SAFE_CAST")),
        };
        let expr = self.expr(operand, scope);
        let data_type = self.data_type(data_type, span);
        self.cast_expr(expr?, data_type?, try_cast)
    }

    /// CAST and TRY_CAST of a bound expression.
    pub(super) fn cast_expr(&mut self, expr: Expr, to: DataType, try_cast: bool) -> Bound<Expr> {
        if to == DataType::Interval && expr.data_type == DataType::String {
            return self.coerce(expr, to);
        }
        if !types::castable(expr.data_type, to) {
            let message = format!("{} cannot be cast to {to}", expr.data_type);
            return Err(self.error(ErrorCode::Type, expr.span, message));
        }
        if expr.data_type == to {
            return Ok(expr);
        }
        if expr.data_type == DataType::Null {
            return Ok(cast_to(expr, to));
        }
        let (nullable, span) = (expr.nullable || try_cast, expr.span);
        Ok(Expr { kind: ExprKind::Cast { expr: Box::new(expr), try_cast }, data_type: to, nullable, span })
    }
}

/// `X'00ff'`
fn bytes(text: &str) -> Option<Arc<[u8]>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// What to call a form of expression that the dialect has not.
fn form_name(ast: &syntax::Expr) -> &'static str {
    use syntax::Expr as E;
    match ast {
        E::Subquery(_) | E::InSubquery { .. } => "a subquery in an expression",
        E::Exists { .. } => "EXISTS",
        E::InUnnest { .. } => "IN UNNEST",
        E::Array(_) => "ARRAY",
        E::Map(_) | E::Dictionary(_) => "MAP",
        E::Struct { .. } | E::Named { .. } => "STRUCT",
        E::Tuple(_) => "a row of several values",
        E::CompoundFieldAccess { .. } | E::JsonAccess { .. } => "access to nested values",
        E::AnyOp { .. } => "ANY",
        E::AllOp { .. } => "ALL",
        E::SimilarTo { .. } => "SIMILAR TO",
        E::IsJson { .. } => "IS JSON",
        E::IsNormalized { .. } => "IS NORMALIZED",
        E::Collate { .. } => "COLLATE",
        E::Convert { .. } => "CONVERT",
        E::Cast { .. } => "CAST with FORMAT",
        E::GroupingSets(_) | E::Cube(_) | E::Rollup(_) => "GROUPING SETS",
        E::Lambda(_) => "a lambda",
        E::Wildcard(_) | E::QualifiedWildcard(..) => "* in an expression",
        _ => "this expression",
    }
}

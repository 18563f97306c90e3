//! Types that meet: widening, constants that take the other side's type, and the names of types.

use super::literal::{self, cast_to};
use super::{Binder, Bound, types};
use crate::diagnostic::{Diagnostic, ErrorCode, Span};
use crate::plan::{Expr, ExprKind, Literal};
use crate::types::{DECIMAL_PRECISION_MAX, DataType};
use sqlparser::ast as syntax;

/// Whether an expression is a plain constant, which takes the other side's type.
pub(super) fn is_constant(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Literal(_))
}

/// Whether text constants of this type are read when the query is bound.
fn reads_text(data_type: DataType) -> bool {
    matches!(data_type, DataType::Timestamp | DataType::Date | DataType::Time | DataType::Interval)
}

impl Binder<'_> {
    /// The expression with a type that a column can have: a bare NULL is a text.
    pub(super) fn typed(&mut self, expr: Expr) -> Expr {
        if expr.data_type == DataType::Null { cast_to(expr, DataType::String) } else { expr }
    }

    /// The expression as `to`, by widening or as a constant that means the same. `what` is for the message.
    pub(super) fn coerce(&mut self, expr: Expr, to: DataType) -> Bound<Expr> {
        if let ExprKind::Literal(literal) = &expr.kind {
            if literal::convert(literal, expr.data_type, to).is_some() {
                return Ok(cast_to(expr, to));
            }
            if let (Literal::String(text), true) = (literal, reads_text(to)) {
                let message = format!("'{text}' is not a valid {to}");
                return Err(self.error(ErrorCode::Type, expr.span, message));
            }
        }
        if types::widen(expr.data_type, to) == Some(to) {
            return Ok(cast_to(expr, to));
        }
        let message = format!("expected {to}, found {}", expr.data_type);
        let error = Diagnostic::new(ErrorCode::Type, expr.span, message);
        Err(self.report(with_cast_hint(error, expr.data_type, to)))
    }

    /// The expression as the value of a column, an assignment's rules.
    pub(super) fn assign(&mut self, expr: Expr, to: DataType, column: &str) -> Bound<Expr> {
        let constant = match &expr.kind {
            ExprKind::Literal(literal) => literal::convert(literal, expr.data_type, to).is_some(),
            _ => false,
        };
        if let (ExprKind::Literal(text), DataType::Decimal { .. }) = (&expr.kind, to)
            && let Some(literal) = literal::decimal_text(text, to)
        {
            return Ok(Expr { kind: ExprKind::Literal(literal), data_type: to, ..expr });
        }
        if constant || types::assignable(expr.data_type, to) {
            return Ok(cast_to(expr, to));
        }
        if let (ExprKind::Literal(Literal::String(_)), true) = (&expr.kind, reads_text(to)) {
            return self.coerce(expr, to);
        }
        let message = format!("column {column} is {to}, the value is {}", expr.data_type);
        let error = Diagnostic::new(ErrorCode::Type, expr.span, message);
        Err(self.report(with_cast_hint(error, expr.data_type, to)))
    }

    /// Gives all expressions their common type: that of those which are not constants, widened; constants take
    /// it where they mean the same in it. `what` begins the message: `IN compares`.
    pub(super) fn unify(&mut self, exprs: &mut Vec<Expr>, what: &str) -> Bound<DataType> {
        let mut common = DataType::Null;
        // What can take another type comes behind what that is.
        let place = |expr: &Expr| match &expr.kind {
            ExprKind::Literal(Literal::String(_)) => 2,
            _ => u8::from(is_constant(expr)),
        };
        for pass in 0..=2 {
            for expr in exprs.iter().filter(|expr| place(expr) == pass) {
                common = self.meet(common, expr, what)?;
            }
        }
        if common == DataType::Null {
            common = DataType::String;
        }
        for expr in std::mem::take(exprs) {
            let expr = self.coerce(expr, common)?;
            exprs.push(expr);
        }
        Ok(common)
    }

    /// The common type so far and one more expression.
    fn meet(&mut self, common: DataType, expr: &Expr, what: &str) -> Bound<DataType> {
        if let ExprKind::Literal(literal) = &expr.kind
            && common != DataType::Null
        {
            if literal::convert(literal, expr.data_type, common).is_some() {
                return Ok(common);
            }
            if matches!(literal, Literal::String(_)) && reads_text(common) {
                return Ok(common);
            }
        }
        match types::widen(common, expr.data_type) {
            Some(common) => Ok(common),
            None => {
                let message = format!("{what} {common} with {}", expr.data_type);
                let error = Diagnostic::new(ErrorCode::Type, expr.span, message);
                Err(self.report(with_cast_hint(error, expr.data_type, common)))
            }
        }
    }

    /// A type by its name.
    pub(super) fn data_type(&mut self, ast: &syntax::DataType, span: Span) -> Bound<DataType> {
        match scalar_type(ast) {
            Ok(data_type) => Ok(data_type),
            Err(error) => {
                let error = match error {
                    TypeError::Unsupported(hint) => {
                        let error = crate::parse::unsupported(span, &format!("type {ast}"));
                        if hint.is_empty() { error } else { error.with_hint(hint) }
                    }
                    TypeError::Unknown(name) => {
                        let message = format!("no type \"{name}\"");
                        let mut error = Diagnostic::new(ErrorCode::UnknownName, span, message);
                        error.hint = crate::suggest::did_you_mean(&name, TYPE_NAMES.iter().copied());
                        error
                    }
                    TypeError::Invalid(message) => Diagnostic::new(ErrorCode::Type, span, message),
                };
                Err(self.report(error))
            }
        }
    }
}

/// A hint where a CAST would do.
fn with_cast_hint(error: Diagnostic, from: DataType, to: DataType) -> Diagnostic {
    if types::castable(from, to) { error.with_hint(format!("use CAST(... AS {to})")) } else { error }
}

/// The names of types, for suggestions.
const TYPE_NAMES: &[&str] = &[
    "BOOLEAN",
    "INT",
    "INTEGER",
    "BIGINT",
    "DOUBLE",
    "FLOAT",
    "REAL",
    "DECIMAL",
    "NUMERIC",
    "STRING",
    "VARCHAR",
    "TEXT",
    "BYTES",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "INTERVAL",
];

enum TypeError {
    Unsupported(&'static str),
    Unknown(String),
    Invalid(String),
}

/// The type that a name stands for. One arm per spelling.
fn scalar_type(ast: &syntax::DataType) -> Result<DataType, TypeError> {
    use syntax::DataType as D;
    use syntax::ExactNumberInfo as Info;
    Ok(match ast {
        D::Boolean | D::Bool => DataType::Boolean,
        D::Int(None) | D::Integer(None) | D::Int4(None) => DataType::Int,
        D::BigInt(None) | D::Int8(None) => DataType::BigInt,
        D::Double(Info::None)
        | D::DoublePrecision
        | D::Float(Info::None)
        | D::Real
        | D::Float8
        | D::Float4 => DataType::Double,
        D::Decimal(info) | D::Numeric(info) | D::Dec(info) => decimal_type(info)?,
        D::String(None) | D::Varchar(None) | D::Text | D::CharacterVarying(None) | D::CharVarying(None) => {
            DataType::String
        }
        D::Varchar(Some(_)) | D::Char(_) | D::Character(_) | D::CharacterVarying(Some(_)) => {
            return Err(TypeError::Unsupported("use STRING, and CHECK for a limit of its length"));
        }
        D::Bytes(None) | D::Varbinary(None) | D::Bytea => DataType::Bytes,
        D::Date => DataType::Date,
        D::Time(None | Some(6), syntax::TimezoneInfo::None | syntax::TimezoneInfo::WithoutTimeZone) => {
            DataType::Time
        }
        D::Timestamp(None | Some(6), _) => DataType::Timestamp,
        D::Timestamp(Some(_), _) | D::Datetime(_) => {
            return Err(TypeError::Unsupported("use TIMESTAMP, which has microseconds"));
        }
        D::Interval { fields: None, precision: None } => DataType::Interval,
        D::TinyInt(_) | D::SmallInt(_) | D::Int2(_) => return Err(TypeError::Unsupported("use INT")),
        D::Custom(name, _) => return Err(custom_type(&name.to_string())),
        _ => return Err(TypeError::Unsupported("")),
    })
}

/// A name that sqlparser does not know as a type.
fn custom_type(name: &str) -> TypeError {
    const NESTED: &[&str] = &["ARRAY", "MAP", "STRUCT", "ROW", "JSON"];
    if NESTED.iter().any(|nested| nested.eq_ignore_ascii_case(name)) {
        return TypeError::Unsupported("");
    }
    TypeError::Unknown(name.to_owned())
}

fn decimal_type(info: &syntax::ExactNumberInfo) -> Result<DataType, TypeError> {
    let (precision, scale) = match info {
        syntax::ExactNumberInfo::None => {
            return Err(TypeError::Unsupported("give precision and scale, such as DECIMAL(18, 2)"));
        }
        syntax::ExactNumberInfo::Precision(precision) => (*precision, 0),
        syntax::ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    let precision =
        u8::try_from(precision).ok().filter(|digits| (1..=DECIMAL_PRECISION_MAX).contains(digits));
    let Some(precision) = precision else {
        return Err(TypeError::Invalid(format!("a DECIMAL has 1 to {DECIMAL_PRECISION_MAX} digits")));
    };
    match u8::try_from(scale) {
        Ok(scale) if scale <= precision => Ok(DataType::Decimal { precision, scale }),
        _ => Err(TypeError::Invalid(format!("the scale of a DECIMAL({precision}) is 0 to {precision}"))),
    }
}

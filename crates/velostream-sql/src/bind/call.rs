//! Calls of functions: those of the registry, the conditional ones that are expressions of their own, and
//! the spellings that SQL gives some of them (`EXTRACT(x FROM t)`).

use super::expression::constant;
use super::later;
use super::literal::cast_to;
use super::scope::{Scope, window_placeholder};
use super::window::{names_kind, same_window};
use super::{Binder, Bound, Reported};
use crate::catalog::{FunctionError, ScalarSignature};
use crate::diagnostic::{Diagnostic, ErrorCode, Span};
use crate::parse::{BETWEEN_SYMMETRIC, token_span};
use crate::plan::{BinaryOp, Expr, ExprKind, Literal};
use crate::suggest::did_you_mean;
use crate::types::DataType;
use sqlparser::ast as syntax;

/// The conditional functions, which the binder itself knows.
pub const CONDITIONAL: [&str; 5] = ["COALESCE", "IFNULL", "NVL", "NULLIF", "IF"];

/// The arguments of a call, as written.
pub(super) struct Call<'s> {
    pub name: String,
    pub name_span: Span,
    pub span: Span,
    pub arguments: Vec<&'s syntax::FunctionArgExpr>,
    pub distinct: bool,
    pub filter: Option<&'s syntax::Expr>,
}

impl Binder<'_> {
    /// A call as written: an aggregate, a window's bound, a conditional, or one of the registry's.
    pub(super) fn function(
        &mut self,
        ast: &syntax::Expr,
        function: &syntax::Function,
        scope: &mut Scope,
    ) -> Bound<Expr> {
        if let Some(window) = &function.over {
            return self.over_call(ast, function, window, scope);
        }
        let call = self.open_call(ast, function)?;
        let name = call.name.to_ascii_uppercase();
        if super::aggregate::is_aggregate(&name) {
            return self.aggregate_call(&name, &call, scope);
        }
        if later::has(later::AGGREGATES, &name) || later::has(later::WINDOW_FUNCTIONS, &name) {
            return Err(self.unsupported(call.name_span, &name));
        }
        if call.distinct || call.filter.is_some() {
            let message = format!("{name} is not an aggregate");
            return Err(self.error(ErrorCode::Type, call.name_span, message));
        }
        if let Some(bound) = self.window_function(&name, &call, scope) {
            return bound;
        }
        let arguments = self.arguments(&call, scope)?;
        match name.as_str() {
            "COALESCE" | "IFNULL" | "NVL" => self.coalesce(&name, arguments, &call),
            BETWEEN_SYMMETRIC => self.between_symmetric(arguments, call.span),
            "NULLIF" => self.null_if(arguments, &call),
            "IF" => self.conditional(arguments, &call),
            _ => self.named_call(&call.name, arguments, call.name_span, call.span, scope),
        }
    }

    /// Takes a call without OVER apart.
    pub(super) fn open_call<'s>(
        &mut self,
        ast: &syntax::Expr,
        function: &'s syntax::Function,
    ) -> Bound<Call<'s>> {
        let call = self.call_parts(ast, function)?;
        if function.over.is_some() {
            return Err(self.unsupported(call.name_span, &format!("{} OVER", call.name.to_uppercase())));
        }
        Ok(call)
    }

    /// Takes a call apart and refuses the parts that the dialect has not yet.
    pub(super) fn call_parts<'s>(
        &mut self,
        ast: &syntax::Expr,
        function: &'s syntax::Function,
    ) -> Bound<Call<'s>> {
        let span = self.span(ast);
        let [syntax::ObjectNamePart::Identifier(ident)] = function.name.0.as_slice() else {
            return Err(self.unsupported(span, "a function name with a schema"));
        };
        let name_span = token_span(ident.span);
        if !function.within_group.is_empty() {
            return Err(self.unsupported(name_span, "WITHIN GROUP"));
        }
        if function.null_treatment.is_some() {
            return Err(self.unsupported(name_span, "IGNORE NULLS and RESPECT NULLS"));
        }
        let mut call = Call {
            name: ident.value.clone(),
            name_span,
            span,
            arguments: Vec::new(),
            distinct: false,
            filter: function.filter.as_deref(),
        };
        match &function.args {
            syntax::FunctionArguments::None => {}
            syntax::FunctionArguments::Subquery(_) => {
                return Err(self.unsupported(span, "a subquery in an expression"));
            }
            syntax::FunctionArguments::List(list) => {
                if !list.clauses.is_empty() {
                    return Err(self.unsupported(span, "a clause inside a call"));
                }
                call.distinct = list.duplicate_treatment == Some(syntax::DuplicateTreatment::Distinct);
                for argument in &list.args {
                    let syntax::FunctionArg::Unnamed(argument) = argument else {
                        return Err(self.unsupported(span, "a named argument"));
                    };
                    call.arguments.push(argument);
                }
            }
        }
        Ok(call)
    }

    /// The arguments of a call of plain expressions.
    pub(super) fn arguments(&mut self, call: &Call<'_>, scope: &mut Scope) -> Bound<Vec<Expr>> {
        let mut asts = Vec::with_capacity(call.arguments.len());
        for argument in &call.arguments {
            let syntax::FunctionArgExpr::Expr(expr) = argument else {
                let message = format!("{} takes no *", call.name.to_uppercase());
                return Err(self.error(ErrorCode::Type, call.span, message));
            };
            asts.push(expr);
        }
        self.exprs(asts, scope)
    }

    /// TUMBLE_START and its like, whose arguments the query's own window has already given.
    fn window_function(&mut self, name: &str, call: &Call<'_>, scope: &mut Scope) -> Option<Bound<Expr>> {
        let (window, part) = name.split_once('_').unwrap_or((name, ""));
        let end = match (window, part) {
            ("TUMBLE" | "HOP" | "SESSION", "START") => false,
            ("TUMBLE" | "HOP" | "SESSION", "END") => true,
            ("TUMBLE" | "HOP" | "SESSION", "") => {
                let message = format!("{name} stands in GROUP BY or FROM");
                return Some(Err(self.error(ErrorCode::Type, call.name_span, message)));
            }
            ("CUMULATE", "") | ("TUMBLE" | "HOP" | "SESSION", "ROWTIME" | "PROCTIME") => {
                return Some(Err(self.unsupported(call.name_span, name)));
            }
            _ => return None,
        };
        let Some(own) = scope.window.clone() else {
            let message = format!("{name} belongs to a query with a window");
            let error = Diagnostic::new(ErrorCode::UnknownName, call.name_span, message);
            return Some(Err(self.report(error.with_hint(format!("add GROUP BY {window}(...)")))));
        };
        let named = if call.arguments.is_empty() {
            Ok(names_kind(window, own.kind))
        } else {
            self.window_of_call(window, call, None, scope).map(|named| same_window(&own, &named))
        };
        Some(match named {
            Ok(true) => Ok(window_placeholder(end, call.span)),
            Ok(false) => {
                let message = format!("{name} names another window than this query's");
                Err(self.error(ErrorCode::Type, call.span, message))
            }
            Err(reported) => Err(reported),
        })
    }

    fn arity(&mut self, call: &Call<'_>, takes: &str) -> Reported {
        let message = format!("{} takes {takes}", call.name.to_uppercase());
        self.error(ErrorCode::Type, call.span, message)
    }

    fn coalesce(&mut self, name: &str, mut arguments: Vec<Expr>, call: &Call<'_>) -> Bound<Expr> {
        if arguments.is_empty() || name != "COALESCE" && arguments.len() != 2 {
            return Err(
                self.arity(call, if name == "COALESCE" { "one argument or more" } else { "two arguments" })
            );
        }
        let data_type = self.unify(&mut arguments, &format!("{name} takes"))?;
        let nullable = arguments.iter().all(|argument| argument.nullable);
        Ok(Expr { kind: ExprKind::Coalesce(arguments), data_type, nullable, span: call.span })
    }

    /// `NULLIF(a, b)` as `CASE WHEN a = b THEN NULL ELSE a END`.
    fn null_if(&mut self, arguments: Vec<Expr>, call: &Call<'_>) -> Bound<Expr> {
        let Ok([first, second]) = <[Expr; 2]>::try_from(arguments) else {
            return Err(self.arity(call, "two arguments"));
        };
        let first = match (first.data_type, second.data_type) {
            (DataType::Null, other) if other != DataType::Null => self.coerce(first, other)?,
            _ => self.typed(first),
        };
        let data_type = first.data_type;
        self.charge_copy(&first)?;
        let condition = self.compare_exprs(BinaryOp::Equal, first.clone(), second)?;
        let null = constant(Literal::Null, data_type, call.span);
        let kind = ExprKind::Case { branches: vec![(condition, null)], otherwise: Some(Box::new(first)) };
        Ok(Expr { kind, data_type, nullable: true, span: call.span })
    }

    /// `IF(c, a, b)` as `CASE WHEN c THEN a ELSE b END`.
    fn conditional(&mut self, mut arguments: Vec<Expr>, call: &Call<'_>) -> Bound<Expr> {
        if arguments.len() != 3 {
            return Err(self.arity(call, "three arguments"));
        }
        let mut results = arguments.split_off(1);
        let condition = arguments.pop().expect("three arguments");
        let condition = self.boolean_operand(condition, "IF")?;
        let data_type = self.unify(&mut results, "IF gives")?;
        let nullable = results.iter().any(|result| result.nullable);
        let otherwise = results.pop().map(Box::new);
        let then = results.pop().expect("two results");
        let kind = ExprKind::Case { branches: vec![(condition, then)], otherwise };
        Ok(Expr { kind, data_type, nullable, span: call.span })
    }

    /// Forms that SQL gives to functions of the registry.
    pub(super) fn special_form(&mut self, ast: &syntax::Expr, scope: &mut Scope) -> Bound<Expr> {
        use syntax::Expr as E;
        let span = self.span(ast);
        match ast {
            E::Extract { field, expr, .. } => {
                let unit = field.to_string().trim_matches('\'').to_ascii_lowercase();
                let unit = constant(Literal::String(unit.as_str().into()), DataType::String, span);
                let expr = self.expr(expr, scope)?;
                self.call("DATE_PART", vec![unit, expr], span, scope)
            }
            E::Ceil { expr, field } => self.rounding("CEIL", expr, field, span, scope),
            E::Floor { expr, field } => self.rounding("FLOOR", expr, field, span, scope),
            E::Position { expr, r#in } => {
                let mut arguments = self.exprs([expr.as_ref(), r#in.as_ref()], scope)?;
                arguments.reverse();
                self.call("INSTR", arguments, span, scope)
            }
            E::Substring { expr, substring_from, substring_for, .. } => {
                let from_start = constant(Literal::Int(1), DataType::Int, span);
                let asts = [Some(expr), substring_from.as_ref(), substring_for.as_ref()];
                let mut arguments = self.exprs(asts.into_iter().flatten().map(AsRef::as_ref), scope)?;
                if substring_from.is_none() {
                    arguments.insert(1, from_start);
                }
                self.call("SUBSTRING", arguments, span, scope)
            }
            E::Trim { trim_where, trim_what, expr, trim_characters } => {
                let name = match trim_where {
                    None | Some(syntax::TrimWhereField::Both) => "TRIM",
                    Some(syntax::TrimWhereField::Leading) => "LTRIM",
                    Some(syntax::TrimWhereField::Trailing) => "RTRIM",
                };
                let what = trim_what.as_deref().into_iter().chain(trim_characters.iter().flatten());
                let asts: Vec<&syntax::Expr> = std::iter::once(expr.as_ref()).chain(what).collect();
                let arguments = self.exprs(asts, scope)?;
                self.call(name, arguments, span, scope)
            }
            E::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                let asts = [Some(expr), Some(overlay_what), Some(overlay_from), overlay_for.as_ref()];
                let arguments = self.exprs(asts.into_iter().flatten().map(AsRef::as_ref), scope)?;
                self.call("OVERLAY", arguments, span, scope)
            }
            E::AtTimeZone { .. } => Err(self.unsupported(span, "AT TIME ZONE")),
            _ => unreachable!("called for the forms above only"),
        }
    }

    fn rounding(
        &mut self,
        name: &str,
        operand: &syntax::Expr,
        field: &syntax::CeilFloorKind,
        span: Span,
        scope: &mut Scope,
    ) -> Bound<Expr> {
        if !matches!(field, syntax::CeilFloorKind::DateTimeField(syntax::DateTimeField::NoDateTime)) {
            return Err(self.unsupported(span, &format!("{name} with a second argument")));
        }
        let operand = self.expr(operand, scope)?;
        self.call(name, vec![operand], span, scope)
    }

    /// A call of the registry's function that an operator or form stands for.
    pub(super) fn call(
        &mut self,
        name: &str,
        arguments: Vec<Expr>,
        span: Span,
        scope: &Scope,
    ) -> Bound<Expr> {
        self.named_call(name, arguments, span, span, scope)
    }

    fn named_call(
        &mut self,
        name: &str,
        arguments: Vec<Expr>,
        name_span: Span,
        span: Span,
        scope: &Scope,
    ) -> Bound<Expr> {
        let signature = self.signature(name, &arguments, name_span, span)?;
        if signature.volatile {
            self.volatile.insert(signature.id);
            if scope.schema.updating {
                return Err(self.refuse_volatile(signature.name, name_span));
            }
        }
        let nullable =
            signature.nullable || signature.strict && arguments.iter().any(|argument| argument.nullable);
        let mut cast = Vec::with_capacity(arguments.len());
        for (argument, to) in arguments.into_iter().zip(&signature.arguments) {
            cast.push(self.argument(argument, *to)?);
        }
        let kind = ExprKind::Call { function: signature.id, name: signature.name, arguments: cast };
        Ok(Expr { kind, data_type: signature.returns, nullable, span })
    }

    /// A function of the clock or of chance over updating rows would not give twice what it gave once.
    pub(super) fn refuse_volatile(&mut self, name: &str, span: Span) -> Reported {
        let message = format!("{name} cannot be used over rows that are updated");
        self.error(ErrorCode::Updating, span, message)
    }

    /// An argument as the kernel takes it. The registry has chosen; what it chose is a legal cast.
    fn argument(&mut self, argument: Expr, to: DataType) -> Bound<Expr> {
        if super::coerce::is_constant(&argument) {
            self.coerce(argument, to)
        } else {
            Ok(cast_to(argument, to))
        }
    }

    /// The overload for these arguments. Where none fits, constant texts may stand for dates and times.
    fn signature(
        &mut self,
        name: &str,
        arguments: &[Expr],
        name_span: Span,
        span: Span,
    ) -> Bound<ScalarSignature> {
        let types: Vec<DataType> = arguments.iter().map(|argument| argument.data_type).collect();
        let error = match self.functions.scalar(name, &types) {
            Ok(signature) => return Ok(signature),
            Err(error) => error,
        };
        match error {
            FunctionError::Unknown => Err(self.unknown_function(name, name_span)),
            FunctionError::Mismatch(message) => {
                let is_text = |expr: &Expr| matches!(expr.kind, ExprKind::Literal(Literal::String(_)));
                let relaxed: Vec<DataType> = arguments
                    .iter()
                    .map(|expr| if is_text(expr) { DataType::Null } else { expr.data_type })
                    .collect();
                if relaxed != types
                    && let Ok(signature) = self.functions.scalar(name, &relaxed)
                    && reads_as(arguments, &signature.arguments)
                {
                    return Ok(signature);
                }
                Err(self.error(ErrorCode::Type, span, message))
            }
        }
    }

    fn unknown_function(&mut self, name: &str, span: Span) -> Reported {
        if later::has(later::SCALARS, name) {
            return self.unsupported(span, &name.to_uppercase());
        }
        let mut error = Diagnostic::new(ErrorCode::UnknownName, span, format!("no function \"{name}\""));
        let mut known = self.functions.scalar_names();
        known.extend(CONDITIONAL);
        known.extend(super::aggregate::NAMES);
        error.hint = did_you_mean(name, known);
        self.report(error)
    }
}

/// Whether every constant text is taken as a text or reads as the date or time that is taken.
fn reads_as(arguments: &[Expr], types: &[DataType]) -> bool {
    arguments.iter().zip(types).all(|(argument, to)| match &argument.kind {
        ExprKind::Literal(literal @ Literal::String(_)) => {
            super::literal::convert(literal, DataType::String, *to).is_some()
        }
        _ => true,
    })
}

//! The hooks by which sqlparser reads our expressions: PostgreSQL's operators and precedences, backtick
//! quotes, `?`, `$name` and `:name` placeholders, BETWEEN SYMMETRIC.

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName,
    UnaryOperator,
};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;
use std::any::TypeId;

/// Marks a parser error that means "the dialect has this not"; what follows names the thing.
pub(super) const UNSUPPORTED_MARK: &str = "unsupported: ";

/// Between AT TIME ZONE and `::`.
const SIGN_PRECEDENCE: u8 = 120;

/// Words that no expression begins with.
const RESERVED: &[Keyword] = &[
    Keyword::SELECT,
    Keyword::FROM,
    Keyword::WHERE,
    Keyword::GROUP,
    Keyword::HAVING,
    Keyword::ORDER,
    Keyword::LIMIT,
    Keyword::UNION,
    Keyword::AS,
    Keyword::ON,
    Keyword::AND,
    Keyword::OR,
    Keyword::WHEN,
    Keyword::THEN,
    Keyword::ELSE,
    Keyword::INTO,
    Keyword::JOIN,
];

/// The dialect.
#[derive(Debug)]
pub(super) struct VelostreamDialect;

impl Dialect for VelostreamDialect {
    /// PostgreSQL's set of operators and literals.
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_' || (!ch.is_ascii() && !ch.is_whitespace())
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.is_identifier_start(ch) || ch.is_ascii_digit() || ch == '$'
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '"' || ch == '`'
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn supports_nested_comments(&self) -> bool {
        true
    }

    fn supports_dollar_placeholder(&self) -> bool {
        true
    }

    fn supports_long_type_as_bigint(&self) -> bool {
        true
    }

    fn supports_array_typedef_with_brackets(&self) -> bool {
        true
    }

    fn supports_string_escape_constant(&self) -> bool {
        true
    }

    fn supports_numeric_literal_underscores(&self) -> bool {
        true
    }

    fn allow_extract_single_quotes(&self) -> bool {
        true
    }

    fn allow_extract_custom(&self) -> bool {
        true
    }

    /// PostgreSQL's order of operators, loosest first: OR, AND, NOT, IS, comparisons, BETWEEN IN LIKE,
    /// all others, `+ -`, `* / %`, `^`, AT TIME ZONE, `::`.
    fn prec_value(&self, precedence: Precedence) -> u8 {
        match precedence {
            Precedence::Period => 200,
            Precedence::DoubleColon => 140,
            Precedence::AtTz => 110,
            Precedence::Caret => 100,
            Precedence::MulDivModOp => 90,
            Precedence::PlusMinus => 80,
            Precedence::Xor => 75,
            Precedence::Ampersand | Precedence::Pipe | Precedence::Colon | Precedence::PgOther => 70,
            Precedence::Between | Precedence::Like => 60,
            Precedence::Eq => 50,
            Precedence::Is => 40,
            Precedence::UnaryNot => 30,
            Precedence::And => 20,
            Precedence::Or => 10,
        }
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match &parser.peek_token_ref().token {
            Token::StringConcat | Token::Sharp | Token::ShiftLeft | Token::ShiftRight => {
                Some(Ok(self.prec_value(Precedence::PgOther)))
            }
            Token::Colon => Some(Ok(self.prec_unknown())),
            _ => None,
        }
    }

    /// A subquery inside an expression is named here, where its place is known; a clause's word is no column.
    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let next = parser.peek_token_ref();
        if let Token::Word(word) = &next.token
            && word.quote_style.is_none()
            && RESERVED.contains(&word.keyword)
        {
            return Some(Err(ParserError::ParserError(format!(
                "Expected: an expression, found: {word}{}",
                next.span.start
            ))));
        }
        match next.token {
            Token::Minus => return Some(signed(parser, UnaryOperator::Minus)),
            Token::Plus => return Some(signed(parser, UnaryOperator::Plus)),
            Token::LParen => {}
            _ => return None,
        }
        let inner = parser.peek_nth_token_ref(1);
        match &inner.token {
            Token::Word(word) if matches!(word.keyword, Keyword::SELECT | Keyword::WITH) => {
                Some(Err(ParserError::ParserError(format!(
                    "{UNSUPPORTED_MARK}a subquery in an expression{}",
                    inner.span.start
                ))))
            }
            _ => None,
        }
    }

    fn parse_infix(
        &self,
        parser: &mut Parser,
        expr: &Expr,
        _precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        let negated = parser.peek_keyword(Keyword::NOT);
        let first = usize::from(negated);
        let is_word = |index: usize, word: &str| {
            matches!(&parser.peek_nth_token_ref(index).token,
                Token::Word(found) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
        };
        if !is_word(first, "BETWEEN") {
            return None;
        }
        let symmetric = is_word(first + 1, "SYMMETRIC");
        if !symmetric && !is_word(first + 1, "ASYMMETRIC") {
            return None;
        }
        for _ in 0..first + 2 {
            parser.advance_token();
        }
        let between = match parser.parse_between(expr.clone(), negated && !symmetric) {
            Ok(between) => between,
            Err(error) => return Some(Err(error)),
        };
        Some(Ok(if symmetric { symmetric_between(between, negated) } else { between }))
    }
}

/// A sign binds tighter than all but `::` and `.`.
fn signed(parser: &mut Parser, op: UnaryOperator) -> Result<Expr, ParserError> {
    parser.advance_token();
    Ok(Expr::UnaryOp { op, expr: Box::new(parser.parse_subexpr(SIGN_PRECEDENCE)?) })
}

/// The name of the call that stands for BETWEEN SYMMETRIC; no text can spell it.
pub(crate) const BETWEEN_SYMMETRIC: &str = "BETWEEN SYMMETRIC";

/// `x BETWEEN SYMMETRIC a AND b` as a call of `x`, `a` and `b`.
fn symmetric_between(between: Expr, negated: bool) -> Expr {
    let Expr::Between { expr, low, high, .. } = between else {
        return between;
    };
    let argument = |expr: Box<Expr>| FunctionArg::Unnamed(FunctionArgExpr::Expr(*expr));
    let arguments = FunctionArgumentList {
        duplicate_treatment: None,
        args: vec![argument(expr), argument(low), argument(high)],
        clauses: Vec::new(),
    };
    let call = Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(BETWEEN_SYMMETRIC)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(arguments),
        within_group: Vec::new(),
        filter: None,
        null_treatment: None,
        over: None,
    });
    if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(call) } } else { call }
}

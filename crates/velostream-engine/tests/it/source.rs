//! The door of a source: what it refuses, how it numbers, where it moves time.

use std::sync::Arc;
use velostream_engine::batch::{Batch, ChangeBatch, Op, Seq};
use velostream_engine::source::{SourceGate, SourceSpec};
use velostream_engine::time::Watermark;
use velostream_sql::diagnostic::Span;
use velostream_sql::plan::{BinaryOp, Expr, ExprKind, Literal};
use velostream_sql::types::{DataType, Field, Schema};

const TYPES: [DataType; 2] = [DataType::BigInt, DataType::Timestamp];

/// A gate over `(n BIGINT NOT NULL, t TIMESTAMP)` with the event time `t` and CHECK (n > 0).
fn gate(bound_micros: i64) -> SourceGate {
    let fields = vec![Field::new("n", TYPES[0], false), Field::new("t", TYPES[1], true)];
    let expr = |kind, data_type| Expr { kind, data_type, nullable: false, span: Span::default() };
    let check = ExprKind::Binary {
        op: BinaryOp::Greater,
        left: Box::new(expr(ExprKind::Column(0), DataType::BigInt)),
        right: Box::new(expr(ExprKind::Literal(Literal::BigInt(0)), DataType::BigInt)),
    };
    let checks = vec![(expr(check, DataType::Boolean), "n > 0".into())];
    let schema = Arc::new(Schema::append_only(fields));
    SourceGate::new(SourceSpec { schema, checks, event_time: Some(1), bound_micros }).unwrap()
}

fn rows(rows: &[(Option<i64>, Option<i64>)]) -> ChangeBatch {
    let mut raw = ChangeBatch::new(&TYPES);
    for &(n, t) in rows {
        raw.columns[0].push_literal(&n.map_or(Literal::Null, Literal::BigInt));
        raw.columns[1].push_literal(&t.map_or(Literal::Null, Literal::Timestamp));
        raw.ops.push(Op::Insert);
        raw.event_times.push(-1);
    }
    raw
}

/// Admits the rows and shows what came of them: numbers with times, moves of the watermark, refusals.
fn admit(gate: &mut SourceGate, next: &mut Seq, given: &[(Option<i64>, Option<i64>)]) -> String {
    let mut out = Batch { changes: ChangeBatch::new(&TYPES), ..Batch::default() };
    let mut rejects = Vec::new();
    gate.admit(&mut rows(given), next, &mut out, &mut rejects);
    let changes = &out.changes;
    assert_eq!(changes.columns[0].len(), changes.len());
    let rows: Vec<_> =
        changes.seqs.iter().zip(&changes.event_times).map(|(seq, at)| format!("{}@{at}", seq.0)).collect();
    let moves: Vec<_> = out.time.advances.iter().map(|(seq, to)| format!("{}:{}", seq.0, to.0)).collect();
    let refused: Vec<_> =
        rejects.iter().map(|reject| format!("{} {}", reject.row, reject.error.message)).collect();
    format!("{} | {} | {}", rows.join(" "), moves.join(" "), refused.join(", "))
}

#[test]
fn admitted_rows_are_numbered_and_move_time() {
    let (mut gate, mut next) = (gate(2), Seq(10));
    assert_eq!(
        admit(&mut gate, &mut next, &[(Some(1), Some(5)), (Some(1), Some(4)), (Some(1), Some(9))]),
        "10@5 11@4 12@9 | 10:3 12:7 | "
    );
    assert_eq!(admit(&mut gate, &mut next, &[(Some(1), Some(8))]), "13@8 |  | ");
    assert_eq!((gate.watermark(), next), (Watermark(7), Seq(14)));
}

#[test]
fn refused_rows_get_no_number_and_move_no_time() {
    let (mut gate, mut next) = (gate(0), Seq(0));
    let given =
        [(None, Some(99)), (Some(1), Some(1)), (Some(-1), Some(99)), (Some(1), None), (Some(2), Some(2))];
    assert_eq!(
        admit(&mut gate, &mut next, &given),
        "0@1 1@2 | 0:1 1:2 | 0 n must not be NULL, 2 CHECK (n > 0) is violated, 3 the event time t is NULL"
    );
}

#[test]
fn time_moves_by_hand_but_never_back() {
    let (mut gate, mut next) = (gate(0), Seq(3));
    let moved = gate.advance(Watermark(50), &mut next).unwrap();
    assert_eq!((moved.before, moved.advances), (Watermark::NONE, vec![(Seq(3), Watermark(50))]));
    assert_eq!(gate.advance(Watermark(50), &mut next), None);
    assert_eq!(admit(&mut gate, &mut next, &[(Some(1), Some(20))]), "4@20 |  | ");
}

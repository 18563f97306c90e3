//! Texts that are too deep, too long or broken: a clear error, never a panic or an overflow of the stack.

use crate::{bind, outcome};
use velostream_sql::bind::{BindOptions, Params};
use velostream_sql::diagnostic::ErrorCode;

/// The first error of a text.
fn code_of(sql: &str) -> ErrorCode {
    match bind(sql, &Params::default(), BindOptions::default()) {
        Ok(_) => panic!("bound: {:.80}", sql),
        Err(errors) => errors.0[0].code,
    }
}

fn binds(sql: &str) {
    let found = outcome(sql, &Params::default(), BindOptions::default());
    assert!(found[0].starts_with("changes"), "{:.80}: {}", sql, found[0]);
}

#[test]
fn nesting_within_the_limit_is_bound() {
    binds(&format!("SELECT {}1{} FROM trades", "(".repeat(150), ")".repeat(150)));
    binds(&format!("SELECT 1{} FROM trades", " + quantity".repeat(150)));
    binds(&format!("SELECT 1 FROM trades WHERE quantity = 1{}", " OR quantity = 2".repeat(1_900)));
    binds(&format!("SELECT quantity IN (1{}) FROM trades", ", 2".repeat(20_000)));
    binds(&format!("SELECT {}good FROM trades", "NOT ".repeat(190)));
    for (open, close) in [
        ("UPPER(", ")"),
        ("(1 + ", ")"),
        ("COALESCE(1, ", ")"),
        ("CASE WHEN good THEN 1 ELSE ", " END"),
        ("CAST(", " AS INT)"),
        ("IF(good, 1, ", ")"),
    ] {
        let operand = if open == "UPPER(" { "symbol" } else { "quantity" };
        let depth = if open == "(1 + " { 98 } else { 190 };
        binds(&format!("SELECT {}{operand}{} FROM trades", open.repeat(depth), close.repeat(depth)));
    }
}

#[test]
fn deep_nesting_is_refused() {
    for depth in [300, 10_000, 200_000] {
        let deep = [
            format!("SELECT {}1{}", "(".repeat(depth), ")".repeat(depth)),
            format!("SELECT {}", "(".repeat(depth)),
            format!("SELECT 1{}", " + 1".repeat(depth)),
            format!("SELECT {}1", "- ".repeat(depth)),
            format!("SELECT {}TRUE", "NOT ".repeat(depth)),
            format!("SELECT {}1{}", "CASE WHEN TRUE THEN ".repeat(depth), " END".repeat(depth)),
            format!("SELECT {}1{}", "UPPER(".repeat(depth), ")".repeat(depth)),
            format!("SELECT 1{}", "::INT".repeat(depth)),
            format!("SELECT * FROM {}trades{}", "(SELECT * FROM ".repeat(depth), ")".repeat(depth)),
            format!("CREATE STREAM s (a {}INT{})", "ARRAY<".repeat(depth), ">".repeat(depth)),
        ];
        for sql in deep {
            let code = code_of(&sql);
            assert!(
                matches!(code, ErrorCode::Limit | ErrorCode::Unsupported | ErrorCode::Parse),
                "{code:?} {sql:.60}"
            );
        }
    }
    assert_eq!(code_of(&format!("SELECT TRUE{}", " AND TRUE".repeat(100_000))), ErrorCode::Limit);
}

#[test]
fn words_that_are_no_operators_do_not_hide_depth() {
    for depth in [1_000, 50_000] {
        for sql in [
            format!("SELECT {}", "(end ".repeat(depth)),
            format!("SELECT {}1{}", "end(end, ".repeat(depth), ")".repeat(depth)),
            format!("SELECT {}'1'", "INTERVAL ".repeat(depth)),
            format!("SELECT ts{} FROM trades", " AT TIME ZONE 'UTC'".repeat(depth)),
            format!("SELECT {}", "CASE end ".repeat(depth)),
        ] {
            let code = code_of(&sql);
            assert!(matches!(code, ErrorCode::Limit | ErrorCode::Parse), "{code:?} {sql:.60}");
        }
    }
}

#[test]
fn copies_of_copies_are_limited() {
    let aliases: String = (1..60).map(|n| format!(", a{} + a{} AS a{n}", n - 1, n - 1)).collect();
    let nested =
        |open: &str, close: &str| format!("SELECT {}price{} FROM trades", open.repeat(60), close.repeat(60));
    for sql in [
        format!("SELECT quantity AS a0{aliases} FROM trades"),
        nested("NULLIF(", ", 1)"),
        nested("CASE ", " WHEN 1 THEN 1 WHEN 2 THEN 2 END"),
        nested("IF(", " BETWEEN SYMMETRIC 1 AND 2, 1, 2)"),
        nested("IF(", " BETWEEN 1 AND 2, 1, 2)"),
    ] {
        assert_eq!(code_of(&sql), ErrorCode::Limit, "{sql:.60}");
    }
}

#[test]
fn subqueries_are_limited() {
    let nested = |depth: usize| {
        format!("SELECT * FROM {}trades{}", "(SELECT * FROM ".repeat(depth), ")".repeat(depth))
    };
    binds(&nested(30));
    assert_eq!(code_of(&nested(40)), ErrorCode::Limit);
}

#[test]
fn views_inside_each_other_are_limited() {
    let view = |number: usize| format!("CREATE VIEW v{} AS SELECT * FROM v{number};", number + 1);
    let chain: String = (0..40).map(view).collect();
    let sql = format!("CREATE VIEW v0 AS SELECT symbol FROM trades; {chain}");
    assert_eq!(code_of(&sql), ErrorCode::Limit);
}

/// Every beginning of a text, and every text with a word left out, is bound or refused.
#[test]
fn broken_texts_never_panic() {
    let texts = [
        "CREATE OR REPLACE TABLE t (a INT PRIMARY KEY, b DECIMAL(10, 2) NOT NULL CHECK (b > 0), \
         WATERMARK FOR c AS c - INTERVAL '1' SECOND, PRIMARY KEY (a)) WITH (connector = 'file', path = 'x')",
        "WITH x AS (SELECT * FROM trades) SELECT DISTINCT symbol AS s, COUNT(DISTINCT price) FILTER (WHERE good) \
         FROM x WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 1 SECOND) WHERE a BETWEEN 1 AND 2 GROUP BY 1 \
         HAVING SUM(price) > 1.5 LIMIT 5 EMIT FINAL",
        "SELECT CASE symbol WHEN 'a' THEN 1 ELSE 2 END, CAST(price AS INT), ts - INTERVAL '1 day', X'00' \
         FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, $1, :x, ?",
        "INSERT INTO accounts (id, name) VALUES (1, 'x'), (2, NULL); UPDATE accounts SET name = 'y' WHERE id = 1; \
         DELETE FROM accounts WHERE name LIKE '%a' ESCAPE '!'; SET 'a' = 'b'; SHOW TABLES; DROP TABLE IF EXISTS x",
    ];
    for text in texts {
        for (at, _) in text.char_indices() {
            let _ = outcome(&text[..at], &Params::default(), BindOptions::default());
        }
        let words: Vec<&str> = text.split(' ').collect();
        for left_out in 0..words.len() {
            let mut rest = words.clone();
            rest.remove(left_out);
            let _ = outcome(&rest.join(" "), &Params::default(), BindOptions::default());
        }
    }
}

/// A generator of numbers that depends on its seed alone.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// Words of recorded texts in disorder: bound plans keep their contract, all else is refused without panic.
#[test]
fn shuffled_words_never_panic() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("SEED={seed}");
    let mut random = Random(seed);
    let texts: Vec<String> = crate::golden_files("txt")
        .iter()
        .flat_map(|path| {
            let text = std::fs::read_to_string(path).expect("a readable file");
            text.lines().filter(|line| !line.starts_with([' ', '#'])).map(str::to_owned).collect::<Vec<_>>()
        })
        .filter(|line| !line.is_empty())
        .collect();
    let words: Vec<&str> = texts.iter().flat_map(|text| text.split(' ')).collect();
    for _ in 0..4_000 {
        let text = &texts[random.below(texts.len())];
        let mut changed: Vec<&str> = text.split(' ').collect();
        for _ in 0..=random.below(3) {
            let at = random.below(changed.len());
            match random.below(3) {
                0 => changed[at] = words[random.below(words.len())],
                1 => changed.insert(at, words[random.below(words.len())]),
                _ => {
                    let other = random.below(changed.len());
                    changed.swap(at, other);
                }
            }
        }
        let _ = outcome(&changed.join(" "), &Params::default(), BindOptions::default());
    }
}

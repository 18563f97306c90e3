import test from 'ava'
import { splitStatements } from '../../src/cli/statements.js'

const kinds = (text: string) => splitStatements(text).map(({ sql, kind }) => [kind, sql.trim()])

test('a text is cut at the semicolons that end statements', (t) => {
  t.deepEqual(kinds('SELECT \';\' AS a, ";" -- ;\n FROM `;` /* ; /* ; */ ; */ ; SHOW TABLES;'), [
    ['query', 'SELECT \';\' AS a, ";" -- ;\n FROM `;` /* ; /* ; */ ; */'],
    ['rows', 'SHOW TABLES'],
  ])
  t.deepEqual(kinds("SELECT 'it''s; fine'"), [['query', "SELECT 'it''s; fine'"]])
})

test('neighbouring commands stay together', (t) => {
  t.deepEqual(kinds('CREATE TABLE a (x INT);\nINSERT INTO a VALUES (1);\nSELECT 1; DROP TABLE a'), [
    ['command', 'CREATE TABLE a (x INT);\nINSERT INTO a VALUES (1)'],
    ['query', 'SELECT 1'],
    ['command', 'DROP TABLE a'],
  ])
})

test('a SELECT before rows are written answers at once', (t) => {
  const script =
    'SELECT 1; CREATE TABLE a (x INT); INSERT INTO a VALUES (1); SELECT 2; CREATE TABLE b (x INT)'
  t.deepEqual(
    kinds(script).map(([kind]) => kind),
    ['rows', 'command', 'query', 'command'],
  )
})

test('comments and empty statements are no statements', (t) => {
  t.deepEqual(kinds('-- nothing\n;; /* here */ ;'), [])
  t.deepEqual(kinds('-- first\n/* second */ select 1'), [['query', '-- first\n/* second */ select 1']])
})

test('a statement keeps its line and its column in characters', (t) => {
  const [, second] = splitStatements("SELECT '😀';\n  SELECT '😀'; SELECT 3")
  t.is(
    second?.sql,
    `${' '.repeat(11)}
  SELECT '😀'`,
  )
})

test('an unclosed quote or comment goes to the engine as it is', (t) => {
  t.deepEqual(kinds("SELECT 'open; SELECT 2"), [['query', "SELECT 'open; SELECT 2"]])
  t.deepEqual(kinds('SELECT 1 /* open; SELECT 2'), [['query', 'SELECT 1 /* open; SELECT 2']])
})

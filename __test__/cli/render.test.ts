import test from 'ava'
import { renderer, toJson, type Format } from '../../src/cli/render.js'
import type { Change, Row } from '../../src/types.js'

const columns = [
  { name: 'symbol', type: 'STRING' },
  { name: 'n', type: 'BIGINT' },
]
const changes: Change<Row>[] = [
  { op: 'insert', row: { symbol: 'A', n: 1 } },
  { op: 'update', row: { symbol: 'A', n: 20 } },
  { op: 'delete', row: { symbol: 'A', n: 20 } },
]

function print(format: Format, updating: boolean, batches: Change<Row>[][]): string[] {
  const printer = renderer(format, { columns, updating })
  const text = printer.header() + batches.map((batch) => printer.lines(batch)).join('')
  return text.split('\n').slice(0, -1)
}

test('an append-only result prints its rows', (t) => {
  const inserts = [changes.slice(0, 1)]
  t.deepEqual(print('ndjson', false, inserts), ['{"symbol":"A","n":1}'])
  t.deepEqual(print('rows', false, inserts), ['{"symbol":"A","n":1}'])
  t.deepEqual(print('csv', false, inserts), ['symbol,n', 'A,1'])
  t.deepEqual(print('table', false, inserts), ['symbol  n', '------  -', 'A       1'])
})

test('an updating result says what happened to each row', (t) => {
  t.deepEqual(print('ndjson', true, [changes]), [
    '{"op":"insert","row":{"symbol":"A","n":1}}',
    '{"op":"update","row":{"symbol":"A","n":20}}',
    '{"op":"delete","row":{"symbol":"A","n":20}}',
  ])
  t.deepEqual(print('csv', true, [changes]), ['op,symbol,n', 'insert,A,1', 'update,A,20', 'delete,A,20'])
  t.deepEqual(print('table', true, [changes]).slice(0, 3), [
    'op      symbol   n',
    '------  ------  --',
    'insert  A        1',
  ])
})

test('a table widens a column from the value on that needs it', (t) => {
  const wide: Change<Row>[] = [{ op: 'insert', row: { symbol: 'LONG-NAME', n: 1000 } }]
  t.deepEqual(print('table', false, [changes.slice(0, 1), wide, changes.slice(0, 1)]), [
    'symbol  n',
    '------  -',
    'A       1',
    'LONG-NAME  1000',
    'A             1',
  ])
})

test('an empty result prints only what stands before its rows', (t) => {
  t.deepEqual(print('ndjson', false, [[]]), [])
  t.deepEqual(print('csv', false, []), ['symbol,n'])
  t.deepEqual(print('table', false, [[]]), ['symbol  n', '------  -'])
})

test('CSV quotes where it must and tells NULL from an empty text', (t) => {
  const row = (symbol: unknown): Change<Row>[] => [{ op: 'insert', row: { symbol, n: null } }]
  t.deepEqual(print('csv', false, [row(''), row(null), row('a"b'), row('a,b')]).slice(1), [
    '"",',
    ',',
    '"a""b",',
    '"a,b",',
  ])
})

test('control characters do not reach the terminal', (t) => {
  const row: Change<Row>[] = [{ op: 'insert', row: { symbol: '\u001b[2J\n\u007f\u0085', n: 1 } }]
  t.is(print('table', false, [row])[2], '\\u001b[2J\\n\\u007f\\u0085  1')
})

const values: [unknown, string][] = [
  [null, 'null'],
  [1.5, '1.5'],
  [Number.NaN, '"NaN"'],
  [-Infinity, '"-Infinity"'],
  [9007199254740993n, '9007199254740993'],
  ['a"b', '"a\\"b"'],
  [new Date(0), '"1970-01-01T00:00:00.000Z"'],
  [new Uint8Array([1, 2, 255]), '"AQL/"'],
  [[1n, [null]], '[1,[null]]'],
  [[undefined], '[null]'],
  [{ a: 1n, 'b"': { c: true } }, '{"a":1,"b\\"":{"c":true}}'],
]
for (const [value, json] of values) {
  test(`as JSON: ${json}`, (t) => t.is(toJson(value), json))
}

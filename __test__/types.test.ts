import test from 'ava'
import type { OpenOptions } from '../index.js'
import { errorOf, opened } from './support.js'

/** What comes back for `value` in a column of `type`. */
const kept: [type: string, value: unknown, out: unknown, options?: OpenOptions][] = [
  ['BOOLEAN', true, true],
  ['BOOLEAN', false, false],
  ['INT', -(2 ** 31), -(2 ** 31)],
  ['INT', 2 ** 31 - 1, 2 ** 31 - 1],
  ['INT', 7n, 7],
  ['INT', -0, 0],
  ['BIGINT', Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  ['BIGINT', Number.MIN_SAFE_INTEGER, Number.MIN_SAFE_INTEGER],
  ['BIGINT', 2n ** 53n, 2n ** 53n],
  ['BIGINT', 2n ** 63n - 1n, 2n ** 63n - 1n],
  ['BIGINT', -(2n ** 63n), -(2n ** 63n)],
  ['BIGINT', 5, 5n, { bigints: 'bigint' }],
  ['BIGINT', 2n ** 60n, '1152921504606846976', { bigints: 'string' }],
  ['DOUBLE', 0.1, 0.1],
  ['DOUBLE', Number.NaN, Number.NaN],
  ['DOUBLE', -Infinity, -Infinity],
  ['DOUBLE', Number.MIN_VALUE, Number.MIN_VALUE],
  ['DOUBLE', 3n, 3],
  ['DECIMAL(10, 2)', '12345678.90', '12345678.90'],
  ['DECIMAL(10, 2)', -1.5, '-1.50'],
  ['DECIMAL(38, 0)', 10n ** 37n, `1${'0'.repeat(37)}`],
  ['DECIMAL(10, 2)', '1.25', 1.25, { decimals: 'number' }],
  ['STRING', '', ''],
  ['STRING', 'twelve chars', 'twelve chars'],
  ['STRING', 'thirteen char', 'thirteen char'],
  ['STRING', 'a'.repeat(100_000), 'a'.repeat(100_000)],
  ['STRING', 'Grüße, 世界 😀', 'Grüße, 世界 😀'],
  ['STRING', 'nul \0 inside', 'nul \0 inside'],
  ['STRING', 'lone \udc00', 'lone \ufffd'],
  ['BYTES', Buffer.from([0, 1, 255]), Uint8Array.of(0, 1, 255)],
  ['BYTES', new Uint8Array(0), new Uint8Array(0)],
  ['DATE', '2001-02-03', '2001-02-03'],
  ['DATE', new Date('2001-02-03T23:59:59Z'), '2001-02-03'],
  ['TIME', '04:05:06', '04:05:06'],
  ['TIME', new Date('2001-02-03T04:05:06Z'), '04:05:06'],
  ['TIMESTAMP', new Date(0), new Date(0)],
  ['TIMESTAMP', 981_173_106_789, new Date(981_173_106_789)],
  ['TIMESTAMP', '2001-02-03T04:05:06.789Z', new Date(981_173_106_789)],
  ['TIMESTAMP', 1.25, 1.25, { timestamps: 'number' }],
]

for (const [index, [type, value, out, options]] of kept.entries()) {
  test(`${type} keeps value ${index}`, async (t) => {
    const db = await opened(t, options)
    await db.exec(`CREATE STREAM s (c ${type}, d ${type})`)
    const query = db.query('SELECT c, d FROM s')
    await db.insert('s', [{ c: value }, { d: value, c: null }])
    await db.end()
    const rows: unknown[] = []
    for await (const row of query.rows()) rows.push(row)
    t.deepEqual(rows, [
      { c: out, d: null },
      { c: null, d: out },
    ])
    const processor = db.processor('SELECT c FROM s')
    t.deepEqual(processor.process({ c: value }), [{ op: 'insert', row: { c: out } }])
  })
}

for (const [type, value] of [
  ['DECIMAL(4, 2)', '123.45'],
  ['DECIMAL(4, 2)', 'many'],
  ['DATE', '2001-13-01'],
  ['TIME', '25:00:00'],
  ['TIMESTAMP', 'yesterday'],
  ['TIMESTAMP', 8.65e15],
  ['INT', 1.5],
  ['BIGINT', 2 ** 53],
  ['STRING', 5],
] as const) {
  test(`${type} refuses ${value} with its place, and nothing of the call is taken`, async (t) => {
    const db = await opened(t)
    await db.exec(`CREATE TABLE s (k INT PRIMARY KEY, c ${type})`)
    const error = await errorOf(() => db.insert('s', [{ k: 1 }, { k: 2, c: value }]))
    t.is(error.code, 'ERR_VELO_TYPE')
    t.deepEqual([error.relation, error.index, error.field], ['s', 1, 'c'])
    t.deepEqual(await db.all('SELECT k FROM s'), [])
    const writer = db.stream('s')
    const pushed = await errorOf(() => writer.push({ k: 1, c: value }))
    t.is(pushed.code, 'ERR_VELO_TYPE')
    t.is(pushed.field, 'c')
  })
}

test('parameters of every type', async (t) => {
  const db = await opened(t)
  const row = await db.get('SELECT ? AS n, ? AS f, ? AS l, ? AS s, ? AS b, ? AS ts, ? AS nothing', [
    1,
    1.5,
    2n ** 60n,
    "it's",
    true,
    new Date(5),
    null,
  ])
  t.deepEqual(row, { n: 1, f: 1.5, l: 2n ** 60n, s: "it's", b: true, ts: new Date(5), nothing: null })
  t.deepEqual(await db.get('SELECT :a AS a, :b AS b', { a: 1, b: 'x' }), { a: 1, b: 'x' })
  t.is((await errorOf(() => db.get('SELECT ? AS a', [{}]))).code, 'ERR_VELO_ARGUMENT')
  t.is((await errorOf(() => db.get('SELECT ? AS a', [2n ** 64n]))).code, 'ERR_VELO_ARGUMENT')
  t.is((await errorOf(() => db.get('SELECT ? AS a', 5 as never))).code, 'ERR_VELO_ARGUMENT')
})

test('parameters in a continuous query, an INSERT and a processor', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE TABLE s (k INT PRIMARY KEY, name STRING)')
  await db.exec('INSERT INTO s VALUES (?, ?)', [1, 'one'])
  t.deepEqual(await db.all('SELECT * FROM s'), [{ k: 1, name: 'one' }])
  await db.exec('CREATE STREAM e (v DOUBLE)')
  const processor = db.processor('SELECT v FROM e WHERE v > :least', { least: 10 })
  t.deepEqual(processor.process({ v: 10 }), [])
  t.deepEqual(processor.process({ v: 11 }), [{ op: 'insert', row: { v: 11 } }])
})

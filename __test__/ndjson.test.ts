// `query.ndjson()` gives the bytes that the changes of `query.batches()` give as JSON: random rows of every type under
// every combination of options, and the values that are special.
//
// NDJSON_SEED is the seed of the random rows.

import test, { type ExecutionContext } from 'ava'
import type { Change, OpenOptions, Query, QueryOptions, Row } from '../index.js'
import { renderer } from '../src/cli/render.js'
import { Choices } from './differential/choices.js'
import { errorOf, listed, opened } from './support.js'

const SEED = Number(process.env['NDJSON_SEED'] ?? 5)
const ROWS = 300

/** Columns of every type, some with names that need care. */
const everyColumn: [name: string, type: string][] = [
  ['b', 'BOOLEAN'],
  ['i', 'INT'],
  ['l', 'BIGINT'],
  ['d', 'DOUBLE'],
  ['m', 'DECIMAL(12, 3)'],
  ['whole', 'DECIMAL(38, 0)'],
  ['a"b\\c', 'STRING'],
  ['__proto__', 'BYTES'],
  ['grüße', 'DATE'],
  ['7', 'TIME'],
  ['ts', 'TIMESTAMP'],
]
const declared = everyColumn.map(([name, type]) => `"${name.replaceAll('"', '""')}" ${type}`).join(', ')

const characters = [...'abc xyz"\\/\b\f\n\r\t\0\x1f\x7fü世😀\u2028\ufeff']
const doubles = [
  0,
  -0,
  1,
  1.5,
  2 ** 53,
  -(2 ** 53) - 2,
  1e-6,
  1e-7,
  123456e15,
  1e20,
  1e21,
  -1e21,
  1e-5,
  99.95,
]
const oddDoubles = [Number.NaN, Infinity, -Infinity, Number.MIN_VALUE, Number.MAX_VALUE, 0.1 + 0.2, -1 / 3]
const integers = [0n, 2n ** 53n - 1n, 2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n), 7n]
const times = [0, -1, -0.5, 1e12, 1e12 + 0.25, 8.64e15, -8.64e15, -62_167_219_200_001, 253_402_300_800_000]
const dates = ['1970-01-01', '1969-12-31', '0001-01-01', '9999-12-31', '2024-02-29']

function anyDouble(choices: Choices): number {
  if (choices.chance(50)) return choices.pick(choices.chance(30) ? oddDoubles : doubles)
  if (choices.chance(30)) return choices.between(-1_000_000, 1_000_000) / choices.pick([1, 4, 10, 100, 1e9])
  const bits = Uint32Array.of(choices.below(2 ** 32), choices.below(2 ** 32))
  return new Float64Array(bits.buffer)[0] ?? 0
}

function anyBigint(choices: Choices): bigint {
  if (choices.chance(50)) return choices.pick(integers)
  const wide = (BigInt(choices.below(2 ** 32)) << 32n) | BigInt(choices.below(2 ** 32))
  return BigInt.asIntN(64, wide) >> BigInt(choices.below(64))
}

function anyValue(choices: Choices, type: string): unknown {
  if (choices.chance(10)) return null
  switch (type) {
    case 'BOOLEAN':
      return choices.chance(50)
    case 'INT':
      return choices.pick([0, -1, 2 ** 31 - 1, -(2 ** 31), choices.between(-1000, 1000)])
    case 'BIGINT':
      return anyBigint(choices)
    case 'DOUBLE':
      return anyDouble(choices)
    case 'DECIMAL(12, 3)':
      return choices.pick(['0', '-0.001', '1.5', '999999999.999', String(choices.below(2 ** 30) / 1000)])
    case 'DECIMAL(38, 0)':
      return `${choices.chance(50) ? '-' : ''}${anyBigint(choices) ** 2n % 10n ** 38n}`
    case 'STRING':
      return Array.from({ length: choices.pick([0, 1, 12, 13, 40]) }, () => choices.pick(characters)).join('')
    case 'BYTES':
      return Uint8Array.from({ length: choices.below(6) }, () => choices.below(256))
    case 'DATE':
      return choices.pick(dates)
    case 'TIME':
      return choices.pick(['00:00:00', '23:59:59.999999', '04:05:06.5', '12:00:00.000001'])
    default:
      return choices.chance(50)
        ? choices.pick(times)
        : choices.between(-2e9, 2e9) * 1000 + choices.below(1000) / 8
  }
}

function randomRow(choices: Choices): Row {
  const row: Row = Object.create(null) as Row
  for (const [name, type] of everyColumn) row[name] = anyValue(choices, type)
  return row
}

/** The lines of changes as the renderer has them, with the row before an update where it is there. */
function rendered(query: Query<Row>, changes: Change<Row>[]): string[] {
  const { columns, updating } = query
  const objects = renderer('ndjson', { columns, updating: false })
  const object = (row: Row) => objects.lines([{ op: 'insert', row }]).slice(0, -1)
  return changes.map((change) => {
    const [line = ''] = renderer('ndjson', { columns, updating }).lines([change]).split('\n')
    if (change.op !== 'update' || change.before === undefined) return line
    return `${line.slice(0, -1)},"before":${object(change.before)}}`
  })
}

async function linesOf(query: Query<Row>): Promise<string[]> {
  const pieces = await listed(query.ndjson())
  return Buffer.concat(pieces).toString().split('\n').slice(0, -1)
}

/** What is read as NDJSON is what is read as changes; gives the lines. */
async function sameLines(
  t: ExecutionContext,
  [bytes, objects]: readonly [Query<Row>, Query<Row>],
): Promise<string[]> {
  const [lines, batches] = await Promise.all([linesOf(bytes), listed(objects.batches())])
  t.deepEqual(lines, rendered(objects, batches.flat()))
  return lines
}

const combinations: OpenOptions[] = (['date', 'number'] as const).flatMap((timestamps) =>
  (['auto', 'bigint', 'string'] as const).flatMap((bigints) =>
    (['string', 'number'] as const).map((decimals) => ({ timestamps, bigints, decimals })),
  ),
)

for (const [index, options] of combinations.entries()) {
  const name = Object.values(options).join(', ')
  test(`random rows, ${name}, seed ${SEED}`, async (t) => {
    const choices = Choices.fromSeed(SEED + index)
    const db = await opened(t, options)
    await db.exec(`CREATE STREAM s (${declared})`)
    const queries = [db.query('SELECT * FROM s'), db.query('SELECT * FROM s')] as const
    await db.insert(
      's',
      Array.from({ length: ROWS }, () => randomRow(choices)),
    )
    await db.end()
    t.is((await sameLines(t, queries)).length, ROWS)
  })

  for (const before of [false, true]) {
    test(`random updates, ${name}, before ${before}, seed ${SEED}`, async (t) => {
      const choices = Choices.fromSeed(SEED + index)
      const db = await opened(t, options)
      await db.exec(`CREATE TABLE t (k INT PRIMARY KEY, ${declared})`)
      const ask = () => db.query('SELECT * FROM t', undefined, { before })
      const queries = [ask(), ask()] as const
      for (let from = 0; from < ROWS; from += 30) {
        const rows = Array.from({ length: 30 }, () =>
          Object.assign(randomRow(choices), { k: choices.below(8) }),
        )
        await db.insert('t', rows)
        await db.delete('t', { k: choices.below(8) })
      }
      await db.end()
      const lines = await sameLines(t, queries)
      t.true(lines.some((line) => line.startsWith('{"op":"update"') && line.includes('"before":') === before))
      t.true(lines.some((line) => line.startsWith('{"op":"delete"')))
    })
  }
}

/** What a value of this type is in a line. */
const golden: [type: string, value: unknown, json: string, options?: OpenOptions][] = [
  ['BOOLEAN', false, 'false'],
  ['INT', null, 'null'],
  ['BIGINT', 2n ** 53n, '9007199254740992'],
  ['BIGINT', -(2n ** 63n), '-9223372036854775808', { bigints: 'bigint' }],
  ['BIGINT', 5, '"5"', { bigints: 'string' }],
  ['DOUBLE', 2 ** 53, '9007199254740992'],
  ['DOUBLE', -0, '0'],
  ['DOUBLE', 1e21, '1e+21'],
  ['DOUBLE', 1e-7, '1e-7'],
  ['DOUBLE', 0.000001, '0.000001'],
  ['DOUBLE', Number.NaN, '"NaN"'],
  ['DOUBLE', -Infinity, '"-Infinity"'],
  ['DECIMAL(10, 2)', '1.5', '"1.50"'],
  ['DECIMAL(10, 2)', '1.5', '1.5', { decimals: 'number' }],
  ['DECIMAL(38, 0)', 10n ** 37n, '1e+37', { decimals: 'number' }],
  ['STRING', '', '""'],
  ['STRING', 'a "quoted" \\ text', '"a \\"quoted\\" \\\\ text"'],
  ['STRING', '\0\b\t\n\v\f\r\x1f\x7f', '"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\x7f"'],
  ['STRING', '\u2028 / 😀', '"\u2028 / 😀"'],
  ['STRING', 'lone \ud800', '"lone \ufffd"'],
  ['BYTES', Uint8Array.of(1, 2, 255), '"AQL/"'],
  ['BYTES', new Uint8Array(0), '""'],
  ['DATE', '1969-12-31', '"1969-12-31"'],
  ['TIME', '04:05:06.25', '"04:05:06.25"'],
  ['TIMESTAMP', -1, '"1969-12-31T23:59:59.999Z"'],
  ['TIMESTAMP', 1.75, '"1970-01-01T00:00:00.001Z"'],
  ['TIMESTAMP', -0.25, '"1970-01-01T00:00:00.000Z"'],
  ['TIMESTAMP', 1.75, '1.75', { timestamps: 'number' }],
  ['TIMESTAMP', -62_198_755_200_000, '"-000001-01-01T00:00:00.000Z"'],
  ['TIMESTAMP', 253_402_300_800_000, '"+010000-01-01T00:00:00.000Z"'],
]
for (const [index, [type, value, json, options]] of golden.entries()) {
  test(`${type} as JSON, value ${index}`, async (t) => {
    const db = await opened(t, options)
    await db.exec(`CREATE STREAM s (c ${type})`)
    const queries = [db.query('SELECT c FROM s'), db.query('SELECT c FROM s')] as const
    await db.insert('s', { c: value })
    await db.end()
    t.deepEqual(await sameLines(t, queries), [`{"c":${json}}`])
  })
}

test('a TIMESTAMP beyond what a Date can be is null', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (c TIMESTAMP)')
  const ask = () => db.query("SELECT c, c + INTERVAL '1 day' AS d FROM s")
  const queries = [ask(), ask()] as const
  await db.insert('s', { c: 8.64e15 })
  await db.end()
  t.deepEqual(await sameLines(t, queries), ['{"c":"+275760-09-13T00:00:00.000Z","d":null}'])
})

for (const [options, update] of [
  [{}, '{"op":"update","row":{"k":1,"n":2}}'],
  [{ before: true }, '{"op":"update","row":{"k":1,"n":2},"before":{"k":1,"n":1}}'],
] satisfies [QueryOptions, string][]) {
  test(`an updating result says what happened, ${JSON.stringify(options)}`, async (t) => {
    const db = await opened(t)
    await db.exec('CREATE TABLE t (k INT PRIMARY KEY, n INT)')
    const query = db.query('SELECT k, n FROM t', undefined, options)
    await db.insert('t', [
      { k: 1, n: 1 },
      { k: 1, n: 2 },
    ])
    await db.delete('t', { k: 1 })
    await db.end()
    t.deepEqual(await linesOf(query), [
      '{"op":"insert","row":{"k":1,"n":1}}',
      update,
      '{"op":"delete","row":{"k":1,"n":2}}',
    ])
  })
}

const pieceBytes = 256 * 1024

test('pieces are whole lines, some 256 KiB of them, and stay what they are', async (t) => {
  const db = await opened(t, { outputRows: 2 ** 20, outputBytes: 2 ** 24 })
  await db.exec('CREATE TABLE t (k INT PRIMARY KEY, n INT, text STRING)')
  const ask = () => db.query('SELECT * FROM t', undefined, { before: true })
  const [bytes, objects] = [ask(), ask()]
  const text = 'x'.repeat(500)
  await db.insert(
    't',
    Array.from({ length: 6000 }, (_, n) => ({ k: n % 10, n, text })),
  )
  await db.end()
  const pieces = await listed(bytes.ndjson())
  const longest = Math.max(...pieces.map(({ length }) => length))
  t.true(longest >= pieceBytes && longest < pieceBytes + 2000, `${longest}`)
  t.true(pieces.every((piece) => piece.at(-1) === 10))
  const changes = (await listed(objects.batches())).flat()
  t.is(Buffer.concat(pieces).toString(), `${rendered(objects, changes).join('\n')}\n`)
})

test('lines come as their records do, and a pending read ends with the query', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  const query = db.query('SELECT k FROM s')
  const pieces = query.ndjson()
  const first = pieces.next()
  await db.insert('s', { k: 1 })
  t.is(Buffer.from((await first).value).toString(), '{"k":1}\n')
  const second = pieces.next()
  await query.close()
  t.true((await second).done)
})

test('NDJSON is the one reader, and leaving its loop closes the query', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  const query = db.query('SELECT k FROM s')
  await db.insert('s', { k: 1 })
  const pieces = query.ndjson()
  t.is((await errorOf(() => query.ndjson())).code, 'ERR_VELO_STATE')
  t.is((await errorOf(() => query.on('change', () => {}))).code, 'ERR_VELO_STATE')
  for await (const _ of pieces) break
  t.deepEqual(db.metrics().queries, [])
})

test('lines before a failure are given, then the error', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  const query = db.query('SELECT 10 / k AS v FROM s', undefined, { onError: 'stop' })
  await db.insert('s', [{ k: 1 }, { k: 0 }, { k: 2 }])
  await db.flush()
  const pieces = query.ndjson()
  t.is(Buffer.from((await pieces.next()).value).toString(), '{"v":10}\n')
  t.is((await errorOf(() => pieces.next())).code, 'ERR_VELO_RECORD')
  t.true((await pieces.next()).done)
})

import test from 'ava'
import { createDecoder } from '../src/marshal/decoder.js'
import { createEncoder } from '../src/marshal/encoder.js'
import { Memory, RowBlock, padded } from '../src/marshal/layout.js'
import { column, everyType, rows } from './fixtures/rows.js'
import { errorOf, run } from './support.js'

/** The block of all rows. */
function blockOf(generated: boolean, columns = everyType, given: unknown[] = rows): number[] {
  const block = new RowBlock(64)
  const length = createEncoder('r', columns, generated).encodeAll(given, block)
  return [...block.u8.subarray(0, length)]
}

test('generated code and closures write the same block', (t) => {
  t.deepEqual(blockOf(true), blockOf(false))
})

test('a lone surrogate becomes U+FFFD', (t) => {
  const text = Buffer.from(blockOf(true)).toString('latin1')
  t.true(text.includes(Buffer.from('lone \ufffd surrogate').toString('latin1')))
})

test('a block that fewer rows came for equals the block laid out for them', (t) => {
  const encoder = createEncoder('r', everyType)
  const block = new RowBlock(64)
  block.start(100, everyType.length)
  for (const [index, row] of rows.entries()) encoder.encodeRow(row, block, index)
  block.finish(rows.length)
  const header = new Uint32Array(block.u8.buffer, 0, 4)
  const exact = Buffer.from(blockOf(true))
  const columnBytes = everyType.length * (padded(rows.length) + 8 * rows.length)
  t.is(header[0], rows.length)
  t.deepEqual(
    used(Buffer.from(block.u8.subarray(16, 16 + columnBytes)), rows.length),
    used(exact.subarray(16, 16 + columnBytes), rows.length),
  )
  const heap = block.u8.subarray(header[1], (header[1] ?? 0) + (header[2] ?? 0))
  t.deepEqual([...heap], [...exact.subarray(exact.readUInt32LE(4))])
})

/** Tags, and the slots of those that are not NULL, without padding. */
function used(columns: Buffer, count: number): number[][] {
  const stride = padded(count) + 8 * count
  const parts: number[][] = []
  for (let at = 0; at < columns.length; at += stride) {
    for (let row = 0; row < count; row += 1) {
      const tag = columns[at + row] ?? 0
      const slot = at + padded(count) + row * 8
      const bytes = tag === 4 ? 1 : 8
      parts.push([tag, ...(tag === 0 ? [] : columns.subarray(slot, slot + bytes))])
    }
  }
  return parts
}

for (const [type, value, shown] of [
  ['BOOLEAN', 1, 'the number 1'],
  ['INT', 1.5, 'the number 1.5'],
  ['INT', 2 ** 31, 'the number 2147483648'],
  ['INT', 2n ** 31n, 'the integer 2147483648'],
  ['INT', Number.NaN, 'the number NaN'],
  ['INT', '1', 'a value of type string'],
  ['BIGINT', 2 ** 53, 'which is not safe'],
  ['BIGINT', 2n ** 63n, 'the integer 9223372036854775808'],
  ['BIGINT', 0.5, 'the number 0.5'],
  ['DOUBLE', '1', 'a value of type string'],
  ['DOUBLE', {}, 'a value of type Object'],
  ['DECIMAL(3, 1)', Infinity, 'the number Infinity'],
  ['STRING', 1, 'the number 1'],
  ['STRING', Symbol('s'), 'a value of type symbol'],
  ['BYTES', 'text', 'a value of type string'],
  ['BYTES', [1], 'a value of type Array'],
  ['DATE', 1, 'the number 1'],
  ['DATE', new Date(Number.NaN), 'an invalid Date'],
  ['TIME', new Date(Number.NaN), 'an invalid Date'],
  ['TIMESTAMP', new Date(Number.NaN), 'an invalid Date'],
  ['TIMESTAMP', Number.NaN, 'the number NaN'],
  ['TIMESTAMP', true, 'a value of type boolean'],
] as const) {
  test(`${type} does not take ${shown}`, async (t) => {
    for (const generated of [true, false]) {
      const encoder = createEncoder('r', [column('other', 'INT'), column('c', type)], generated)
      const error = await errorOf(() => encoder.encodeAll([{ other: 1 }, { c: value }], new RowBlock()))
      t.is(error.code, 'ERR_VELO_TYPE')
      t.is(error.index, 1)
      t.is(error.relation, 'r')
      t.is(error.field, 'c')
      t.true(error.message.includes(shown), error.message)
    }
  })
}

test('NULL in a NOT NULL column is a constraint error', async (t) => {
  for (const generated of [true, false]) {
    const encoder = createEncoder('r', [column('c', 'INT', false)], generated)
    for (const row of [{}, { c: null }, { c: undefined }]) {
      const error = await errorOf(() => encoder.encodeOne(row, new RowBlock()))
      t.is(error.code, 'ERR_VELO_CONSTRAINT')
      t.is(error.field, 'c')
    }
  }
})

test('only objects are rows', async (t) => {
  const encoder = createEncoder('r', everyType)
  for (const row of [null, undefined, 1, 'text', [1], Symbol('s')]) {
    const error = await errorOf(() => encoder.encodeAll([{}, row], new RowBlock()))
    t.is(error.code, 'ERR_VELO_TYPE')
    t.is(error.index, 1)
  }
})

const oddNames = [
  '__proto__',
  'constructor',
  'toString',
  "it's",
  'a"b',
  'a\\b',
  'a\nb',
  '\u2028',
  '${x}',
  '*/',
  '',
]

test('odd property names are names and nothing else', (t) => {
  const columns = oddNames.map((name) => column(name, 'INT'))
  const row = Object.create(null) as Record<string, unknown>
  for (const [index, name] of oddNames.entries()) row[name] = index
  const expected = blockOf(false, columns, [row, {}, Object.create(null)])
  t.deepEqual(blockOf(true, columns, [row, {}, Object.create(null)]), expected)
  const tags = (index: number) => expected[16 + index * (8 + 3 * 8)]
  t.deepEqual(
    oddNames.map((_, index) => tags(index)),
    oddNames.map(() => 1),
  )
  for (const generated of [true, false]) {
    const [decoded] = createDecoder(columns, { generated }).rows(intBlock(oddNames.length))
    t.deepEqual(Object.keys(decoded ?? {}), oddNames)
    t.is(Object.getPrototypeOf(decoded), Object.prototype)
  }
})

/** A change block of one row of INT columns that count from 0. */
function intBlock(columns: number): Memory {
  const memory = new Memory()
  memory.u8.fill(0)
  memory.u32[0] = 1
  for (let index = 0; index < columns; index += 1) memory.i32[(24 + index * 16 + 8) / 4] = index
  return memory
}

/** A change block of STRING, BIGINT and BOOLEAN: every op once, NULLs in the last row. */
function mixedBlock(texts: string[]): Memory {
  const memory = new Memory()
  const { u8, u32, i64 } = memory
  u8.fill(0)
  const heap = Buffer.from(texts.join(''))
  u8.set([0, 2, 3, 1], 16)
  u8.set([1], 24)
  u8.set([1, 1, 1, 0], 32)
  let end = 0
  for (const [row, text] of texts.entries()) u32[10 + row] = end += Buffer.byteLength(text)
  i64.set([1n, 2n ** 53n, -(2n ** 53n), -(2n ** 53n) + 1n], 8)
  u8.set([1], 96)
  u8.set([1, 1, 1, 0], 104)
  u8.set([1, 0, 1, 0], 112)
  u32.set([4, 120, heap.length, heap.length === texts.join('').length ? 1 : 0])
  u8.set(heap, 120)
  return memory
}

/** 16 rows of two STRING columns: one of which three texts come again and again, with NULLs, and a plain one. */
function repeatingBlock(texts: string[], plain: string[]): Memory {
  const memory = new Memory()
  const { u8, u32 } = memory
  u8.fill(0)
  u8.set([1, texts.length], 32)
  let end = 0
  for (let row = 0; row < 16; row += 1) {
    u8[40 + row] = row % 4 === 3 ? 0 : 1
    u8[56 + row] = row % texts.length
  }
  for (const [index, text] of texts.entries()) u32[18 + index] = end += Buffer.byteLength(text)
  for (const [row, text] of plain.entries()) u32[24 + row] = end += Buffer.byteLength(text)
  const heap = Buffer.from([...texts, ...plain].join(''))
  u32.set([16, 160, heap.length, heap.length === [...texts, ...plain].join('').length ? 1 : 0])
  u8.set(heap, 160)
  return memory
}

for (const texts of [
  ['a', '', 'twelve chars'],
  ['ä', '€uro', ''],
]) {
  test(`texts that come again are decoded once: ${texts.join(' ')}`, (t) => {
    const plain = Array.from({ length: 16 }, (_, row) => `plain ${'.'.repeat(row)}`)
    const memory = repeatingBlock(texts, plain)
    const columns = [column('s', 'STRING'), column('u', 'STRING')]
    const expected = plain.map((u, row) => ({ s: row % 4 === 3 ? null : (texts[row % 3] ?? ''), u }))
    for (const generated of [true, false]) {
      const decoder = createDecoder(columns, { generated })
      t.deepEqual(decoder.rows(memory), expected)
      t.deepEqual(decoder.rows(repeatingBlock(['x', 'y', 'z'], plain))[1], { s: 'y', u: 'plain .' })
      t.deepEqual(decoder.changes(memory)[15], { op: 'insert', row: expected[15] } as never)
      t.deepEqual(
        decoder.columns(memory).columns.s,
        expected.map(({ s }) => s),
      )
    }
  })
}

const mixed = [column('s', 'STRING'), column('l', 'BIGINT'), column('b', 'BOOLEAN')]

for (const texts of [
  ['a', 'b', 'cc', ''],
  ['a'.repeat(50), 'b'.repeat(12), 'c'.repeat(13), ''],
  ['ä', '€uro', '😀', ''],
]) {
  test(`changes are decoded alike by generated code and closures: ${texts.join(' ')}`, (t) => {
    const memory = mixedBlock(texts)
    const [first, second, third] = [
      { s: texts[0], l: 1, b: true },
      { s: texts[1], l: 2n ** 53n, b: false },
      { s: texts[2], l: -(2n ** 53n), b: true },
    ]
    const last = { op: 'delete', row: { s: null, l: -(2 ** 53 - 1), b: null } }
    for (const generated of [true, false]) {
      t.deepEqual(createDecoder(mixed, { generated }).changes(memory), [
        { op: 'insert', row: first },
        { op: 'update', row: third },
        last,
      ] as never)
      t.deepEqual(createDecoder(mixed, { generated, before: true }).changes(memory), [
        { op: 'insert', row: first },
        { op: 'update', row: third, before: second },
        last,
      ] as never)
      const big = createDecoder(mixed, { generated, bigints: 'bigint' }).rows(memory)
      t.deepEqual(
        big.map(({ l }) => typeof l),
        ['bigint', 'bigint', 'bigint', 'bigint'],
      )
      const strings = createDecoder(mixed, { generated, bigints: 'string' }).rows(memory)
      t.deepEqual(
        strings.map(({ l }) => l),
        ['1', '9007199254740992', '-9007199254740992', '-9007199254740991'],
      )
    }
    const batch = createDecoder(mixed).columns(memory)
    t.deepEqual([...batch.ops], [0, 2, 3, 1])
    t.deepEqual(batch.columns['s'], [...texts.slice(0, 3), null])
    t.deepEqual([...(batch.nulls['b'] ?? [])], [0, 0, 0, 1])
    t.is(batch.nulls['l'], undefined)
  })
}

test('where code generation is forbidden, the closures serve', async (t) => {
  const { status, stdout, stderr } = await run('no-eval.ts', ['--disallow-code-generation-from-strings'])
  t.is(stderr, '')
  t.is(status, 0)
  t.deepEqual(JSON.parse(stdout), { canGenerate: false, encoded: blockOf(true) })
})

test('a getter is read once, and one that throws leaves the block to the next call', (t) => {
  const encoder = createEncoder('r', [column('a', 'INT'), column('b', 'INT')])
  const block = new RowBlock()
  let reads = 0
  const counting = {
    get a() {
      reads += 1
      return reads
    },
    b: 2,
  }
  encoder.encodeOne(counting, block)
  t.is(reads, 1)
  const fault = new Error('no value')
  const throwing = {
    get a(): number {
      throw fault
    },
  }
  t.is(
    t.throws(() => encoder.encodeOne(throwing, block)),
    fault,
  )
  const length = encoder.encodeOne({ a: 1, b: 2 }, block)
  t.deepEqual([...block.f64.slice(3, 4), ...block.f64.slice(5, 6)], [1, 2])
  t.is(length, 48)
})

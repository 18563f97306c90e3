/**
 * Change blocks into changes.
 *
 * Rows are object literals with the columns in their order, made by code generated per result; where code
 * generation is forbidden, closures give the same. No value refers to the block's memory, and decoding runs no
 * code but its own, so the memory is free again when it returns.
 */

import type { Change, Column, ColumnBatch, OpenOptions, Row } from '../types.js'
import { canGenerate } from './encoder.js'
import {
  asciiFlag,
  differentAt,
  headerBytes,
  oneRow,
  ops,
  padded,
  typeName,
  type Memory,
  type TypeName,
} from './layout.js'
import { TextCache, cachedMax } from './text-cache.js'

/** How values appear in JavaScript. */
export type ValueOptions = Pick<OpenOptions, 'timestamps' | 'bigints' | 'decimals'>

/** Texts below this length are cut from one decoded heap: a longer slice would keep the heap alive. */
const sliceMax = 13

/** Where one column's parts are in the block in hand. */
class ColumnView {
  nulls = 0
  /** The values, in units of their size; the numbers of their texts where `texts` has these. */
  at = 0
  /** Where the next text begins in the heap. */
  next = 0
  /** The different texts, where each stands once in the heap. */
  texts: string[] | undefined
  readonly #kept: string[] = []

  constructor(
    /** Bytes of a value, or of a text's end. */
    readonly size: number,
    readonly isText: boolean,
  ) {}

  /** The different texts are those of `count` values, whose ends in the heap begin at slot `ends`. */
  keep(view: BlockView, text: TextAt, ends: number, count: number): void {
    const { memory, heapAt, ascii } = view
    const kept = this.#kept
    kept.length = count
    for (let number = 0; number < count; number += 1) {
      const end = memory.u32[ends + number] as number
      kept[number] = text(memory, heapAt + this.next, heapAt + end, ascii)
      this.next = end
    }
    this.texts = kept
  }
}

/** The block in hand and the texts of its heap. */
class BlockView {
  rows = 0
  heapAt = 0
  ascii = false
  /** The whole heap as text, where its values are short. */
  text: string | undefined

  constructor(readonly memory: Memory) {}

  /** Finds every column's parts. */
  open(columns: ColumnView[], text: TextAt): void {
    const { u8, u32 } = this.memory
    const rows = u32[0] ?? 0
    const heapLength = u32[2] ?? 0
    this.rows = rows
    this.heapAt = u32[1] ?? 0
    this.ascii = ((u32[3] ?? 0) & asciiFlag) !== 0
    let at = headerBytes + padded(rows)
    let heapEnd = 0
    let plain = 0
    for (let position = 0; position < columns.length; position += 1) {
      const column = columns[position] as ColumnView
      const { size } = column
      const hasNulls = u8[at] === 1
      const different = u8[at + differentAt] as number
      at += 8
      column.nulls = hasNulls ? at : 0
      if (hasNulls || rows === 1) at += padded(rows)
      if (different > 0) {
        const ends = (at + padded(rows)) / size
        column.at = at
        column.next = heapEnd
        column.keep(this, text, ends, different)
        heapEnd = column.next
        at += padded(rows) + padded(different * size)
        continue
      }
      column.at = at / size
      at += padded(rows * size)
      if (column.isText) {
        plain += 1
        column.texts = undefined
        column.next = heapEnd
        heapEnd = u32[column.at + rows - 1] as number
      }
    }
    const short = this.ascii && plain > 0 && heapLength < sliceMax * plain * rows
    this.text = short ? u8.latin1Slice(this.heapAt, this.heapAt + heapLength) : undefined
  }
}

/** The text from `start` to `end` of the heap. */
function textOf(view: BlockView, start: number, end: number): string {
  if (view.text !== undefined && end - start < sliceMax) return view.text.slice(start, end)
  const { u8 } = view.memory
  const at = view.heapAt
  return view.ascii ? u8.latin1Slice(at + start, at + end) : u8.utf8Slice(at + start, at + end)
}

function nextText(view: BlockView, column: ColumnView, row: number): string {
  if (column.texts !== undefined) return column.texts[view.memory.u8[column.at + row] as number] as string
  const start = column.next
  const end = view.memory.u32[column.at + row] as number
  column.next = end
  return textOf(view, start, end)
}

function nextBytes(view: BlockView, column: ColumnView, row: number): Uint8Array {
  const start = column.next
  const end = view.memory.u32[column.at + row] as number
  column.next = end
  return new Uint8Array(view.memory.u8.subarray(view.heapAt + start, view.heapAt + end))
}

/** 2^21: a 64-bit integer is safe while its upper half is within. */
const safeHigh = 2097152

/** The 64-bit integer in slot `slot`: a number while it is safe. */
function integerAt(memory: Memory, slot: number): number | bigint {
  const low = memory.i32[slot * 2] as number
  const high = memory.i32[slot * 2 + 1] as number
  if (high === low >> 31) return low
  if (high >= -safeHigh && high < safeHigh && !(high === -safeHigh && low === 0))
    return high * 4294967296 + (low >>> 0)
  return memory.i64[slot] as bigint
}

type Read = (view: BlockView, column: ColumnView, row: number) => unknown

function reader(type: TypeName, options: ValueOptions): Read {
  switch (type) {
    case 'BOOLEAN':
      return (view, column, row) => view.memory.u8[column.at + row] === 1
    case 'INT':
      return (view, column, row) => view.memory.i32[column.at + row]
    case 'DOUBLE':
      return (view, column, row) => view.memory.f64[column.at + row]
    case 'BIGINT':
      if (options.bigints === 'bigint') return (view, column, row) => view.memory.i64[column.at + row]
      if (options.bigints === 'string') return (view, column, row) => String(view.memory.i64[column.at + row])
      return (view, column, row) => integerAt(view.memory, column.at + row)
    case 'TIMESTAMP':
      if (options.timestamps === 'number') return (view, column, row) => view.memory.f64[column.at + row]
      return (view, column, row) => new Date(view.memory.f64[column.at + row] as number)
    case 'DECIMAL':
      if (options.decimals === 'number') return (view, column, row) => Number(nextText(view, column, row))
      return nextText
    case 'BYTES':
      return nextBytes
    case 'STRING':
    case 'DATE':
    case 'TIME':
      return nextText
  }
}

const sizes: Record<TypeName, number> = {
  BOOLEAN: 1,
  INT: 4,
  BIGINT: 8,
  DOUBLE: 8,
  TIMESTAMP: 8,
  DECIMAL: 4,
  STRING: 4,
  BYTES: 4,
  DATE: 4,
  TIME: 4,
}

/** Types whose values stand in the heap. */
const textTypes = new Set<TypeName>(['DECIMAL', 'STRING', 'BYTES', 'DATE', 'TIME'])

/** What the generated code reads by itself; the others call their reader. */
function inlineRead(type: TypeName, options: ValueOptions, position: number): string {
  if (type === 'DOUBLE' || (type === 'TIMESTAMP' && options.timestamps === 'number'))
    return `f64[a${position} + i]`
  if (type === 'INT') return `i32[a${position} + i]`
  if (type === 'BOOLEAN') return `u8[a${position} + i] === 1`
  if (type === 'STRING')
    return `t${position} === undefined ? read${position}(view, c${position}, i) : t${position}[u8[a${position} + i]]`
  return `read${position}(view, c${position}, i)`
}

/** Makes the one row of a block an object. */
type MakeOne = (memory: Memory) => Row

/** The text from `start` to `end` of the memory. */
type TextAt = (memory: Memory, start: number, end: number, ascii: boolean) => string

function textReader(): TextAt {
  const cache = new TextCache()
  return ({ u8 }, start, end, ascii) => {
    if (!ascii) return u8.utf8Slice(start, end)
    const length = end - start
    return length <= cachedMax ? cache.get(u8, start, length) : u8.latin1Slice(start, end)
  }
}

/** The value of a column of a block of one row, whose text, if it is one, lies between `start` and `end`. */
function readOfOne(type: TypeName, options: ValueOptions, at: number, start: string, end: string): string {
  const text = `text(memory, heap + ${start}, heap + ${end}, ascii)`
  switch (type) {
    case 'BOOLEAN':
      return `u8[${at}] === 1`
    case 'INT':
      return `i32[${at / 4}]`
    case 'DOUBLE':
      return `f64[${at / 8}]`
    case 'BIGINT':
      if (options.bigints === 'bigint') return `i64[${at / 8}]`
      return options.bigints === 'string' ? `String(i64[${at / 8}])` : `integerAt(memory, ${at / 8})`
    case 'TIMESTAMP':
      return options.timestamps === 'number' ? `f64[${at / 8}]` : `new Date(f64[${at / 8}])`
    case 'DECIMAL':
      return options.decimals === 'number' ? `Number(${text})` : text
    case 'BYTES':
      return `new Uint8Array(u8.subarray(heap + ${start}, heap + ${end}))`
    case 'STRING':
    case 'DATE':
    case 'TIME':
      return text
  }
}

/** In a block of one row every part has its fixed place. */
function generateOne(columns: Column[], options: ValueOptions, text: TextAt): MakeOne {
  const ends: string[] = []
  let start = '0'
  const members = columns.map(({ name, type }, position) => {
    const column = oneRow.firstColumn + position * oneRow.columnBytes
    const at = column + oneRow.valueAt
    const end = `e${position}`
    const value = readOfOne(typeName(type), options, at, start, end)
    if (textTypes.has(typeName(type))) {
      ends.push(`${end} = u32[${at / 4}]`)
      start = end
    }
    return `${keyOf(name)}: u8[${column + oneRow.validAt}] === 0 ? null : ${value}`
  })
  const body = `'use strict'; return function decodeRow(memory) {
    const { u8, i32, u32, f64, i64 } = memory
    const ${['heap = u32[1]', `ascii = (u32[3] & ${asciiFlag}) !== 0`, ...ends].join(', ')}
    return { ${members.join(', ')} }
  }`
  return new Function('text', 'integerAt', body)(text, integerAt) as MakeOne
}

/** A property's name in generated code; only a computed key makes a plain property of `__proto__`. */
function keyOf(name: string): string {
  return name === '__proto__' ? '["__proto__"]' : JSON.stringify(name)
}

/** The one change with this op. */
function changeOf(op: number, row: Row): Change<Row> {
  if (op === ops.insert) return { op: 'insert', row }
  return op === ops.after ? { op: 'update', row } : { op: 'delete', row }
}

/** Makes row `row` of the block in hand an object; rows are asked for in their order, each once. */
type MakeRow = (view: BlockView, columns: ColumnView[], row: number) => Row

function generateMany(columns: Column[], reads: Read[], options: ValueOptions): MakeRows {
  const each = (line: (position: number) => string) => columns.map((_, position) => line(position)).join('\n')
  const members = columns.map(({ name, type }, position) => {
    const value = inlineRead(typeName(type), options, position)
    return `${keyOf(name)}: n${position} !== 0 && u8[n${position} + i] === 0 ? null : ${value}`
  })
  const body = `'use strict'; return function decodeRows(view, columns) {
    const { u8, i32, f64 } = view.memory
    ${each((p) => `const c${p} = columns[${p}], n${p} = c${p}.nulls, a${p} = c${p}.at, t${p} = c${p}.texts`)}
    const rows = view.rows, out = new Array(rows)
    let count = 0
    for (let i = 0; i < rows; i++) {
      const made = give(u8[${headerBytes} + i], { ${members.join(', ')} })
      if (made !== undefined) out[count++] = made
    }
    if (count < rows) out.length = count
    return out
  }`
  const make = new Function('give', ...columns.map((_, position) => `read${position}`), body)
  return <C>(give: Give<C>) => make(give, ...reads) as Decode<C>
}

/** What a row with this op gives: undefined for nothing. */
type Give<C> = (op: number, row: Row) => C | undefined
type Decode<C> = (view: BlockView, columns: ColumnView[]) => C[]
type MakeRows = <C>(give: Give<C>) => Decode<C>

function closureMany(columns: Column[], reads: Read[]): MakeRows {
  const makeRow: MakeRow = (view, views, row) => {
    const made: Row = {}
    for (const [position, { name }] of columns.entries()) {
      const column = views[position] as ColumnView
      const isNull = column.nulls !== 0 && view.memory.u8[column.nulls + row] === 0
      const value = isNull ? null : reads[position]?.(view, column, row)
      if (name === '__proto__') {
        Object.defineProperty(made, name, { value, enumerable: true, configurable: true, writable: true })
      } else made[name] = value
    }
    return made
  }
  return <C>(give: Give<C>) =>
    (view, views) => {
      const out: C[] = []
      for (let row = 0; row < view.rows; row += 1) {
        const made = give(view.memory.u8[headerBytes + row] as number, makeRow(view, views, row))
        if (made !== undefined) out.push(made)
      }
      return out
    }
}

/** An update with its old row, which comes right before it. */
function changeWithBefore(): Give<Change<Row>> {
  let before: Row | undefined
  return (op, row) => {
    if (op === ops.before) {
      before = row
      return undefined
    }
    if (op !== ops.after || before === undefined) return changeOf(op, row)
    const change = { op: 'update', row, before } as const
    before = undefined
    return change
  }
}

/** An update's old row is passed over. */
const changeWithout: Give<Change<Row>> = (op, row) => (op === ops.before ? undefined : changeOf(op, row))

export interface Decoder {
  /** The changes of the block in `memory`. */
  changes(memory: Memory): Change<Row>[]
  /** Its rows, whatever their ops. */
  rows(memory: Memory): Row[]
  /** Its columns. */
  columns(memory: Memory): ColumnBatch
}

export interface DecoderOptions extends ValueOptions {
  before?: boolean | undefined
  /** Whether the code is generated; both ways give the same. */
  generated?: boolean
}

/** Makes something once, at the first call: what is never read should not delay what is. */
function whenAsked<T>(make: () => T): () => T {
  let made: T | undefined
  return () => (made ??= make())
}

export function createDecoder(columns: Column[], options: DecoderOptions = {}): Decoder {
  const names = columns.map(({ type }) => typeName(type))
  const reads = names.map((name) => reader(name, options))
  const views = names.map((name) => new ColumnView(sizes[name], textTypes.has(name)))
  const generated = options.generated ?? canGenerate
  const text = textReader()
  const many = whenAsked(() =>
    generated ? generateMany(columns, reads, options) : closureMany(columns, reads),
  )
  const decodeChanges = whenAsked(() => many()(options.before ? changeWithBefore() : changeWithout))
  const decodeRows = whenAsked(() => many()<Row>((_, row) => row))
  const decodeOne = generated ? whenAsked(() => generateOne(columns, options, text)) : undefined
  let view: BlockView | undefined

  const open = (memory: Memory): BlockView => {
    if (view?.memory !== memory) view = new BlockView(memory)
    view.open(views, text)
    return view
  }
  return {
    changes(memory) {
      if (decodeOne !== undefined && memory.u32[0] === 1)
        return [changeOf(memory.u8[headerBytes] as number, decodeOne()(memory))]
      return decodeChanges()(open(memory), views)
    },
    rows(memory) {
      return decodeRows()(open(memory), views)
    },
    columns(memory) {
      return columnBatch(open(memory), columns, views, reads)
    },
  }
}

function columnBatch(view: BlockView, columns: Column[], views: ColumnView[], reads: Read[]): ColumnBatch {
  const { memory, rows } = view
  const batch: ColumnBatch = {
    length: rows,
    ops: new Uint8Array(memory.u8.subarray(headerBytes, headerBytes + rows)),
    columns: Object.create(null) as ColumnBatch['columns'],
    nulls: Object.create(null) as ColumnBatch['nulls'],
  }
  for (const [position, { name, type }] of columns.entries()) {
    const column = views[position] as ColumnView
    const { nulls } = column
    batch.nulls[name] =
      nulls === 0 ? undefined : Uint8Array.from(memory.u8.subarray(nulls, nulls + rows), (valid) => 1 - valid)
    batch.columns[name] =
      typedColumn(typeName(type), memory, column.at, rows) ??
      Array.from({ length: rows }, (_, row) =>
        nulls !== 0 && memory.u8[nulls + row] === 0 ? null : reads[position]?.(view, column, row),
      )
  }
  return batch
}

/** A copy of the values, for types that have a typed array. */
function typedColumn(
  type: TypeName,
  memory: Memory,
  at: number,
  rows: number,
): ArrayLike<unknown> | undefined {
  switch (type) {
    case 'BOOLEAN':
      return new Uint8Array(memory.u8.subarray(at, at + rows))
    case 'INT':
      return memory.i32.slice(at, at + rows)
    case 'BIGINT':
      return memory.i64.slice(at, at + rows)
    case 'DOUBLE':
    case 'TIMESTAMP':
      return memory.f64.slice(at, at + rows)
    default:
      return undefined
  }
}

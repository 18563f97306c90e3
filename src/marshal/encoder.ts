/**
 * Rows of one relation into a row block.
 *
 * A row's properties are matched to columns by the declared name, spelled exactly; each is read once, in the
 * order of the columns and before anything of the row is written, so that a getter may do what it likes. A
 * missing property is NULL. What does not fit throws, with the row's index, and leaves the block to be started
 * again.
 *
 * The reading code is generated per relation; where code generation is forbidden, closures over the same
 * `put` functions give the same blocks.
 */

import { types } from 'node:util'
import { VelostreamError } from '../errors.js'
import type { Column } from '../types.js'
import { headerBytes, tags, typeName, type RowBlock, type TypeName } from './layout.js'

/** Strings up to here are tried as ASCII, character by character. */
const asciiLoopMax = 40

/** Writes a value that is not NULL; says what is wrong with it, if anything. */
type Put = (block: RowBlock, value: unknown, tag: number, slot: number) => Fault | undefined

/** Writes `row` as row `index` of the block; `fresh` lays the block out for it alone. */
export type EncodeRow = (row: object, block: RowBlock, index: number, fresh: boolean) => void

export interface Encoder {
  readonly relation: string
  readonly columns: Column[]
  /** One row as a block of its own; its length. */
  encodeOne(row: unknown, block: RowBlock): number
  /** All rows as one block; its length. */
  encodeAll(rows: readonly unknown[], block: RowBlock): number
  /** One row of a block that was started. */
  encodeRow(row: unknown, block: RowBlock, index: number): void
}

/** A value as a message shows it. */
function shown(value: unknown): string {
  if (typeof value === 'number') return `the number ${value}`
  if (typeof value === 'bigint') return `the integer ${value}`
  if (types.isDate(value)) return 'an invalid Date'
  if (typeof value === 'object') return `a value of type ${value?.constructor?.name ?? 'object'}`
  return `a value of type ${typeof value}`
}

/** What is wrong with a value that a column cannot take. */
type Fault = string

function unfit(type: TypeName, value: unknown): Fault {
  return `${type}, not ${shown(value)}`
}

function putNumber(block: RowBlock, value: number, tag: number, slot: number): undefined {
  block.u8[tag] = tags.number
  block.f64[slot] = value
}

function putBigint(
  block: RowBlock,
  value: bigint,
  tag: number,
  slot: number,
  type: TypeName,
): Fault | undefined {
  if (BigInt.asIntN(64, value) !== value) return unfit(type, value)
  block.u8[tag] = tags.bigint
  block.i64[slot] = value
  return undefined
}

/** Lone surrogates become U+FFFD, as TextEncoder has it. */
function putText(block: RowBlock, text: string, tag: number, slot: number): undefined {
  const length = text.length
  const at = block.heap
  let written = -1
  if (length <= asciiLoopMax && at + length <= block.capacity) {
    const { u8 } = block
    let position = 0
    for (; position < length; position += 1) {
      const code = text.charCodeAt(position)
      if (code > 127) break
      u8[at + position] = code
    }
    if (position === length) written = length
  }
  if (written < 0) {
    block.reserve(at + length * 3)
    written = block.u8.write(text, at, 'utf8')
  }
  block.heap = at + written
  block.u8[tag] = tags.text
  block.u32[slot * 2] = at - block.heapStart
  block.u32[slot * 2 + 1] = written
}

function putBytes(block: RowBlock, bytes: Uint8Array, tag: number, slot: number): undefined {
  const at = block.heap
  block.reserve(at + bytes.length)
  block.u8.set(bytes, at)
  block.heap = at + bytes.length
  block.u8[tag] = tags.bytes
  block.u32[slot * 2] = at - block.heapStart
  block.u32[slot * 2 + 1] = bytes.length
}

function putTextForEngine(block: RowBlock, text: string, tag: number, slot: number): undefined {
  block.uncertain = true
  return putText(block, text, tag, slot)
}

/** A date's milliseconds, whatever its methods were overridden with; undefined for anything else. */
function millisOf(value: unknown): number | undefined {
  return types.isDate(value) ? Date.prototype.getTime.call(value) : undefined
}

const int32Max = 2 ** 31
/** What a Date can hold. */
const dateMillisMax = 8.64e15

/** Per type: what it takes, what NULL checks have left. */
const puts: Record<TypeName, Put> = {
  BOOLEAN(block, value, tag, slot) {
    if (typeof value !== 'boolean') return unfit('BOOLEAN', value)
    block.u8[tag] = tags.boolean
    block.u8[slot * 8] = value ? 1 : 0
    return undefined
  },
  INT(block, value, tag, slot) {
    if (typeof value === 'bigint') {
      if (BigInt.asIntN(32, value) !== value) return unfit('INT', value)
      return putBigint(block, value, tag, slot, 'INT')
    }
    if (typeof value !== 'number') return unfit('INT', value)
    if (!Number.isInteger(value) || value >= int32Max || value < -int32Max) return unfit('INT', value)
    return putNumber(block, value, tag, slot)
  },
  BIGINT(block, value, tag, slot) {
    if (typeof value === 'bigint') return putBigint(block, value, tag, slot, 'BIGINT')
    if (typeof value !== 'number') return unfit('BIGINT', value)
    if (!Number.isInteger(value)) return unfit('BIGINT', value)
    if (!Number.isSafeInteger(value)) return `BIGINT, not ${shown(value)}, which is not safe: give a bigint`
    return putNumber(block, value, tag, slot)
  },
  DOUBLE(block, value, tag, slot) {
    if (typeof value === 'number') return putNumber(block, value, tag, slot)
    if (typeof value === 'bigint') return putNumber(block, Number(value), tag, slot)
    return unfit('DOUBLE', value)
  },
  DECIMAL(block, value, tag, slot) {
    block.uncertain = true
    if (typeof value === 'string') return putText(block, value, tag, slot)
    if (typeof value === 'bigint') return putText(block, value.toString(), tag, slot)
    if (typeof value !== 'number') return unfit('DECIMAL', value)
    if (!Number.isFinite(value)) return unfit('DECIMAL', value)
    return putNumber(block, value, tag, slot)
  },
  STRING(block, value, tag, slot) {
    if (typeof value !== 'string') return unfit('STRING', value)
    return putText(block, value, tag, slot)
  },
  BYTES(block, value, tag, slot) {
    if (!types.isUint8Array(value)) return unfit('BYTES', value)
    return putBytes(block, value, tag, slot)
  },
  DATE(block, value, tag, slot) {
    if (typeof value === 'string') return putTextForEngine(block, value, tag, slot)
    const millis = millisOf(value)
    if (millis === undefined) return unfit('DATE', value)
    if (Number.isNaN(millis)) return unfit('DATE', value)
    block.uncertain = true
    return putNumber(block, millis, tag, slot)
  },
  TIME(block, value, tag, slot) {
    if (typeof value === 'string') return putTextForEngine(block, value, tag, slot)
    const millis = millisOf(value)
    if (millis === undefined) return unfit('TIME', value)
    if (Number.isNaN(millis)) return unfit('TIME', value)
    return putText(block, Date.prototype.toISOString.call(value).slice(-13, -1), tag, slot)
  },
  TIMESTAMP(block, value, tag, slot) {
    if (typeof value === 'number') {
      if (!(Math.abs(value) <= dateMillisMax)) return unfit('TIMESTAMP', value)
      return putNumber(block, value, tag, slot)
    }
    if (typeof value === 'string') return putTextForEngine(block, value, tag, slot)
    const millis = millisOf(value)
    if (millis === undefined) return unfit('TIMESTAMP', value)
    if (Number.isNaN(millis)) return unfit('TIMESTAMP', value)
    return putNumber(block, millis, tag, slot)
  },
}

/** What the generated code and the closures call when a value is not written. */
type Reject = (column: number, index: number, fault: Fault | undefined) => never

function rejector(relation: string, columns: Column[]): Reject {
  return (column, index, fault) => {
    const field = columns[column]?.name ?? ''
    const code = fault === undefined ? 'ERR_VELO_CONSTRAINT' : 'ERR_VELO_TYPE'
    const message = fault === undefined ? `${field} must not be NULL` : `${field} takes ${fault}`
    throw new VelostreamError(code, message, { index, relation, field })
  }
}

/** Names that every object inherits: only an own property counts as the column's value. */
function isInherited(name: string): boolean {
  return name in Object.prototype
}

function readOf(name: string): string {
  const key = JSON.stringify(name)
  return isInherited(name) ? `(hasOwn(row, ${key}) ? row[${key}] : undefined)` : `row[${key}]`
}

/** Values that need no more than this condition are written by the generated code itself. */
const fastNumbers: Partial<Record<TypeName, (value: string) => string>> = {
  INT: (value) => `typeof ${value} === 'number' && (${value} | 0) === ${value}`,
  BIGINT: (value) => `typeof ${value} === 'number' && isSafeInteger(${value})`,
  DOUBLE: (value) => `typeof ${value} === 'number'`,
}

function generatedColumn(column: Column, position: number): string {
  const value = `v${position}`
  const fast = fastNumbers[typeName(column.type)]
  const whenNull = column.nullable ? 'block.u8[tag] = 0' : `reject(${position}, index, undefined)`
  const lines = [
    fast && `if (${fast(value)}) { block.u8[tag] = ${tags.number}; block.f64[slot] = ${value} } else`,
    `if (${value} === undefined || ${value} === null) { ${whenNull} }`,
    `else { fault = put${position}(block, ${value}, tag, slot); if (fault !== undefined) reject(${position}, index, fault) }`,
    'tag += stride; slot += slotStride',
  ]
  return lines.filter(Boolean).join('\n')
}

function generate(columns: Column[], reject: Reject): EncodeRow {
  const names = columns.map((_, position) => `put${position}`)
  const body = [
    ...columns.map((column, position) => `const v${position} = ${readOf(column.name)}`),
    `if (fresh) block.start(1, ${columns.length})`,
    'const stride = block.stride, slotStride = block.slotStride',
    `let fault, tag = ${headerBytes} + index, slot = block.firstSlot + index`,
    ...columns.map(generatedColumn),
  ]
  const make = new Function(
    'reject',
    'hasOwn',
    'isSafeInteger',
    ...names,
    `'use strict'; return function encodeRow(row, block, index, fresh) {\n${body.join('\n')}\n}`,
  )
  const putsOfColumns = columns.map(({ type }) => puts[typeName(type)])
  return make(reject, Object.hasOwn, Number.isSafeInteger, ...putsOfColumns) as EncodeRow
}

function closures(columns: Column[], reject: Reject): EncodeRow {
  const read = columns.map(({ name }) =>
    isInherited(name)
      ? (row: Record<string, unknown>) => (Object.hasOwn(row, name) ? row[name] : undefined)
      : (row: Record<string, unknown>) => row[name],
  )
  const put = columns.map(({ type }) => puts[typeName(type)])
  return (row, block, index, fresh) => {
    const values = read.map((readValue) => readValue(row as Record<string, unknown>))
    if (fresh) block.start(1, columns.length)
    let tag = headerBytes + index
    let slot = block.firstSlot + index
    for (const [position, value] of values.entries()) {
      if (value === undefined || value === null) {
        if (!columns[position]?.nullable) reject(position, index, undefined)
        block.u8[tag] = tags.null
      } else {
        const fault = put[position]?.(block, value, tag, slot)
        if (fault !== undefined) reject(position, index, fault)
      }
      tag += block.stride
      slot += block.slotStride
    }
  }
}

/** Whether functions may be made from text; not under `--disallow-code-generation-from-strings`. */
export const canGenerate = ((): boolean => {
  try {
    return new Function('return true')() === true
  } catch {
    return false
  }
})()

/** @param generated whether the code is generated; both ways give the same. */
export function createEncoder(relation: string, columns: Column[], generated = canGenerate): Encoder {
  const reject = rejector(relation, columns)
  const encode = generated ? generate(columns, reject) : closures(columns, reject)
  const refuse = (row: unknown, index: number): never => {
    const given = row === null ? 'null' : Array.isArray(row) ? 'an array' : typeof row
    throw new VelostreamError('ERR_VELO_TYPE', `a row must be an object, not ${given}`, { index, relation })
  }
  const encodeRow = (row: unknown, block: RowBlock, index: number): void => {
    if (typeof row !== 'object' || row === null || Array.isArray(row)) refuse(row, index)
    encode(row as object, block, index, false)
  }
  return {
    relation,
    columns,
    encodeRow,
    encodeOne(row, block) {
      if (typeof row !== 'object' || row === null || Array.isArray(row)) refuse(row, 0)
      encode(row as object, block, 0, true)
      return block.finish(1)
    },
    encodeAll(rows, block) {
      const count = rows.length
      block.start(count, columns.length)
      for (let index = 0; index < count; index += 1) encodeRow(rows[index], block, index)
      return block.finish(count)
    },
  }
}

/**
 * Changes as text: NDJSON, an aligned table, CSV, or row objects only.
 *
 * An append-only result prints its rows as they are. Where a result is updated, each line also says what
 * happened: `{"op":"update","row":{...}}`, or a first column `op`.
 */

import type { Change, Column, Row } from '../types.js'

export const formats = ['ndjson', 'table', 'csv', 'rows'] as const
export type Format = (typeof formats)[number]

export interface Result {
  columns: readonly Pick<Column, 'name' | 'type'>[]
  updating: boolean
}

export interface Renderer {
  /** What stands before the first line. */
  header(): string
  lines(changes: readonly Change<Row>[]): string
}

export function renderer(format: Format, result: Result): Renderer {
  switch (format) {
    case 'ndjson':
    case 'rows':
      return new JsonRenderer(result)
    case 'csv':
      return new CsvRenderer(result)
    case 'table':
      return new TableRenderer(result)
  }
}

/** A value as JSON. Integers beyond 2^53 keep all digits; bytes are base64; NaN and infinities are text. */
export function toJson(value: unknown): string {
  if (typeof value === 'number' && !Number.isFinite(value)) return `"${value}"`
  if (typeof value === 'bigint') return String(value)
  if (value === null || value === undefined) return 'null'
  if (typeof value !== 'object' || value instanceof Date) return JSON.stringify(value)
  if (value instanceof Uint8Array) return `"${Buffer.from(value).toString('base64')}"`
  if (Array.isArray(value)) return `[${value.map(toJson).join(',')}]`
  return `{${Object.entries(value)
    .map(([name, member]) => `${JSON.stringify(name)}:${toJson(member)}`)
    .join(',')}}`
}

/** A value as a cell; nothing for NULL. */
function toCell(value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined
  if (typeof value === 'string') return value
  if (value instanceof Date) return value.toISOString()
  return typeof value === 'object' ? toJson(value) : String(value)
}

class JsonRenderer implements Renderer {
  readonly #updating: boolean
  /** `"name":` of each column. */
  readonly #members: { name: string; prefix: string }[]

  constructor({ columns, updating }: Result) {
    this.#updating = updating
    this.#members = columns.map(({ name }) => ({ name, prefix: `${JSON.stringify(name)}:` }))
  }

  header(): string {
    return ''
  }

  lines(changes: readonly Change<Row>[]): string {
    let text = ''
    for (const { op, row } of changes) {
      text += this.#updating ? `{"op":"${op}","row":${this.#object(row)}}\n` : `${this.#object(row)}\n`
    }
    return text
  }

  #object(row: Row): string {
    let text = '{'
    for (const { name, prefix } of this.#members) {
      text += `${text === '{' ? '' : ','}${prefix}${toJson(row[name])}`
    }
    return `${text}}`
  }
}

/** RFC 4180 with line feeds. NULL is an empty field, an empty text a quoted one. */
class CsvRenderer implements Renderer {
  readonly #names: string[]
  readonly #updating: boolean

  constructor({ columns, updating }: Result) {
    this.#names = columns.map(({ name }) => name)
    this.#updating = updating
  }

  header(): string {
    return this.#line(this.#updating ? ['op', ...this.#names] : this.#names)
  }

  lines(changes: readonly Change<Row>[]): string {
    let text = ''
    for (const { op, row } of changes) {
      const cells = this.#names.map((name) => toCell(row[name]))
      text += this.#line(this.#updating ? [op, ...cells] : cells)
    }
    return text
  }

  #line(cells: (string | undefined)[]): string {
    return `${cells.map(csvField).join(',')}\n`
  }
}

function csvField(cell: string | undefined): string {
  if (cell === undefined) return ''
  return cell === '' || /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell
}

const numeric = /^(?:INT|BIGINT|DOUBLE|DECIMAL)/
const columnWidthMax = 60

/**
 * Columns as wide as the first changes need. A wider value that comes later widens its column from there
 * on: what is printed stays.
 */
class TableRenderer implements Renderer {
  readonly #columns: { name: string; right: boolean }[]
  readonly #updating: boolean
  #widths: number[] | undefined

  constructor({ columns, updating }: Result) {
    this.#columns = columns.map(({ name, type }) => ({ name, right: numeric.test(type) }))
    if (updating) this.#columns.unshift({ name: 'op', right: false })
    this.#updating = updating
  }

  header(): string {
    return ''
  }

  lines(changes: readonly Change<Row>[]): string {
    const names = this.#updating ? this.#columns.slice(1) : this.#columns
    const body = changes.map(({ op, row }) => {
      const cells = names.map(({ name }) => printable(toCell(row[name]) ?? ''))
      return this.#updating ? [op, ...cells] : cells
    })
    const head = this.#columns.map(({ name }) => printable(name))
    const first = this.#widths === undefined
    const widths = this.#widen(first ? [head, ...body] : body)
    const lines = body.map((cells) => this.#line(cells, widths))
    if (first) lines.unshift(this.#line(head, widths), widths.map((width) => '-'.repeat(width)).join('  '))
    return lines.map((line) => `${line}\n`).join('')
  }

  #widen(rows: string[][]): number[] {
    const widths = this.#widths ?? this.#columns.map(() => 0)
    for (const cells of rows) {
      cells.forEach((cell, index) => {
        widths[index] = Math.max(widths[index] ?? 0, Math.min(cell.length, columnWidthMax))
      })
    }
    this.#widths = widths
    return widths
  }

  #line(cells: string[], widths: number[]): string {
    const padded = cells.map((cell, index) => {
      const width = widths[index] ?? 0
      return this.#columns[index]?.right ? cell.padStart(width) : cell.padEnd(width)
    })
    return padded.join('  ').trimEnd()
  }
}

/** Control characters would move the terminal's cursor: they are shown as escapes. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => {
    const code = character.charCodeAt(0).toString(16).padStart(4, '0')
    return character === '\n' ? '\\n' : `\\u${code}`
  })
}

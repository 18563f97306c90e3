// Rows as values that can be compared, and the answer that a change log leads to.

import type { Change, Row } from '../../index.js'
import type { Answered } from './reference.js'
import type { Column } from './schema.js'

const RELATIVE_TOLERANCE = 1e-9

/** A row by value: `key` is all that must be equal, `doubles` what may differ by the tolerance. */
export interface Canonical {
  readonly key: string
  readonly doubles: readonly (number | null)[]
}

function exactText(value: unknown, { type }: Column): string {
  if (value === null || value === undefined) return 'NULL'
  if (type === 'STRING') return JSON.stringify(value)
  if (type !== 'DECIMAL') return String(value)
  const [whole = '', fraction = ''] = String(value).split('.')
  return `${whole}.${fraction.replace(/0+$/, '')}`
}

export function canonical(values: readonly unknown[], columns: readonly Column[]): Canonical {
  const exact: string[] = []
  const doubles: (number | null)[] = []
  columns.forEach((column, at) => {
    const value = values[at]
    if (column.type === 'DOUBLE') doubles.push(value === null ? null : Number(value) + 0)
    else exact.push(exactText(value, column))
  })
  return { key: exact.join(' '), doubles }
}

/** DuckDB's rows are arrays in column order. */
export function ofReference(row: readonly Answered[], columns: readonly Column[]): Canonical {
  return canonical(row, columns)
}

/** The engine's times are milliseconds. */
export function ofEngine(row: Row, columns: readonly Column[]): Canonical {
  const values = columns.map(({ name, type }) => {
    const value = row[name]
    return type === 'TIMESTAMP' && typeof value === 'number' ? Math.round(value * 1000) : value
  })
  return canonical(values, columns)
}

function near(left: number | null, right: number | null): boolean {
  if (left === null || right === null) return left === right
  return Math.abs(left - right) <= RELATIVE_TOLERANCE * Math.max(Math.abs(left), Math.abs(right))
}

export function same(left: Canonical, right: Canonical): boolean {
  return left.key === right.key && left.doubles.every((value, at) => near(value, right.doubles[at] ?? null))
}

export function show({ key, doubles }: Canonical): string {
  return [key, ...doubles.map((value) => (value === null ? 'NULL' : String(value)))].join(' ')
}

/** What the first has and the second lacks, and the other way round; both are multisets. */
export function difference(
  left: Iterable<Canonical>,
  right: Iterable<Canonical>,
): { onlyLeft: Canonical[]; onlyRight: Canonical[] } {
  const rest = new Map<string, Canonical[]>()
  for (const row of right) {
    const rows = rest.get(row.key)
    if (rows === undefined) rest.set(row.key, [row])
    else rows.push(row)
  }
  const onlyLeft: Canonical[] = []
  for (const row of left) {
    const rows = rest.get(row.key) ?? []
    const at = rows.findIndex((other) => same(row, other))
    if (at < 0) onlyLeft.push(row)
    else rows.splice(at, 1)
  }
  return { onlyLeft, onlyRight: [...rest.values()].flat() }
}

/** The rows that a change log has led to: by primary key, which may be empty, or a multiset without any. */
export class Answer {
  readonly #columns: readonly Column[]
  readonly #keyColumns: readonly Column[] | undefined
  readonly #rows = new Map<string, { row: Canonical; count: number }>()

  constructor(columns: readonly Column[], primaryKey: readonly string[] | undefined) {
    this.#columns = columns
    this.#keyColumns = primaryKey && columns.filter(({ name }) => primaryKey.includes(name))
  }

  /** Applies changes, of one step or of several; a sentence says which rule of a change log they break. */
  apply(changes: readonly Change<Row>[], isStep: boolean): string | undefined {
    const touched = new Map<string, string>()
    let onlyDeletes = true
    for (const { op, row } of changes) {
      const found = ofEngine(row, this.#columns)
      const key = show(this.#keyColumns === undefined ? found : ofEngine(row, this.#keyColumns))
      const before = this.#rows.get(key)
      const wrong =
        (isStep ? this.#repeated(touched.get(key), op) : undefined) ??
        this.#change(op, key, found, before) ??
        (isStep && op === 'delete' && !onlyDeletes
          ? 'a delete follows an insert or update of its step'
          : undefined)
      if (wrong !== undefined) return `${op} ${show(found)}: ${wrong}`
      touched.set(key, op)
      onlyDeletes &&= op === 'delete'
    }
    return undefined
  }

  #repeated(earlier: string | undefined, op: string): string | undefined {
    if (earlier === undefined || (this.#keyColumns === undefined && earlier === op)) return undefined
    return 'its row or key has already changed in this step'
  }

  #change(
    op: Change<Row>['op'],
    key: string,
    row: Canonical,
    before: { row: Canonical; count: number } | undefined,
  ): string | undefined {
    const keyed = this.#keyColumns !== undefined
    if (op === 'delete') {
      if (before === undefined) return 'there is no such row'
      if (show(before.row) !== show(row)) return `the row of that key is ${show(before.row)}`
      if (before.count === 1) this.#rows.delete(key)
      else before.count--
      return undefined
    }
    if (op === 'update') {
      if (!keyed) return 'an update without primary key'
      if (before === undefined) return 'there is no row with that key'
      if (show(before.row) === show(row)) return 'nothing has changed'
    } else if (keyed && before !== undefined) return 'there is a row with that key'
    if (keyed || before === undefined) this.#rows.set(key, { row, count: 1 })
    else before.count++
    return undefined
  }

  *rows(): Generator<Canonical> {
    for (const { row, count } of this.#rows.values()) for (let i = 0; i < count; i++) yield row
  }
}

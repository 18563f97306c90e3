// DuckDB's side: a history's prefixes as tables, and the answers of a query after each of them.

import { DuckDBInstance } from '@duckdb/node-api'
import type { DuckDBConnection } from '@duckdb/node-api'
import { versions, watermarks } from './history.js'
import type { History, Value } from './history.js'
import type { Query } from './query.js'
import { sources, streams } from './schema.js'
import type { Column, Source, Type } from './schema.js'

/** A row of an answer, and by what final rows come in order: lexicographically. */
export interface AnswerRow {
  readonly rank: readonly [number, number]
  readonly values: readonly Answered[]
}

/** A value of a result: times in microseconds, decimals as text. */
export type Answered = number | bigint | string | boolean | null

const DUCK_TYPE: Record<Exclude<Type, 'DECIMAL'>, string> = {
  INT: 'INTEGER',
  BIGINT: 'BIGINT',
  DOUBLE: 'DOUBLE',
  STRING: 'VARCHAR',
  BOOLEAN: 'BOOLEAN',
  TIMESTAMP: 'TIMESTAMP',
}

/** The exact mean to six more digits, half up: DuckDB's own is a DOUBLE. Its argument has two digits. */
const DECIMAL_MEAN = `CREATE MACRO decimal_mean(total, n) AS CAST(sign(total) AS INTEGER) * CAST(
  (2 * CAST(abs(total) * 100 AS HUGEINT) * 1000000 + n) // (2 * n) AS DECIMAL(24, 0)) * 0.00000001::DECIMAL(8, 8)`

function literal(value: Value | undefined, { type, scale }: Column): string {
  if (value === null || value === undefined) return 'NULL'
  if (type === 'TIMESTAMP') return `make_timestamp(${Number(value) * 1000})`
  if (type === 'STRING') return `'${String(value).replaceAll("'", "''")}'`
  return type === 'DECIMAL' ? `CAST(${value} AS DECIMAL(12, ${scale}))` : String(value)
}

function typeOf({ type, scale }: Column): string {
  return type === 'DECIMAL' ? `DECIMAL(12, ${scale})` : DUCK_TYPE[type]
}

/** A table from rows of literals. */
function table(name: string, columns: readonly string[], rows: readonly string[]): string {
  const fill = rows.length === 0 ? '' : `INSERT INTO ${name} VALUES ${rows.join(', ')};`
  return `CREATE OR REPLACE TABLE ${name} (${columns.join(', ')}); ${fill}`
}

/** A source's rows after each prefix. */
function prefixesOf(source: Source, history: History, marks: Record<string, number[]>): string {
  const { name, columns, kind } = source
  const named = columns.map((column) => `${column.name} ${typeOf(column)}`)
  const rows = versions(history, source).map(({ from, to, row }) => {
    const until = to === Infinity ? history.length + 1 : to - 1
    const time = kind === 'stream' ? Number(row['t']) * 1000 : 0
    const standing = marks[name]?.[from - 1] ?? 0
    const values = columns.map((column) => literal(row[column.name], column))
    return `(${[from, until, time, standing, ...values].join(', ')})`
  })
  const life = ['_from BIGINT', '_until BIGINT', '_et BIGINT', '_wm BIGINT']
  const hidden = kind === 'stream' ? ', _from AS _sq, _et, _wm' : ''
  const shown = columns.map((column) => column.name).join(', ')
  return `${table(`${name}_rows`, [...life, ...named], rows)}
    CREATE OR REPLACE TABLE ${name} AS SELECT prefix AS _p${hidden}, ${shown}
      FROM ${name}_rows JOIN prefixes ON prefix BETWEEN _from AND _until;`
}

export class Reference {
  readonly #connection: DuckDBConnection

  private constructor(connection: DuckDBConnection) {
    this.#connection = connection
  }

  static async open(): Promise<Reference> {
    const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
    const connection = await instance.connect()
    await connection.run(DECIMAL_MEAN)
    return new Reference(connection)
  }

  /** Makes the tables of a history; the queries that follow are over it. */
  async load(history: History): Promise<void> {
    const marks = watermarks(history)
    const clocks = streams.map(({ name }) => `w_${name} BIGINT`)
    const prefixes = Array.from({ length: history.length + 2 }, (_, at) => {
      return `(${[at, ...streams.map(({ name }) => marks[name]?.[at])].join(', ')})`
    })
    const statements = [
      table('prefixes', ['prefix BIGINT', ...clocks], prefixes),
      ...sources.map((source) => prefixesOf(source, history, marks)),
    ]
    await this.#connection.run(statements.join('\n'))
  }

  /** The rows of a query after each prefix of a history of `length` records, then those at end of input. */
  async answers(query: Query, length: number): Promise<AnswerRow[][]> {
    const result = await this.#connection.runAndReadAll(query.duck)
    const answers: AnswerRow[][] = Array.from({ length: length + 2 }, () => [])
    for (const [prefix, first, second, ...values] of result.getRows()) {
      answers[Number(prefix)]?.push({ rank: [Number(first), Number(second)], values: values as Answered[] })
    }
    return answers
  }

  close(): void {
    this.#connection.closeSync()
  }
}

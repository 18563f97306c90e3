// What the queries read: three streams with event times and three tables, the same for every case, so that
// records and query can be made, and shrunk, apart from each other.

export type Type = 'INT' | 'BIGINT' | 'DOUBLE' | 'DECIMAL' | 'STRING' | 'BOOLEAN' | 'TIMESTAMP'

/** A column of a relation, named alike in both systems. */
export interface Column {
  readonly name: string
  readonly type: Type
  /**
   * Whether both systems have the very same value. Sums and means of doubles may differ in the last digits:
   * then the column is compared with a tolerance, and no condition or key is made of it.
   */
  readonly exact: boolean
  /** Of a DECIMAL, the digits behind its point. */
  readonly scale?: number
}

export interface Source {
  readonly name: string
  readonly kind: 'stream' | 'table'
  readonly columns: readonly Column[]
  /** Of a table; a table without key is a multiset. */
  readonly key: readonly string[]
  /** Of a stream, how far the watermark stays behind. */
  readonly boundMicros: number
  /** Whether its records come in the order of their times. */
  readonly ordered?: boolean
  readonly definition: string
}

function column(name: string, type: Type, rest: Partial<Column> = {}): Column {
  return { name, type, exact: true, ...rest }
}

const id = column('id', 'INT')
const k = column('k', 'STRING')
const n = column('n', 'INT')
const m = column('m', 'BIGINT')
const x = column('x', 'DOUBLE')
const y = column('y', 'DOUBLE', { exact: false })
const d = column('d', 'DECIMAL', { scale: 2 })
const b = column('b', 'BOOLEAN')
const t = column('t', 'TIMESTAMP')

export const SECOND_MICROS = 1_000_000

export const sources: readonly Source[] = [
  {
    name: 's',
    kind: 'stream',
    columns: [k, n, m, x, y, d, b, t],
    key: [],
    boundMicros: 2 * SECOND_MICROS,
    definition: `CREATE STREAM s (k STRING, n INT, m BIGINT, x DOUBLE, y DOUBLE, d DECIMAL(12, 2), b BOOLEAN,
      t TIMESTAMP, WATERMARK FOR t AS t - INTERVAL '2' SECOND)`,
  },
  {
    name: 'r',
    kind: 'stream',
    columns: [k, n, x, t],
    key: [],
    boundMicros: 0,
    definition: 'CREATE STREAM r (k STRING, n INT, x DOUBLE, t TIMESTAMP, WATERMARK FOR t AS t)',
  },
  {
    name: 'o',
    kind: 'stream',
    columns: [k, n, x, t],
    key: [],
    boundMicros: 0,
    ordered: true,
    definition: 'CREATE STREAM o (k STRING, n INT, x DOUBLE, t TIMESTAMP, WATERMARK FOR t AS t)',
  },
  {
    name: 'p',
    kind: 'table',
    columns: [id, k, n, y, d],
    key: ['id'],
    boundMicros: 0,
    definition: 'CREATE TABLE p (id INT PRIMARY KEY, k STRING, n INT, y DOUBLE, d DECIMAL(12, 2))',
  },
  {
    name: 'q',
    kind: 'table',
    columns: [k, n, m, x],
    key: ['k', 'n'],
    boundMicros: 0,
    definition: 'CREATE TABLE q (k STRING, n INT, m BIGINT, x DOUBLE, PRIMARY KEY (k, n))',
  },
  {
    name: 'u',
    kind: 'table',
    columns: [k, n, b],
    key: [],
    boundMicros: 0,
    definition: 'CREATE TABLE u (k STRING, n INT, b BOOLEAN)',
  },
]

export function sourceNamed(name: string): Source {
  const found = sources.find((source) => source.name === name)
  if (found === undefined) throw new RangeError(`no source ${name}`)
  return found
}

export const streams = sources.filter(({ kind }) => kind === 'stream')

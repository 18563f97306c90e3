/** The types of the public surface. */

import type { ErrorCode } from './errors.js'

export type Row = Record<string, unknown>

/** Values for `?` and `$1` (an array), or for `:name` and `$name` (an object). */
export type Params = readonly unknown[] | Readonly<Record<string, unknown>>

/** `row` is the row the change is about: the new one, or the one that went. */
export type Change<T> =
  | { op: 'insert'; row: T }
  /** `before` only with `QueryOptions.before`. */
  | { op: 'update'; row: T; before?: T }
  | { op: 'delete'; row: T }

export interface OpenOptions {
  /** Partition threads per continuous query. 0 runs on the calling thread, synchronously. Default 1. */
  partitions?: number
  /** 'date' gives Date objects for TIMESTAMP columns, 'number' epoch milliseconds. Default 'date'. */
  timestamps?: 'date' | 'number'
  /** BIGINT out. 'auto': number while safe, bigint beyond. Default 'auto'. */
  bigints?: 'auto' | 'bigint' | 'string'
  /** DECIMAL out. Default 'string' (exact). */
  decimals?: 'string' | 'number'
  /** Mailbox capacity of each partition: batches (default 1000) or bytes (default 8 MiB), whichever first. */
  mailboxBatches?: number
  mailboxBytes?: number
  /** State of all queries together, bytes. Past it the growing query ends with ERR_VELO_LIMIT. Default: half of the memory. */
  memoryLimit?: number
  /**
   * Dead letters kept, default 1000; beyond it the oldest is dropped and counted. So are late records until listeners are
   * told of them, which is at every turn of the event loop.
   */
  deadLetterCapacity?: number
  /** Seed of RANDOM() and UUID(). */
  seed?: number
  /** Rows, and bytes, of undelivered changes a query may hold before the engine waits. Defaults 8192, 1 MiB. */
  outputRows?: number
  outputBytes?: number
  /** Longest time one delivery turn may hold the event loop, in ms. Default 4. */
  maxBlockMs?: number
  /** Grace of windows that declare none, e.g. '24 hours'. Default '0 seconds'. */
  defaultGrace?: string
  /** Source of NOW() and of the event time of streams that declare none, epoch ms. Default Date.now. */
  clock?: () => number
  signal?: AbortSignal
}

export interface QueryOptions {
  /** Gives updates the row they replace. */
  before?: boolean
  /**
   * 'key' keeps the order of each key's changes, but lets those of different keys come as their partitions give them,
   * which may be faster. It matters with `partitions` of 2 and more, for queries that share their work by key.
   * Default 'input': the order of the records.
   */
  order?: 'input' | 'key'
  /** What happens to a record that the query rejects. Default 'dead_letter'. */
  onError?: 'dead_letter' | 'null' | 'stop'
  signal?: AbortSignal
  /** Its id in metrics and SHOW QUERIES. */
  name?: string
}

export interface Column {
  name: string
  /** The SQL type, e.g. `DECIMAL(10, 2)`. */
  type: string
  nullable: boolean
  /** Whether it belongs to the primary key. */
  key: boolean
}

/**
 * Changes as columns. `ops` has 0 for insert, 1 for delete, 2 for the row before an update and 3 for the row
 * after it. Numbers are typed arrays (DOUBLE and TIMESTAMP in epoch milliseconds Float64Array, INT Int32Array,
 * BIGINT BigInt64Array, BOOLEAN Uint8Array of 0 and 1); the rest are arrays of values. `nulls` has 1 where the
 * value is NULL, and is undefined for a column without any.
 */
export interface ColumnBatch {
  length: number
  ops: Uint8Array
  columns: Record<string, ArrayLike<unknown>>
  nulls: Record<string, Uint8Array | undefined>
}

export interface LateRecord {
  relation: string
  query: string
  record: Row
  lateByMs: number
}

/**
 * Counters of one of a query's partitions. Where its plan is cut in two stages, what comes in is counted by the first, what
 * goes out by the second, and the rest by both.
 */
export interface PartitionMetrics {
  partition: number
  recordsIn: number
  batchesIn: number
  changesOut: number
  late: number
  deadLetters: number
  busyMs: number
  mailboxBatches: number
  mailboxBytes: number
  stateBytes: number
  groups: number
  latencyUs: { p50: number; p99: number; p999: number; max: number }
}

export interface QueryMetrics {
  id: string
  sql: string
  /** The time up to which its answer is complete: that of its streams, held back by what their windows wait for late records. */
  watermark: Date | null
  /** Undelivered changes; with `before` an update counts twice. */
  outputRows: number
  partitions: PartitionMetrics[]
}

export interface EngineMetrics {
  queries: QueryMetrics[]
  /** `recordsIn` counts records accepted; of a file, by all queries that read it. `watermark` is of the one that came furthest. */
  relations: { name: string; recordsIn: number; watermark: Date | null }[]
  stateBytes: number
  deadLettersTotal: number
  deadLettersDropped: number
  /** Late records beyond `deadLetterCapacity` of which no 'late' listener was told. */
  lateDropped: number
}

/** A record that could not be processed. */
export interface DeadLetter {
  relation: string
  /** The query that rejected it; null when it did not get that far. */
  query: string | null
  /** Which of the query's partitions met it: the one field that depends on how the work is shared. */
  partition: number
  /** The record's number within the relation, from 0. 0 for a row that failed when time made it final. */
  offset: number
  code: ErrorCode
  message: string
  /** Its row, or the bytes that could not be read. */
  record: Row | Uint8Array
  at: Date
}

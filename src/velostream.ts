/** An engine as callers see it. */

import { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'
import { Engine, type Target } from './engine.js'
import { VelostreamError, badArgument, guarded } from './errors.js'
import { insertFrom } from './insert-from.js'
import { nativeParams, nativeQueryOptions, requireText, timeMillis } from './options.js'
import { QueryProcessor, keyEncoder } from './processor.js'
import { Query } from './query.js'
import { StreamWriter } from './stream-writer.js'
import type {
  DeadLetter,
  EngineMetrics,
  LateRecord,
  OpenOptions,
  Params,
  QueryOptions,
  Row,
} from './types.js'
import { warmUp } from './warm-up.js'

const done: Promise<void> = Promise.resolve()

/** What 'deadLetter' and 'late' listeners get. */
export type VelostreamEvents = { deadLetter: [letter: DeadLetter]; late: [late: LateRecord] }

/** A signature of a function written in JavaScript, in SQL types. */
export interface FunctionSignature {
  args: string[]
  returns: string
}

/**
 * Starts an engine in this process. Engines are independent of each other. An aborted `signal` closes the
 * engine and rejects what is pending with its reason.
 */
export async function open(options: OpenOptions = {}): Promise<Velostream> {
  if (typeof options !== 'object' || options === null) throw badArgument('options must be an object')
  options.signal?.throwIfAborted?.()
  const engine = new Engine(options)
  warmUp(engine)
  return new Velostream(engine, options.signal)
}

/** Streams, tables and continuous queries over them. Made by `open`. */
export class Velostream implements AsyncDisposable {
  readonly #engine: Engine
  readonly #events = new EventEmitter<VelostreamEvents>()
  readonly #signal: AbortSignal | undefined

  /** @internal */
  constructor(engine: Engine, signal: AbortSignal | undefined) {
    this.#engine = engine
    this.#signal = signal
    signal?.addEventListener('abort', this.#abort, { once: true })
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#engine.closed
  }

  /** Runs DDL, INSERT, UPDATE, DELETE, DROP, SET: one or several statements, all bound before the first runs. */
  async exec(sql: string, params?: Params): Promise<void> {
    const engine = this.#engine
    engine.checkOpen()
    requireText(sql, 'sql')
    const given = nativeParams(params)
    await engine.ticket(() => {
      try {
        return engine.native.exec(sql, given, engine.clock())
      } finally {
        engine.forgetTargets()
      }
    })
  }

  /** Binds statements of any kind and runs none; throws with all that is wrong with them. */
  check(sql: string): void {
    this.#engine.checkOpen()
    requireText(sql, 'sql')
    guarded(() => this.#engine.native.check(sql))
  }

  /** Starts a continuous query. */
  query<T = Row>(sql: string, params?: Params, options: QueryOptions = {}): Query<T> {
    const engine = this.#engine
    engine.checkOpen()
    requireText(sql, 'sql')
    options.signal?.throwIfAborted()
    engine.flushWriters()
    const given = nativeParams(params)
    const native = nativeQueryOptions(options)
    const { handle, result } = guarded(() => engine.native.query(sql, given, native, engine.clock()))
    return new Query<T>(engine, handle, result, options)
  }

  /**
   * A snapshot of tables (and finite files) after every row accepted so far. Streams keep no rows:
   * ERR_VELO_UNSUPPORTED.
   */
  async all<T = Row>(sql: string, params?: Params): Promise<T[]> {
    const engine = this.#engine
    engine.checkOpen()
    requireText(sql, 'sql')
    const given = nativeParams(params)
    const rows = await engine.ticket(() => engine.native.all(sql, given, engine.clock()))
    return (rows ?? []) as T[]
  }

  /** The first row of `all`. */
  async get<T = Row>(sql: string, params?: Params): Promise<T | undefined> {
    return (await this.all<T>(sql, params))[0]
  }

  /** Accepts one row or many, all or none; resolves when they are in the mailboxes (at once while there is room). */
  async insert<T extends object>(relation: string, rows: T | Iterable<T>): Promise<void> {
    const engine = this.#engine
    engine.flushWriters()
    const { id, encoder } = engine.target(requireText(relation, 'relation'))
    const list = rowsOf(rows)
    if (list.length === 0) return
    await engine.withBlock((block) => {
      const length = encoder.encodeAll(list, block)
      return engine.offer(block, length, (bytes) => engine.native.insertRows(id, bytes, engine.clock()))
    })
  }

  /** Tombstones: deletes the rows with these primary keys from a source table. */
  async delete<T extends object>(relation: string, keys: T | Iterable<T>): Promise<void> {
    const engine = this.#engine
    engine.flushWriters()
    const { id, encoder } = engine.target(requireText(relation, 'relation'))
    const list = rowsOf(keys)
    if (list.length === 0) return
    await engine.withBlock((block) => {
      const length = keyEncoder(encoder).encodeAll(list, block)
      return engine.offer(block, length, (bytes) => engine.native.deleteRows(id, bytes, engine.clock()))
    })
  }

  /**
   * Rows as JSON bytes: NDJSON, concatenated objects or one array; parsed outside JavaScript. Chunks may end
   * inside a record unless `end` is set.
   */
  insertJson(relation: string, bytes: Uint8Array | string, options: { end?: boolean } = {}): Promise<void> {
    // Not `async`: of a small message that is gathered, a promise of its own would be a large part.
    try {
      const target = this.#engine.target(requireText(relation, 'relation'))
      if (typeof bytes !== 'string' && !(bytes instanceof Uint8Array)) {
        throw badArgument('bytes must be a Uint8Array or a string')
      }
      const chunk = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
      const end = options.end === true
      const gathered = this.#engine.gather(target, chunk, end)
      if (gathered === true) return done
      return gathered === false ? this.#insertJsonAlone(target, chunk, end) : gathered
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  async #insertJsonAlone(target: Target, chunk: Uint8Array, end: boolean): Promise<void> {
    const engine = this.#engine
    let taken: Uint8Array | undefined
    await engine.enter(() => {
      const accepted = engine.native.insertJson(target.id, taken ?? chunk, end, engine.clock())
      if (!accepted) taken ??= Uint8Array.prototype.slice.call(chunk)
      return accepted
    }, chunk.length)
    engine.gatherFrom(target)
  }

  /**
   * Drains any iterable, async iterable or Readable of rows or of JSON byte chunks, with back-pressure; resolves
   * to the number of rows, or of records accepted from the bytes.
   */
  async insertFrom(
    relation: string,
    source: Iterable<object> | AsyncIterable<object | Uint8Array> | Readable,
  ): Promise<number> {
    const engine = this.#engine
    const target = engine.target(requireText(relation, 'relation'))
    return insertFrom(engine, target, source)
  }

  /** The synchronous door: `push` takes the row; false means await `drain()` before the next one. */
  stream<T extends object = Row>(relation: string): StreamWriter<T> {
    return new StreamWriter<T>(this.#engine, this.#engine.target(requireText(relation, 'relation')))
  }

  /**
   * A synchronous processor over this catalogue's definitions, with state of its own that starts empty. Derived
   * relations are expanded down to their sources, and these alone are fed.
   */
  processor<T = Row>(sql: string, params?: Params, options: QueryOptions = {}): QueryProcessor<T> {
    const engine = this.#engine
    engine.checkOpen()
    requireText(sql, 'sql')
    const given = nativeParams(params)
    const nativeOptions = nativeQueryOptions(options)
    const native = guarded(() => engine.native.processor(sql, given, nativeOptions))
    return new QueryProcessor<T>(native, engine.clock, { ...engine.values, before: options.before })
  }

  /** Moves the watermark of one relation, or of all, to `time`. */
  async advanceTime(time: Date | number, relation?: string): Promise<void> {
    const engine = this.#engine
    engine.checkOpen()
    const millis = timeMillis(time)
    const id = relation === undefined ? undefined : engine.target(requireText(relation, 'relation')).id
    await engine.enter(() => engine.native.advanceTime(id, millis, engine.clock()))
  }

  /** Resolves when everything accepted so far is processed, and delivered where a listener is attached. */
  async flush(): Promise<void> {
    const engine = this.#engine
    engine.checkOpen()
    await engine.ticket(() => engine.native.flush())
    await engine.drained()
  }

  /** Declares end of input on one relation, or on all: what is open becomes final and is delivered. */
  async end(relation?: string): Promise<void> {
    const engine = this.#engine
    engine.checkOpen()
    const id = relation === undefined ? undefined : engine.target(requireText(relation, 'relation')).id
    await engine.enter(() => engine.native.end(id))
    engine.forgetTargets()
    await engine.ticket(() => engine.native.flush())
    await engine.drained()
  }

  /** The plan of a query, as text. */
  explain(sql: string): string {
    this.#engine.checkOpen()
    requireText(sql, 'sql')
    return guarded(() => this.#engine.native.explain(sql))
  }

  /** Scalar functions written in JavaScript: not yet. */
  createFunction(_name: string, _signature: FunctionSignature, _fn: (...args: never[]) => unknown): void {
    throw unsupported('createFunction')
  }

  /** Aggregate functions written in JavaScript: not yet. */
  createAggregate<S>(
    _name: string,
    _signature: FunctionSignature,
    _aggregate: {
      init(): S
      accumulate(state: S, ...args: never[]): S
      retract?(state: S, ...args: never[]): S
      finish(state: S): unknown
    },
  ): void {
    throw unsupported('createAggregate')
  }

  /** Counters of the engine, its queries and relations. */
  metrics(): EngineMetrics {
    this.#engine.checkOpen()
    this.#engine.flushWriters()
    return this.#engine.metrics()
  }

  /**
   * The same counters as OpenMetrics text, for a scraper: serve it as
   * `application/openmetrics-text; version=1.0.0; charset=utf-8`.
   */
  metricsText(): string {
    this.#engine.checkOpen()
    return guarded(() => this.#engine.native.metricsText())
  }

  /** Dead letters, oldest first; also emitted as 'deadLetter'. Bounded: `deadLetterCapacity`. */
  deadLetters(): DeadLetter[] {
    this.#engine.checkOpen()
    this.#engine.flushWriters()
    return guarded(() => this.#engine.native.deadLetters()).map((letter) => this.#engine.deadLetter(letter))
  }

  on<E extends keyof VelostreamEvents>(event: E, listener: (...args: VelostreamEvents[E]) => void): this {
    this.#engine.checkOpen()
    this.#events.on(event, listener as never)
    this.#subscribe()
    return this
  }

  off<E extends keyof VelostreamEvents>(event: E, listener: (...args: VelostreamEvents[E]) => void): this {
    this.#events.off(event, listener as never)
    this.#subscribe()
    return this
  }

  /** Ends the open queries, frees everything, and rejects what is pending. Idempotent. */
  async close(): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#abort)
    this.#engine.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  readonly #abort = (): void => this.#engine.close(this.#signal?.reason)

  #subscribe(): void {
    const { events } = this.#engine
    const emitting =
      <E extends keyof VelostreamEvents>(event: E) =>
      (value: VelostreamEvents[E][0]): void => {
        try {
          this.#events.emit(event, ...([value] as never))
        } catch (error) {
          process.emitWarning(error instanceof Error ? error : String(error))
        }
      }
    events.deadLetter = this.#events.listenerCount('deadLetter') > 0 ? emitting('deadLetter') : undefined
    events.late = this.#events.listenerCount('late') > 0 ? emitting('late') : undefined
  }
}

function rowsOf<T extends object>(rows: T | Iterable<T>): readonly T[] {
  if (Array.isArray(rows)) return rows as T[]
  if (typeof rows === 'object' && rows !== null && Symbol.iterator in rows)
    return Array.from(rows as Iterable<T>)
  return [rows as T]
}

function unsupported(name: string): VelostreamError {
  return new VelostreamError('ERR_VELO_UNSUPPORTED', `${name} is not supported yet`)
}

/** A running query: its changes for one reader, or for any number of listeners. */

import { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'
import type { NativeResult } from '#native'
import type { Deliverable, Engine } from './engine.js'
import { VelostreamError, fromNative } from './errors.js'
import { createDecoder, type Decoder, type DecoderOptions } from './marshal/decoder.js'
import type { Change, Column, ColumnBatch, QueryMetrics, QueryOptions, Row } from './types.js'

/** Changes taken out of the engine at a time. */
const pullRows = 1024
/** Changes handed to `change` listeners between two looks at the clock. */
const changesPerLook = 64

export type QueryEvents<T> = {
  change: [change: Change<T>]
  batch: [changes: Change<T>[]]
  error: [error: VelostreamError]
  end: []
}

/** What a pull gives: decoded changes, nothing now, or nothing any more. */
type Pulled<C> = { value: C } | 'empty' | 'ended'

interface Reader {
  resolve: () => void
  reject: (error: unknown) => void
}

/**
 * A query that runs until it ends by itself, fails or is closed. Read it with `for await`, `batches()`, `rows()`,
 * `columnBatches()`, `ndjson()` or `toReadable()`, which are one reader, or listen to `change` or `batch`. Unread
 * changes make the engine wait.
 */
export class Query<T = Row>
  extends EventEmitter<QueryEvents<T>>
  implements AsyncIterable<Change<T>>, AsyncDisposable
{
  readonly id: string
  /** Columns of the rows, in their order. */
  readonly columns: Column[]
  /** Names of the columns that identify a row; empty for append-only results. */
  readonly primaryKey: string[]
  /** Whether rows are updated or deleted. */
  readonly updating: boolean
  readonly #engine: Engine
  readonly #handle: number
  readonly #values: DecoderOptions
  readonly #decoder: Decoder
  readonly #signal: AbortSignal | undefined
  readonly #deliverable: Deliverable
  #state: 'open' | 'ended' | 'failed' = 'open'
  /** Why it failed, until somebody is told. */
  #failure: { error: unknown } | undefined
  #hasReader = false
  #waiting: Reader | undefined
  #listeners = 0
  /** Changes pulled for `change` listeners, and how many they have had. */
  #delivering: Change<T>[] = []
  #delivered = 0
  #drained: (() => void)[] = []
  #lastYield = 0
  #lastRead = -Infinity
  #lastMetrics: QueryMetrics | undefined

  /** Made by `Velostream.query`. */
  constructor(engine: Engine, handle: number, result: NativeResult, options: QueryOptions) {
    super({ captureRejections: true })
    this.id = result.id
    this.columns = result.columns
    this.primaryKey = result.primaryKey
    this.updating = result.updating
    this.#engine = engine
    this.#handle = handle
    this.#values = { ...engine.values, before: options.before }
    this.#decoder = createDecoder(result.columns, this.#values)
    this.#signal = options.signal
    this.#deliverable = this.#asDeliverable()
    engine.addQuery(this.#deliverable)
    // Through the base class, whose event map has these two.
    EventEmitter.prototype.on.call(this, 'newListener', (event) => this.#listenerAdded(event))
    EventEmitter.prototype.on.call(this, 'removeListener', (event) => this.#listenerRemoved(event))
    this.#signal?.addEventListener('abort', this.#abort, { once: true })
  }

  /** Every change, in the order of the records that caused them. Leaving the loop closes the query. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Change<T>> {
    this.#claim()
    return this.#flattened(() => this.#pull(() => this.#changes()))
  }

  /** The same, as many at a time as there are, up to some thousand. */
  batches(): AsyncIterableIterator<Change<T>[]> {
    this.#claim()
    return this.#reading(() => this.#pull(() => this.#changes()))
  }

  /** Rows instead of changes; refused for a query whose result is updated. */
  rows(): AsyncIterableIterator<T> {
    if (this.updating) {
      const hint = 'read the changes, or use EMIT FINAL'
      throw new VelostreamError('ERR_VELO_UPDATING', `query ${this.id} updates its rows`, { hint })
    }
    this.#claim()
    return this.#flattened(() => this.#pull(() => this.#decoder.rows(this.#engine.memory) as T[]))
  }

  /** Columns instead of row objects. */
  columnBatches(): AsyncIterableIterator<ColumnBatch> {
    this.#claim()
    return this.#reading(() => this.#pull(() => this.#decoder.columns(this.#engine.memory)))
  }

  /**
   * The changes as bytes of NDJSON, whole lines, up to some 256 KiB at a time, made outside JavaScript: the rows of an
   * append-only result, `{"name":value,...}`; where the result is updated the changes, `{"op":"update","row":{...}}`,
   * with `before` behind `row` where the query gives it.
   *
   * Values are as `JSON.stringify` writes them under the options of `open`; BIGINT has all its digits, BYTES are base64
   * and NaN and infinities are text.
   */
  ndjson(): AsyncIterableIterator<Uint8Array> {
    this.#claim()
    const { native } = this.#engine
    const { timestamps, bigints, decimals, before = false } = this.#values
    native.readNdjson(this.#handle, {
      timestampsAsNumbers: timestamps === 'number',
      bigintsAsText: bigints === 'string',
      decimalsAsNumbers: decimals === 'number',
      before,
    })
    return this.#reading(() => {
      const value = native.pullNdjson(this.#handle)
      if (value === null) return 'ended'
      return value.length === 0 ? 'empty' : { value }
    })
  }

  /** The changes as a stream of objects. Destroying it closes the query. */
  toReadable(): Readable {
    // Loaded when it is needed: its many modules are a part of what an import takes.
    return process.getBuiltinModule('node:stream').Readable.from(this)
  }

  /** Counters; those of the end once it has ended. */
  metrics(): QueryMetrics {
    if (this.#lastMetrics !== undefined) return this.#lastMetrics
    const found = this.#engine.metrics().queries.find(({ id }) => id === this.id)
    return found ?? { id: this.id, sql: '', watermark: null, outputRows: 0, partitions: [] }
  }

  /** Ends the query: a pending read is done, undelivered changes are dropped. Idempotent. */
  async close(): Promise<void> {
    this.#end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** A listener that gives a promise which rejects. */
  override [EventEmitter.captureRejectionSymbol](error: Error, ..._event: unknown[]): void {
    this.#fail(listenerError(this.id, error))
  }

  #asDeliverable(): Deliverable {
    return {
      id: this.id,
      isWanted: () => this.#state === 'open' && (this.#listeners > 0 || this.#waiting !== undefined),
      lastRead: () => this.#lastRead,
      deliver: (deadline) => this.#deliver(deadline),
      drained: () => this.#whenDrained(),
      engineClosed: (reason) => (reason === undefined ? this.#end() : this.#fail(reason)),
    }
  }

  #whenDrained(): Promise<void> {
    if (this.#state !== 'open' || this.#listeners === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#drained.push(resolve)
      this.#engine.scheduleTurn()
    })
  }

  #listenerAdded(event: unknown): void {
    if (event !== 'change' && event !== 'batch') return
    if (this.#hasReader) throw oneReader(this.id)
    this.#listeners += 1
    if (this.#listeners === 1 && this.#state === 'open') this.#wanted(true)
    this.#engine.scheduleTurn()
  }

  #listenerRemoved(event: unknown): void {
    if (event !== 'change' && event !== 'batch') return
    this.#listeners -= 1
    if (this.#listeners === 0 && this.#state === 'open') {
      this.#wanted(false)
      this.#settleDrained()
    }
  }

  #wanted(wanted: boolean): void {
    if (wanted) this.#engine.keepAlive.acquire()
    else this.#engine.keepAlive.release()
    if (!this.#engine.closed) this.#engine.native.queryHasReader(this.#handle, wanted)
  }

  #claim(): void {
    if (this.#hasReader || this.#listeners > 0) throw oneReader(this.id)
    this.#hasReader = true
  }

  #changes(): Change<T>[] {
    return this.#decoder.changes(this.#engine.memory) as Change<T>[]
  }

  #pull<C>(decode: () => C): Pulled<C> {
    const { native, memory } = this.#engine
    const length = native.pull(this.#handle, pullRows, memory.u8)
    if (length === 0) return 'empty'
    if (length < 0) return 'ended'
    if (length > memory.capacity) this.#engine.reread(length)
    return { value: decode() }
  }

  // Reading

  /** What comes next, waiting for it; undefined at the end. */
  async #read<C>(pull: () => Pulled<C>): Promise<{ value: C } | undefined> {
    await this.#giveWay()
    for (;;) {
      if (this.#failure !== undefined) throw this.#takeFailure()
      if (this.#state !== 'open') return undefined
      let pulled: Pulled<C>
      try {
        pulled = pull()
      } catch (error) {
        this.#fail(fromNative(error))
        continue
      }
      if (pulled === 'ended') this.#end()
      else if (pulled === 'empty') await this.#wake()
      else {
        this.#lastRead = performance.now()
        return pulled
      }
    }
  }

  /** Gives the event loop a turn when reading has held it for long. */
  async #giveWay(): Promise<void> {
    const now = performance.now()
    if (now - this.#lastYield < this.#engine.maxBlockMs) return
    await new Promise((resolve) => setImmediate(resolve))
    this.#lastYield = performance.now()
  }

  /** Resolves when it is worth pulling again. */
  #wake(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#wanted(true)
    })
  }

  #settleWaiting(): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    this.#waiting = undefined
    this.#wanted(false)
    waiting.resolve()
  }

  #reading<C>(pull: () => Pulled<C>): AsyncIterableIterator<C> {
    return this.#iterator(async (): Promise<IteratorResult<C>> => {
      const next = await this.#read(pull)
      return next === undefined ? { done: true, value: undefined } : { done: false, value: next.value }
    })
  }

  #flattened<C>(pull: () => Pulled<C[]>): AsyncIterableIterator<C> {
    let batch: C[] = []
    let position = 0
    return this.#iterator(async (): Promise<IteratorResult<C>> => {
      while (position === batch.length) {
        const next = await this.#read(pull)
        if (next === undefined) return { done: true, value: undefined }
        batch = next.value
        position = 0
      }
      // Closed while the batch was being read.
      if (this.#state === 'ended') return { done: true, value: undefined }
      const value = batch[position] as C
      position += 1
      return { done: false, value }
    })
  }

  /** `next` calls run one after the other, however they are made. */
  #iterator<C>(next: () => Promise<IteratorResult<C>>): AsyncIterableIterator<C> {
    let last: Promise<unknown> | undefined
    const iterator: AsyncIterableIterator<C> = {
      next: () => {
        const result = last === undefined ? next() : last.then(next, next)
        last = result
        const settled = (): void => {
          if (last === result) last = undefined
        }
        result.then(settled, settled)
        return result
      },
      return: async () => {
        await this.close()
        return { done: true, value: undefined }
      },
      [Symbol.asyncIterator]: () => iterator,
    }
    return iterator
  }

  // Listening

  #deliver(deadline: number): boolean {
    if (this.#waiting !== undefined) {
      this.#settleWaiting()
      return false
    }
    try {
      for (;;) {
        if (!this.#emitDelivering(deadline)) return this.#state === 'open'
        if (this.#state !== 'open' || this.#listeners === 0) return false
        const pulled = this.#pull(() => this.#changes())
        if (pulled === 'empty') {
          this.#settleDrained()
          return false
        }
        if (pulled === 'ended') {
          this.#end()
          return false
        }
        this.#emitBatch(pulled.value)
        if (performance.now() >= deadline) return this.#state === 'open'
      }
    } catch (error) {
      this.#fail(fromNative(error))
      return false
    }
  }

  #emitBatch(changes: Change<T>[]): void {
    if (this.listenerCount('batch') > 0) {
      try {
        this.emit('batch', changes)
      } catch (error) {
        return this.#fail(listenerError(this.id, error))
      }
    }
    if (this.listenerCount('change') === 0) return
    this.#delivering = changes
    this.#delivered = 0
  }

  /** Hands out single changes; false when time ran out first. */
  #emitDelivering(deadline: number): boolean {
    const changes = this.#delivering
    try {
      while (this.#delivered < changes.length && this.#state === 'open') {
        const until = Math.min(this.#delivered + changesPerLook, changes.length)
        while (this.#delivered < until && this.#state === 'open') {
          const change = changes[this.#delivered] as Change<T>
          this.#delivered += 1
          this.emit('change', change)
        }
        if (this.#delivered < changes.length && performance.now() >= deadline) return false
      }
    } catch (error) {
      this.#fail(listenerError(this.id, error))
    }
    this.#delivering = []
    this.#delivered = 0
    return true
  }

  #settleDrained(): void {
    const drained = this.#drained
    this.#drained = []
    for (const resolve of drained) resolve()
  }

  // Ending

  readonly #abort = (): void => this.#fail(this.#signal?.reason)

  /** Leaves the engine; what waits is settled. */
  #leave(state: 'ended' | 'failed'): void {
    this.#lastMetrics = this.#engine.closed ? this.#emptyMetrics() : this.metrics()
    this.#state = state
    this.#signal?.removeEventListener('abort', this.#abort)
    this.#engine.removeQuery(this.#deliverable)
    if (this.#listeners > 0) this.#engine.keepAlive.release()
    if (!this.#engine.closed) this.#engine.native.closeQuery(this.#handle)
    this.#settleDrained()
  }

  #emptyMetrics(): QueryMetrics {
    return { id: this.id, sql: '', watermark: null, outputRows: 0, partitions: [] }
  }

  #end(): void {
    if (this.#state !== 'open') return
    if (!this.#engine.closed) this.#engine.emitEvents()
    this.#leave('ended')
    this.#settleWaiting()
    this.#emitSafely(() => this.emit('end'))
  }

  #fail(error: unknown): void {
    if (this.#state !== 'open') return
    this.#leave('failed')
    this.#failure = { error }
    if (this.#waiting !== undefined) this.#settleWaiting()
    else if (this.#hasReader) return
    else if (this.listenerCount('error') > 0) {
      const taken = this.#takeFailure()
      this.#emitSafely(() => this.emit('error', taken as VelostreamError))
    } else if (this.listenerCount('change') + this.listenerCount('batch') > 0) {
      process.emitWarning(this.#takeFailure() as Error)
    }
  }

  #takeFailure(): unknown {
    const error = this.#failure?.error
    this.#failure = undefined
    return error
  }

  /** The last events have nobody else to tell when their listeners throw. */
  #emitSafely(emit: () => void): void {
    try {
      emit()
    } catch (error) {
      process.emitWarning(listenerError(this.id, error))
    }
  }
}

function oneReader(id: string): VelostreamError {
  return new VelostreamError('ERR_VELO_STATE', `query ${id} is read already: it has one reader, or listeners`)
}

function listenerError(id: string, cause: unknown): VelostreamError {
  const message = cause instanceof Error ? cause.message : String(cause)
  return new VelostreamError('ERR_VELO_ARGUMENT', `a listener of query ${id} failed: ${message}`, { cause })
}

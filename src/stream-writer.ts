/** The synchronous door of one relation. */

import type { Buffered, Engine, Target } from './engine.js'
import { VelostreamError, badArgument, fromNative } from './errors.js'
import { RowBlock } from './marshal/layout.js'
import type { Column, Row } from './types.js'

/** Rows, and bytes, gathered before they go to the engine. */
const rowsMax = 1024
const bytesMax = 1 << 20

/**
 * The rows of one relation, pushed synchronously.
 *
 * `push` takes the row and returns false when the engine is behind: await `drain()` before the next one. Rows
 * reach the engine in the order pushed, at the latest at the end of the current macrotask. A row that does not
 * fit throws and is not taken.
 */
export class StreamWriter<T extends object = Row> implements Buffered {
  /** Columns of the relation. */
  readonly columns: Column[]
  readonly #engine: Engine
  readonly #target: Target
  readonly #block = new RowBlock()
  #rows = 0
  #scheduled = false
  #waiting: Promise<void> | undefined
  /** An error of rows that had to wait, for the next call. */
  #failure: { error: unknown } | undefined

  /** Made by `Velostream.stream`. */
  constructor(engine: Engine, target: Target) {
    this.#engine = engine
    this.#target = target
    this.columns = target.encoder.columns
  }

  /** Takes the row; false means that the engine is behind. */
  push(row: T): boolean {
    this.#check()
    this.#add(row, 0)
    return !this.#behind
  }

  /** Takes all rows, or none where one does not fit; false means that the engine is behind. */
  pushMany(rows: Iterable<T>): boolean {
    this.#check()
    this.flushRows()
    const all = Array.isArray(rows) ? (rows as T[]) : Array.from(rows)
    if (all.length === 0) return !this.#behind
    this.#engine.withBlock((block) => this.#send(block, this.#target.encoder.encodeAll(all, block), 0))
    return !this.#behind
  }

  /** Takes JSON bytes, which may end inside a record; false means that the engine is behind. */
  pushJson(bytes: Uint8Array): boolean {
    this.#check()
    if (!(bytes instanceof Uint8Array))
      throw badArgument('pushJson takes bytes: a Buffer or another Uint8Array')
    this.endJson(bytes, false)
    return !this.#behind
  }

  /** Resolves when the engine has room again. */
  async drain(): Promise<void> {
    this.#check()
    this.flushRows()
    await this.#waiting
    this.#check()
  }

  /** As `push`, naming the row `index` in an error. For `insertFrom`. */
  pushAt(row: object, index: number): boolean {
    this.#check()
    this.#add(row, index)
    return !this.#behind
  }

  /** As `pushJson`; with `end` the last record is complete. For `insertFrom`. */
  endJson(bytes: Uint8Array, end: boolean): void {
    this.flushRows()
    const { native, clock } = this.#engine
    const send = (chunk: Uint8Array): boolean => native.insertJson(this.#target.id, chunk, end, clock())
    this.#offer(bytes, send)
  }

  flushRows(): void {
    if (this.#rows === 0) return
    const rows = this.#rows
    this.#rows = 0
    this.#engine.removeDirty(this)
    this.#send(this.#block, this.#block.finish(rows), 0)
  }

  get #behind(): boolean {
    return this.#waiting !== undefined || this.#engine.door.isBlocked
  }

  #check(): void {
    this.#engine.checkOpen()
    if (this.#failure === undefined) return
    const { error } = this.#failure
    this.#failure = undefined
    throw error
  }

  #add(row: object, index: number): void {
    const { encoder } = this.#target
    const block = this.#block
    if (block.busy) throw new VelostreamError('ERR_VELO_STATE', 'push was called while a row was being read')
    if (this.#rows === 0) block.start(rowsMax, encoder.columns.length)
    const heap = block.heap
    block.busy = true
    try {
      encoder.encodeRow(row, block, this.#rows)
    } catch (error) {
      block.heap = heap
      throw at(error, index - this.#rows)
    } finally {
      block.busy = false
    }
    if (block.uncertain) return this.#addAlone(index, heap)
    this.#rows += 1
    if (this.#rows === 1) this.#engine.addDirty(this)
    if (this.#rows === rowsMax || block.heap > bytesMax) this.flushRows()
    else this.#schedule()
  }

  /** A row with a value that only the engine can judge goes there at once, so that `push` can throw. */
  #addAlone(index: number, heap: number): void {
    const row = this.#rows
    this.#engine.withBlock((alone) => {
      const length = this.#block.extract(row, heap, alone)
      this.#block.heap = heap
      this.#block.uncertain = false
      this.flushRows()
      this.#send(alone, length, index)
    })
  }

  #send(block: RowBlock, length: number, index: number): void {
    const { native, clock } = this.#engine
    const send = (bytes: Uint8Array): boolean => native.insertRows(this.#target.id, bytes, clock())
    try {
      this.#offer(block.u8.subarray(0, length), send)
    } catch (error) {
      throw at(error, index)
    }
  }

  /** Offers bytes that the caller may reuse afterwards. */
  #offer(bytes: Uint8Array, send: (bytes: Uint8Array) => boolean): void {
    const engine = this.#engine
    engine.flushMessages()
    try {
      if (!engine.door.isBlocked && send(bytes)) return engine.accepted()
    } catch (error) {
      throw fromNative(error)
    }
    const copy = Uint8Array.prototype.slice.call(bytes)
    const waiting = engine
      .waitAtDoor(() => send(copy))
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .then(() => {
        if (this.#waiting === waiting) this.#waiting = undefined
      })
    this.#waiting = waiting
  }

  /** Behind the microtasks that are due, so that a loop which awaits nothing else still makes full batches. */
  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => process.nextTick(() => this.#flushScheduled()))
  }

  #flushScheduled(): void {
    this.#scheduled = false
    if (this.#engine.closed) return
    try {
      this.flushRows()
    } catch (error) {
      this.#failure ??= { error }
    }
  }
}

/** The same error, its row counted from `base`. */
function at(error: unknown, base: number): unknown {
  if (base === 0 || !(error instanceof VelostreamError) || error.index === undefined) return error
  const { code, message, relation, field, index } = error
  const details = { index: index + base, ...(relation && { relation }), ...(field && { field }) }
  return new VelostreamError(code, message, details)
}

/**
 * The engine behind one `open`: what its queries, writers and calls share.
 *
 * Wakes come from the addon; each leads to one turn, which admits waiting calls, settles tickets and delivers
 * changes, and gives the event loop back after `maxBlockMs`.
 */

import { NativeEngine } from '#native'
import { Door } from './door.js'
import { closedError, fromNative, guarded, type ErrorCode } from './errors.js'
import { JsonMessages } from './json-messages.js'
import { KeepAlive } from './keep-alive.js'
import { createDecoder, type DecoderOptions } from './marshal/decoder.js'
import { createEncoder, type Encoder } from './marshal/encoder.js'
import { Memory, RowBlock } from './marshal/layout.js'
import { nativeOptions } from './options.js'
import { metricsOf } from './metrics.js'
import type { DeadLetter, EngineMetrics, LateRecord, OpenOptions, Row } from './types.js'

/** How long unread changes may block an insert before a warning says so. */
const stallWarningMs = 1000

/**
 * Bytes that calls may bring in before one of them waits for a turn while somebody reads: promises that resolve at
 * once would never let the event loop deliver, and the engine would wait for that.
 */
const bytesPerTurn = 256 * 1024

/** Undelivered changes that a query holds, as `OpenOptions.outputRows` has it. */
const outputRowsDefault = 8192

/** A query as the engine's turns see it. */
export interface Deliverable {
  readonly id: string
  /** Whether somebody waits for its changes. */
  isWanted(): boolean
  /** When a reader last took changes, as `performance.now()` has it. */
  lastRead(): number
  /** Delivers what there is until `deadline`; true when there is more. */
  deliver(deadline: number): boolean
  /** Resolves when listeners have had everything that is there now. */
  drained(): Promise<void>
  /** Ends it with the engine; `reason` where it was an abort. */
  engineClosed(reason: unknown): void
}

/** A writer whose rows have not reached the engine. */
export interface Buffered {
  flushRows(): void
}

/** A relation that takes rows. */
export interface Target {
  id: number
  encoder: Encoder
  /** Where small messages are gathered, once one was taken as it is: of a stream, with threads. */
  messages: JsonMessages | undefined
}

interface Pending {
  resolve: (rows: Row[] | undefined) => void
  reject: (error: unknown) => void
}

export interface EngineEvents {
  deadLetter: ((letter: DeadLetter) => void) | undefined
  late: ((late: LateRecord) => void) | undefined
}

export class Engine {
  readonly native: NativeEngine
  readonly keepAlive = new KeepAlive()
  readonly door = new Door(this.keepAlive)
  readonly clock: () => number
  readonly values: DecoderOptions
  readonly maxBlockMs: number
  readonly synchronous: boolean
  /** Where change blocks are read from. */
  readonly memory = new Memory()
  readonly events: EngineEvents = { deadLetter: undefined, late: undefined }
  closed = false
  readonly #queries = new Set<Deliverable>()
  readonly #tickets = new Map<number, Pending>()
  readonly #dirty = new Set<Buffered>()
  readonly #targets = new Map<string, Target>()
  /** Where messages are gathered now: of one relation at a time. */
  #messages: JsonMessages | undefined
  readonly #block = new RowBlock()
  readonly #warned = new Set<string>()
  readonly #outputRows: number
  #turnScheduled = false
  /** Bytes that came in since the last turn, and who waits for the next one. */
  #bytesIn = 0
  #awaitingTurn: (() => void)[] = []
  #stallTimer: NodeJS.Timeout | undefined
  /** What pending calls were rejected with. */
  #closeReason: unknown

  constructor(options: OpenOptions) {
    const { timestamps, bigints, decimals } = options
    this.values = { timestamps, bigints, decimals }
    this.clock = options.clock ?? Date.now
    this.maxBlockMs = options.maxBlockMs ?? 4
    this.#outputRows = options.outputRows ?? outputRowsDefault
    this.synchronous = options.partitions === 0
    const native = nativeOptions(options)
    this.native = guarded(() => new NativeEngine(native, () => this.#turn()))
  }

  checkOpen(): void {
    if (this.closed) throw closedError('engine')
  }

  /** The relation called `name`, with its encoder. */
  target(name: string): Target {
    this.checkOpen()
    let target = this.#targets.get(name)
    if (target === undefined) {
      const { id, columns, name: declared } = guarded(() => this.native.relation(name))
      target = { id, encoder: createEncoder(declared, columns), messages: undefined }
      this.#targets.set(name, target)
    }
    return target
  }

  /** Relations may have changed. */
  forgetTargets(): void {
    this.#targets.clear()
  }

  /** Gives `use` a block that no other call is writing. */
  withBlock<R>(use: (block: RowBlock) => R): R {
    const block = this.#block.busy ? new RowBlock() : this.#block
    block.busy = true
    try {
      return use(block)
    } finally {
      block.busy = false
    }
  }

  /** Offers a block of rows of `send`; it is copied if it has to wait. */
  offer(block: RowBlock, length: number, send: (bytes: Uint8Array) => boolean): Promise<void> {
    const bytes = block.u8.subarray(0, length)
    try {
      if (!this.door.isBlocked && send(bytes)) {
        this.accepted()
        return this.#paced(Promise.resolve(), length)
      }
    } catch (error) {
      return Promise.reject(fromNative(error))
    }
    const copy = Uint8Array.prototype.slice.call(bytes)
    return this.waitAtDoor(() => send(copy))
  }

  /** Makes a call, which brings in so many bytes, in its turn, after everything written so far. */
  enter(attempt: () => boolean, bytes = 0): Promise<void> {
    this.flushWriters()
    const done = this.door.enter(attempt)
    if (this.door.isBlocked) {
      this.watchForStall()
      return done
    }
    this.accepted()
    return this.#paced(done, bytes)
  }

  /** What a call that brought in bytes waits for: itself, and now and then a turn. */
  #paced(done: Promise<void>, bytes: number): Promise<void> {
    this.#bytesIn += bytes
    if (this.#bytesIn < bytesPerTurn || !this.#isAnyWanted()) return done
    return done.then(() => this.#nextTurn())
  }

  #isAnyWanted(): boolean {
    for (const query of this.#queries) if (query.isWanted()) return true
    return false
  }

  #nextTurn(): Promise<void> {
    if (this.closed) return Promise.resolve()
    this.scheduleTurn()
    return new Promise((resolve) => this.#awaitingTurn.push(resolve))
  }

  #endTurn(): void {
    this.#bytesIn = 0
    const waiting = this.#awaitingTurn
    this.#awaitingTurn = []
    for (const resolve of waiting) resolve()
  }

  waitAtDoor(attempt: () => boolean): Promise<void> {
    this.watchForStall()
    return this.door.wait(attempt)
  }

  /** Something was taken; without threads its changes are there already. */
  accepted(): void {
    if (this.synchronous) this.scheduleTurn()
  }

  /** Makes a call that gives a ticket, and waits for what it gives. */
  async ticket(make: () => number | undefined | null): Promise<Row[] | undefined> {
    let id: number | undefined | null
    await this.enter(() => {
      id = make()
      return true
    })
    if (id === undefined || id === null) return undefined
    const ticket = id
    return new Promise((resolve, reject) => {
      if (this.closed) return reject(this.#closeReason)
      this.keepAlive.acquire()
      this.#tickets.set(ticket, { resolve, reject })
      this.watchForStall()
      this.scheduleTurn()
    })
  }

  addDirty(writer: Buffered): void {
    this.#dirty.add(writer)
  }

  removeDirty(writer: Buffered): void {
    this.#dirty.delete(writer)
  }

  /** Lets everything written so far enter. Taking a message flushes the writers, so what they hold came after it. */
  flushWriters(): void {
    this.flushMessages()
    for (const writer of this.#dirty) writer.flushRows()
  }

  /** Lets gathered messages enter, before what a writer gives. */
  flushMessages(): void {
    this.#messages?.flushRows()
  }

  /** Takes a message in with those before it, where they are gathered: whether it did, or what there is to wait for. */
  gather({ messages }: Target, message: Uint8Array, end: boolean): Promise<void> | boolean {
    if (messages === undefined) return false
    if (this.#dirty.size > 0 || this.#messages !== messages) {
      this.flushWriters()
      this.#messages = messages
    }
    if (!messages.take(message, end)) return false
    this.#bytesIn += message.length
    if (this.#bytesIn < bytesPerTurn || !this.#isAnyWanted()) return true
    messages.flushRows()
    return this.#nextTurn()
  }

  /** From here on the relation's small messages are gathered, if they can be. */
  gatherFrom(target: Target): void {
    const isTable = target.encoder.columns.some(({ key }) => key)
    if (!this.synchronous && !isTable) target.messages ??= new JsonMessages(this, target.id)
  }

  addQuery(query: Deliverable): void {
    this.#queries.add(query)
  }

  removeQuery(query: Deliverable): void {
    this.#queries.delete(query)
  }

  /** Resolves when the listeners of all queries have had everything that is there now. */
  async drained(): Promise<void> {
    this.keepAlive.acquire()
    try {
      await Promise.all(Array.from(this.#queries, (query) => query.drained()))
    } finally {
      this.keepAlive.release()
    }
    if (!this.closed) this.emitEvents()
  }

  metrics(): EngineMetrics {
    return metricsOf(guarded(() => this.native.metrics()))
  }

  scheduleTurn(): void {
    if (this.#turnScheduled || this.closed) return
    this.#turnScheduled = true
    setImmediate(() => {
      this.#turnScheduled = false
      this.#turn()
    })
  }

  /** Never throws: it is called by the addon. */
  #turn(): void {
    if (this.closed) return
    try {
      this.native.woken()
      this.door.retry()
      const more = this.#deliverAll()
      this.#pollTickets()
      this.emitEvents()
      if (more) this.scheduleTurn()
    } catch (error) {
      process.emitWarning(fromNative(error) as Error)
    }
    this.#endTurn()
  }

  #deliverAll(): boolean {
    const deadline = performance.now() + this.maxBlockMs
    let more = false
    for (const query of Array.from(this.#queries)) {
      if (query.isWanted() && query.deliver(deadline)) {
        more = true
        // Behind the others: a query that always has more must not keep them waiting.
        if (this.#queries.delete(query)) this.#queries.add(query)
      }
      if (this.closed) return false
    }
    return more
  }

  #pollTickets(): void {
    for (const [ticket, pending] of this.#tickets) {
      if (this.closed) return
      try {
        const outcome = this.native.poll(ticket)
        if (outcome === null || outcome === undefined) continue
        const { columns } = outcome
        this.#settle(ticket)
        pending.resolve(columns ? this.#ticketRows(columns) : undefined)
      } catch (error) {
        this.#settle(ticket)
        pending.reject(fromNative(error))
      }
    }
  }

  #settle(ticket: number): void {
    this.#tickets.delete(ticket)
    this.keepAlive.release()
  }

  #ticketRows(columns: Parameters<typeof createDecoder>[0]): Row[] {
    const decoder = createDecoder(columns, this.values)
    const length = this.reread(0)
    return length === 0 ? [] : decoder.rows(this.memory)
  }

  /** Reads the held block again until it fits; `length` is what the last attempt gave. */
  reread(length: number): number {
    let needed = length
    do {
      this.memory.reserve(needed)
      needed = this.native.reread(this.memory.u8)
    } while (needed > this.memory.capacity)
    return needed
  }

  /** Tells listeners of dead letters and late records what came since. */
  emitEvents(): void {
    const { deadLetter, late } = this.events
    if (deadLetter !== undefined) {
      for (const letter of this.native.takeNewDeadLetters()) deadLetter(this.deadLetter(letter))
    }
    if (late === undefined || this.closed) return
    for (const one of this.native.takeLate()) {
      const [record = {}] = this.#rowsOf(one.columns, one.bytes)
      late({ relation: one.relation, query: one.query, record, lateByMs: one.lateByMs })
    }
  }

  deadLetter(native: ReturnType<NativeEngine['deadLetters']>[number]): DeadLetter {
    const { relation, query, partition, offset, code, message, columns, bytes, at } = native
    const record = columns.length === 0 ? bytes : (this.#rowsOf(columns, bytes)[0] ?? {})
    return {
      relation,
      query: query ?? null,
      partition,
      offset,
      code: code as ErrorCode,
      message,
      record,
      at: new Date(at),
    }
  }

  #rowsOf(columns: Parameters<typeof createDecoder>[0], bytes: Uint8Array): Row[] {
    const memory = new Memory(bytes.length)
    memory.u8.set(bytes)
    return createDecoder(columns, this.values).rows(memory)
  }

  /** Warns, once per query, when unread changes have blocked a call for a second. */
  watchForStall(): void {
    if (this.#stallTimer !== undefined) return
    this.#stallTimer = setInterval(() => this.#warnOfStall(), stallWarningMs).unref()
  }

  #warnOfStall(): void {
    const { blockedSince } = this.door
    if (blockedSince === undefined && this.#tickets.size === 0) {
      clearInterval(this.#stallTimer)
      this.#stallTimer = undefined
      return
    }
    if (blockedSince !== undefined && performance.now() - blockedSince < stallWarningMs / 2) return
    // A flush waits for unread changes only where their queue is full.
    const least = blockedSince === undefined ? this.#outputRows : 1
    const read = new Set<string>()
    for (const query of this.#queries) {
      // A reader that is not waiting may be busy with what it took.
      const isBusy = performance.now() - query.lastRead() < stallWarningMs
      if (isBusy || query.isWanted()) read.add(query.id)
    }
    for (const { id, outputRows } of this.metrics().queries) {
      if (outputRows < least || read.has(id) || this.#warned.has(id)) continue
      this.#warned.add(id)
      process.emitWarning(
        `query ${id} has ${outputRows} unread changes and nobody reads them: calls that wait for room wait for that`,
        { type: 'VelostreamWarning', code: 'VELO_UNREAD' },
      )
    }
  }

  /** Idempotent. Pending promises reject with `reason`, or as closed. */
  close(reason?: unknown): void {
    if (this.closed) return
    try {
      this.flushMessages()
      this.emitEvents()
    } catch (error) {
      process.emitWarning(fromNative(error) as Error)
    }
    this.closed = true
    clearInterval(this.#stallTimer)
    for (const query of Array.from(this.#queries)) query.engineClosed(reason)
    this.#queries.clear()
    this.native.close()
    this.#endTurn()
    const error = reason ?? closedError('engine')
    this.#closeReason = error
    this.door.close(error)
    const pending = [...this.#tickets.values()]
    this.#tickets.clear()
    for (const { reject } of pending) {
      this.keepAlive.release()
      reject(error)
    }
  }
}

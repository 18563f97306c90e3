/** Small JSON messages of one stream, gathered on their way to the engine. */

import type { Engine } from './engine.js'
import { fromNative } from './errors.js'

/** Messages, and bytes, that go to the engine as one call at most. */
const messagesMax = 1024
const bytesMax = 64 * 1024
/** What is longer is worth a call of its own. */
const messageBytesMax = 4 * 1024
/** Marks where the last record is complete. */
const complete = 2 ** 31

/**
 * What `insertJson` has taken and the engine has not: messages of one moment of the clock, each with its end. A call
 * per message costs several times what is in it.
 *
 * They reach the engine before any other call does, and at the latest at the end of the current macrotask, so that
 * nothing but the cost tells them from calls of their own.
 */
export class JsonMessages {
  readonly #engine: Engine
  readonly #relation: number
  readonly #bytes = Buffer.allocUnsafe(bytesMax)
  readonly #ends = new Uint32Array(messagesMax)
  #length = 0
  #count = 0
  #now = 0
  #scheduled = false

  constructor(engine: Engine, relation: number) {
    this.#engine = engine
    this.#relation = relation
  }

  /** Takes a message, unless it is better off alone. */
  take(message: Uint8Array, end: boolean): boolean {
    if (message.length > messageBytesMax || this.#engine.door.isBlocked) return false
    const now = this.#engine.clock()
    const hasRoom = this.#count < messagesMax && this.#length + message.length <= bytesMax
    if (this.#count > 0 && (!hasRoom || now !== this.#now)) {
      this.flushRows()
      if (this.#engine.door.isBlocked) return false
    }
    if (this.#count === 0) {
      this.#now = now
      this.#schedule()
    }
    this.#bytes.set(message, this.#length)
    this.#length += message.length
    this.#ends[this.#count++] = end ? this.#length + complete : this.#length
    return true
  }

  flushRows(): void {
    if (this.#count === 0) return
    const engine = this.#engine
    const bytes = this.#bytes.subarray(0, this.#length)
    const ends = this.#ends.subarray(0, this.#count)
    const now = this.#now
    this.#length = 0
    this.#count = 0
    const send = (given: Uint8Array, at: Uint32Array): boolean =>
      engine.native.insertJsonMessages(this.#relation, given, at, now)
    try {
      if (!engine.door.isBlocked && send(bytes, ends)) return engine.accepted()
    } catch (error) {
      return warn(error)
    }
    const [copy, copiedEnds] = [Uint8Array.prototype.slice.call(bytes), ends.slice()]
    engine
      .waitAtDoor(() => send(copy, copiedEnds))
      .catch((error: unknown) => {
        if (!engine.closed) warn(error)
      })
  }

  /** Behind the microtasks that are due, so that a loop which awaits nothing else still makes full batches. */
  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() =>
      process.nextTick(() => {
        this.#scheduled = false
        if (!this.#engine.closed) this.flushRows()
      }),
    )
  }
}

/** Nobody waits for the messages any more. */
function warn(error: unknown): void {
  process.emitWarning(fromNative(error) as Error)
}

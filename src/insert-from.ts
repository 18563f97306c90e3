/** Drains a source of rows, or of JSON bytes, into a relation. */

import type { Readable } from 'node:stream'
import type { Engine, Target } from './engine.js'
import { badArgument } from './errors.js'
import { StreamWriter } from './stream-writer.js'

/** Rows taken from a source between two looks at the clock. */
const rowsPerLook = 256

type Source = Iterable<unknown> | AsyncIterable<unknown> | Readable

/** The number of rows taken, or of records accepted from bytes. */
export async function insertFrom(engine: Engine, target: Target, source: Source): Promise<number> {
  if (source instanceof Uint8Array || typeof source !== 'object' || source === null) {
    throw badArgument('source must be an iterable, an async iterable or a Readable')
  }
  const drain = new Drain(engine, target)
  if (Symbol.asyncIterator in source) {
    for await (const item of source) await drain.take(item)
  } else if (Symbol.iterator in source) {
    for (const item of source) {
      const pause = drain.take(item)
      if (pause !== undefined) await pause
    }
  } else throw badArgument('source must be an iterable, an async iterable or a Readable')
  return drain.finish()
}

class Drain {
  readonly #engine: Engine
  readonly #target: Target
  readonly #writer: StreamWriter
  readonly #recordsBefore: number
  #rows = 0
  #hasBytes = false
  #lastYield = performance.now()

  constructor(engine: Engine, target: Target) {
    this.#engine = engine
    this.#target = target
    this.#writer = new StreamWriter(engine, target)
    this.#recordsBefore = this.#recordsIn()
  }

  /** Takes a row or a chunk; what to wait for before the next one. */
  take(item: unknown): Promise<unknown> | undefined {
    if (item instanceof Uint8Array || typeof item === 'string') {
      this.#hasBytes = true
      const roomy = this.#writer.pushJson(typeof item === 'string' ? Buffer.from(item) : item)
      return roomy ? undefined : this.#writer.drain()
    }
    const roomy = this.#writer.pushAt(item as object, this.#rows)
    this.#rows += 1
    if (!roomy) return this.#writer.drain()
    return this.#rows % rowsPerLook === 0 ? this.#giveWay() : undefined
  }

  async finish(): Promise<number> {
    if (this.#hasBytes) this.#writer.endJson(new Uint8Array(0), true)
    await this.#writer.drain()
    return this.#hasBytes ? this.#recordsIn() - this.#recordsBefore : this.#rows
  }

  #giveWay(): Promise<unknown> | undefined {
    if (performance.now() - this.#lastYield < this.#engine.maxBlockMs) return undefined
    return new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      this.#lastYield = performance.now()
    })
  }

  #recordsIn(): number {
    const { relation } = this.#target.encoder
    return this.#engine.metrics().relations.find(({ name }) => name === relation)?.recordsIn ?? 0
  }
}

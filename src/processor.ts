/** The synchronous way: a record in, its changes out, in one call. */

import type { NativeProcessor, NativeRelation } from '#native'
import { VelostreamError, badArgument, closedError, fromNative } from './errors.js'
import { createDecoder, type Decoder, type DecoderOptions } from './marshal/decoder.js'
import { createEncoder, type Encoder } from './marshal/encoder.js'
import { RowBlock, noRoom } from './marshal/layout.js'
import { timeMillis } from './options.js'
import type { Change, Column, Row } from './types.js'

interface Source {
  position: number
  encoder: Encoder
}

/**
 * One query over its sources, with state of its own. Each call gives the changes of its records, in their
 * order; a record that cannot be processed throws and leaves everything as it was.
 */
export class QueryProcessor<T = Row> implements Disposable {
  readonly columns: Column[]
  readonly primaryKey: string[]
  readonly updating: boolean
  readonly #native: NativeProcessor
  readonly #clock: () => number
  readonly #decoder: Decoder
  readonly #sources = new Map<string, Source>()
  readonly #only: Source | undefined
  /** One row in, and over it the changes out: the memory that `#processOne` knows. */
  readonly #one: RowBlock
  readonly #processOne: (nowMs?: number) => void
  readonly #readsClock: boolean
  /** The same for calls with any number of rows. */
  readonly #block = new RowBlock()
  #closed = false

  /** Made by `Velostream.processor`. */
  constructor(native: NativeProcessor, clock: () => number, options: DecoderOptions) {
    this.#native = native
    this.#clock = clock
    const { columns, primaryKey, updating } = native.result()
    this.columns = columns
    this.primaryKey = primaryKey
    this.updating = updating
    this.#decoder = createDecoder(columns, options)
    const sources = native.sources().map(sourceOf)
    for (const source of sources) this.#sources.set(source.encoder.relation.toLowerCase(), source)
    this.#only = sources.length === 1 ? sources[0] : undefined
    this.#one = new RowBlock(undefined, (bytes) => native.renewMemory(bytes))
    this.#processOne = native.bound()
    this.#readsClock = native.readsClock()
  }

  /** Applies one record and returns its net change, in order. */
  process(record: object): Change<T>[]
  process(relation: string, record: object): Change<T>[]
  process(relationOrRecord: object | string, record?: object): Change<T>[] {
    let source = this.#only
    let row: object | undefined
    if (typeof relationOrRecord === 'string') {
      source = this.#source(relationOrRecord)
      row = record
    } else {
      row = relationOrRecord
      if (source === undefined) throw this.#severalSources()
    }
    const block = this.#one
    try {
      source.encoder.encodeOne(row, block)
      block.u32[3] = source.position
      if (this.#readsClock) this.#processOne(this.#clock())
      else this.#processOne()
      const rows = block.u32[0] as number
      if (rows === 0) return []
      if (rows === noRoom) return this.#changes(block.u32[1] as number, block)
      return this.#decoder.changes(block) as Change<T>[]
    } catch (error) {
      throw this.#converted(error)
    }
  }

  /** The same changes as one by one. Atomic: an error carries the record's index and undoes the whole batch. */
  processBatch(records: Iterable<object>): Change<T>[]
  processBatch(relation: string, records: Iterable<object>): Change<T>[]
  processBatch(relationOrRecords: string | Iterable<object>, records?: Iterable<object>): Change<T>[] {
    const named = typeof relationOrRecords === 'string'
    const source = named ? this.#source(relationOrRecords) : this.#only
    if (source === undefined) throw this.#severalSources()
    const rows = named ? records : relationOrRecords
    if (typeof rows !== 'object' || rows === null || !(Symbol.iterator in rows)) {
      throw badArgument('records must be an iterable of objects')
    }
    const all = Array.isArray(rows) ? (rows as object[]) : Array.from(rows)
    if (all.length === 0) return []
    const block = this.#freeBlock()
    block.busy = true
    try {
      const length = source.encoder.encodeAll(all, block)
      const changed = this.#native.process(source.position, block.u8, length, this.#clock())
      return this.#changes(changed, block)
    } catch (error) {
      throw this.#converted(error)
    } finally {
      block.busy = false
    }
  }

  /** A tombstone: deletes the row with this primary key from a source table. */
  delete(relation: string, key: object): Change<T>[] {
    const source = this.#source(relation)
    return this.#call((block) => {
      const length = keyEncoder(source.encoder).encodeOne(key, block)
      return this.#native.delete(source.position, block.u8, length, this.#clock())
    })
  }

  /** From here on `rollback()` undoes every record since the last `commit()`, in every operator. */
  begin(): void {
    this.#run(() => this.#native.begin())
  }

  commit(): void {
    this.#run(() => this.#native.commit())
  }

  rollback(): void {
    this.#run(() => this.#native.rollback())
  }

  /** Moves the watermark of every source; gives what became final. */
  advanceTime(time: Date | number): Change<T>[] {
    const millis = timeMillis(time)
    return this.#call((block) => this.#native.advanceTime(millis, block.u8))
  }

  /** Ends the input; gives what was open. */
  end(): Change<T>[] {
    return this.#call((block) => this.#native.end(block.u8))
  }

  /** Frees the state. Idempotent. */
  close(): void {
    this.#closed = true
    this.#native.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** A getter of a batch's row may call: then the block is being written. */
  #freeBlock(): RowBlock {
    return this.#block.busy ? new RowBlock() : this.#block
  }

  #call(call: (block: RowBlock) => number): Change<T>[] {
    const block = this.#freeBlock()
    try {
      return this.#changes(call(block), block)
    } catch (error) {
      throw this.#converted(error)
    }
  }

  #run(call: () => void): void {
    try {
      call()
    } catch (error) {
      throw this.#converted(error)
    }
  }

  #changes(length: number, block: RowBlock): Change<T>[] {
    if (length === 0) return []
    let needed = length
    while (needed > block.capacity) {
      block.reserve(needed)
      needed = this.#native.reread(block.u8)
    }
    return this.#decoder.changes(block) as Change<T>[]
  }

  #source(relation: string): Source {
    const source = this.#sources.get(relation.toLowerCase())
    if (source !== undefined) return source
    const names = [...this.#sources.values()].map(({ encoder }) => encoder.relation)
    const message = `${relation} is not a source of this processor`
    throw new VelostreamError('ERR_VELO_UNKNOWN_NAME', message, { hint: `it reads ${names.join(', ')}` })
  }

  #severalSources(): VelostreamError {
    const names = [...this.#sources.values()].map(({ encoder }) => encoder.relation)
    const message =
      names.length === 0
        ? 'the query reads no source'
        : `name the source of the record: ${names.join(' or ')}`
    return badArgument(message)
  }

  #converted(error: unknown): unknown {
    return this.#closed ? closedError('processor') : fromNative(error)
  }
}

function sourceOf({ name, columns }: NativeRelation, position: number): Source {
  return { position, encoder: createEncoder(name, columns) }
}

const keyEncoders = new WeakMap<Encoder, Encoder>()

/** Writes only the key's columns of a row; the others are NULL. */
export function keyEncoder(encoder: Encoder): Encoder {
  let found = keyEncoders.get(encoder)
  if (found === undefined) {
    const columns = encoder.columns.map((column) => ({ ...column, nullable: column.nullable || !column.key }))
    found = createEncoder(encoder.relation, columns)
    keyEncoders.set(encoder, found)
  }
  return found
}

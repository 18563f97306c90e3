/**
 * How rows cross between JavaScript and the engine: blocks in one reused memory, little-endian.
 *
 * A row block goes in (`encoder.ts` writes it, `velostream-runtime` reads it):
 *
 *     u32 rows, u32 heap offset, u32 heap length, u32 position of the source where a call does not name it
 *     per column: a tag byte per row, padded to 8; then a slot of 8 bytes per row
 *     heap: the text and bytes of the slots
 *
 * A slot holds, by its tag: 1 a double, 2 a signed 64-bit integer, 3 text and 5 bytes as (u32 offset in the
 * heap, u32 length), 4 a boolean in its first byte; 0 is NULL. Padding is not read.
 *
 * A change block comes out (`velostream-runtime` writes it, `decoder.ts` reads it):
 *
 *     u32 rows, u32 heap offset, u32 heap length, u32 flags (1: the heap is ASCII)
 *     an op byte per row, padded to 8: 0 insert, 1 delete, 2 before an update, 3 after it
 *     per column: a byte that says whether it has NULLs, a byte with the number of its different texts, padded to 8;
 *       where it has NULLs, or where there is only one row, a byte per row (0 is NULL), padded to 8; then its values,
 *       padded to 8: BOOLEAN u8, INT i32, DOUBLE f64, BIGINT i64, TIMESTAMP f64 epoch milliseconds; of the others,
 *       as text or bytes, u32 ends in the heap, where they stand column by column, row by row
 *
 * Where the number of different texts is not 0, they stand in the heap once each: a byte per row tells which is its
 * own, padded to 8, and then come the u32 ends of the texts, padded to 8.
 */

export const headerBytes = 16
/** Where the columns of a change block of one row begin, the bytes of each, and where in these its parts are. */
export const oneRow = { firstColumn: 24, columnBytes: 24, validAt: 8, valueAt: 16 } as const
/** Where in a column's first 8 bytes the number of its different texts is. */
export const differentAt = 1
/** In place of the number of rows: the changes need more bytes than there are, and the second word says how many. */
export const noRoom = 0xffffffff
export const tags = { null: 0, number: 1, bigint: 2, text: 3, boolean: 4, bytes: 5 } as const
export const ops = { insert: 0, delete: 1, before: 2, after: 3 } as const
export const asciiFlag = 1

/** What of a SQL type matters here: its name without precision. */
export type TypeName =
  'BOOLEAN' | 'INT' | 'BIGINT' | 'DOUBLE' | 'DECIMAL' | 'STRING' | 'BYTES' | 'DATE' | 'TIME' | 'TIMESTAMP'

export function typeName(type: string): TypeName {
  const open = type.indexOf('(')
  return (open < 0 ? type : type.slice(0, open)) as TypeName
}

/** `bytes` rounded up to a multiple of 8. */
export function padded(bytes: number): number {
  return (bytes + 7) & ~7
}

const initialBytes = 16 * 1024

/** A buffer's own decoders, which cost less than `toString`. */
export interface DecodingBuffer extends Buffer {
  latin1Slice(start: number, end: number): string
  utf8Slice(start: number, end: number): string
}

/** Makes a buffer of at least so many bytes. */
export type Allocate = (bytes: number) => ArrayBuffer

const allocateHere: Allocate = (bytes) => new ArrayBuffer(padded(bytes))

/** Memory that blocks are laid in: one buffer, seen as every type, that only grows. */
export class Memory {
  u8!: DecodingBuffer
  i32!: Int32Array
  u32!: Uint32Array
  f64!: Float64Array
  i64!: BigInt64Array
  capacity = 0
  readonly #allocate: Allocate

  constructor(bytes = initialBytes, allocate = allocateHere) {
    this.#allocate = allocate
    this.#view(allocate(bytes))
  }

  /** Makes room for `bytes` in all and keeps what is there. */
  reserve(bytes: number): void {
    if (bytes <= this.capacity) return
    const old = this.u8
    this.#view(this.#allocate(Math.max(bytes, this.capacity * 2)))
    this.u8.set(old)
  }

  #view(buffer: ArrayBuffer): void {
    this.u8 = Buffer.from(buffer) as DecodingBuffer
    this.i32 = new Int32Array(buffer)
    this.u32 = new Uint32Array(buffer)
    this.f64 = new Float64Array(buffer)
    this.i64 = new BigInt64Array(buffer)
    this.capacity = buffer.byteLength
  }
}

/** A row block under construction. */
export class RowBlock extends Memory {
  /** Whether rows of a call are being written, so that a getter's own call needs another block. */
  busy = false
  /** Whether a value was written whose text only the engine can judge. */
  uncertain = false
  /** Bytes, and slots of 8 bytes, from one column's tags to the next one's. */
  stride = 0
  slotStride = 0
  /** The first column's slots, counted in slots. */
  firstSlot = 0
  heapStart = 0
  /** Where the heap ends. */
  heap = 0
  #columns = 0
  #laidFor = 0

  /** Lays the block out for `rows` rows of `columns` columns. */
  start(rows: number, columns: number): void {
    const tagBytes = padded(rows)
    this.stride = tagBytes + rows * 8
    this.slotStride = this.stride >>> 3
    this.firstSlot = (headerBytes + tagBytes) >>> 3
    this.heapStart = headerBytes + columns * this.stride
    this.heap = this.heapStart
    this.uncertain = false
    this.#columns = columns
    this.#laidFor = rows
    this.reserve(this.heapStart)
  }

  /** Writes the header for the first `rows` rows, moving columns together where fewer came; the block's length. */
  finish(rows: number): number {
    if (rows < this.#laidFor) this.#compact(rows)
    const { u32 } = this
    u32[0] = rows
    u32[1] = this.heapStart
    u32[2] = this.heap - this.heapStart
    u32[3] = 0
    return this.heap
  }

  /** Writes the row last written, whose texts begin at `heap`, as a block of its own; its length. */
  extract(row: number, heap: number, into: RowBlock): number {
    into.start(1, this.#columns)
    const moved = heap - this.heapStart
    for (let column = 0; column < this.#columns; column += 1) {
      const tag = this.u8[headerBytes + column * this.stride + row] as number
      const from = this.firstSlot + column * this.slotStride + row
      const to = into.firstSlot + column * into.slotStride
      into.u8[headerBytes + column * into.stride] = tag
      into.i64[to] = this.i64[from] as bigint
      if (tag === tags.text || tag === tags.bytes) into.u32[to * 2] = (into.u32[to * 2] as number) - moved
    }
    into.reserve(into.heap + this.heap - heap)
    into.u8.set(this.u8.subarray(heap, this.heap), into.heap)
    into.heap += this.heap - heap
    return into.finish(1)
  }

  #compact(rows: number): void {
    const tagBytes = padded(rows)
    const stride = tagBytes + rows * 8
    const slotsAt = padded(this.#laidFor)
    for (let column = 0; column < this.#columns; column += 1) {
      const from = headerBytes + column * this.stride
      const to = headerBytes + column * stride
      this.u8.copyWithin(to, from, from + rows)
      this.u8.copyWithin(to + tagBytes, from + slotsAt, from + slotsAt + rows * 8)
    }
  }
}

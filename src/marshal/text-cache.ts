/**
 * Short ASCII texts that were made before, so that a value which comes again (a group's key, mostly) costs a
 * comparison instead of a new string.
 */

import type { DecodingBuffer } from './layout.js'

/** Bytes of the longest text that is kept. */
export const cachedMax = 16
/** Texts kept, one per hash. */
const slots = 1024

export class TextCache {
  readonly #bytes = new Uint8Array(slots * cachedMax)
  readonly #texts: string[] = Array<string>(slots).fill('')

  /** The text of `length` ASCII bytes, at most `cachedMax`, from `at` on. */
  get(u8: DecodingBuffer, at: number, length: number): string {
    let hash = length
    for (let i = 0; i < length; i += 1) hash = (Math.imul(hash, 31) + (u8[at + i] as number)) | 0
    const slot = (hash ^ (hash >>> 11)) & (slots - 1)
    const bytes = this.#bytes
    const kept = slot * cachedMax
    const text = this.#texts[slot] as string
    if (text.length === length) {
      let i = 0
      while (i < length && bytes[kept + i] === u8[at + i]) i += 1
      if (i === length) return text
    }
    const made = u8.latin1Slice(at, at + length)
    for (let i = 0; i < length; i += 1) bytes[kept + i] = u8[at + i] as number
    this.#texts[slot] = made
    return made
  }
}

// NDJSON by hand, as fast as JavaScript reads bytes: fields of known names in a known order, texts interned.
//
// It knows what it will read and checks nothing, so it is a bound for what JavaScript can do, not a parser.

import type { Values } from './scenarios.js'

const NEWLINE = 10
const QUOTE = 34
const MINUS = 45
const POINT = 46
const ZERO = 48
const NINE = 57

export interface Scanner {
  /** Reads bytes that end anywhere. */
  chunk(bytes: Buffer): void
  /** Reads one whole record. */
  message(bytes: Buffer): void
}

/** `take` gets one record object, reused. */
export function scanner(sample: Values, take: (record: Values) => void): Scanner {
  const names = Object.keys(sample)
  const isText = names.map((name) => typeof sample[name] === 'string')
  // `{"name":` or `,"name":`, and the opening quote of a text
  const lead = names.map((name, at) => name.length + 4 + (isText[at] === true ? 1 : 0))
  const texts = new Map<number, string>()
  const record: Values = { ...sample }
  let rest: Buffer = Buffer.alloc(0)

  const scan = (bytes: Buffer, end: number) => {
    let at = 0
    while (at < end) {
      for (let field = 0; field < names.length; field++) {
        at += lead[field] as number
        let byte = bytes[at] as number
        if (isText[field] === true) {
          const start = at
          let hash = 0
          while (byte !== QUOTE) {
            hash = (Math.imul(hash, 31) + byte) | 0
            byte = bytes[++at] as number
          }
          const known = texts.get(hash)
          const text = known ?? bytes.toString('latin1', start, at)
          if (known === undefined) texts.set(hash, text)
          record[names[field] as string] = text
          at++
          continue
        }
        const negative = byte === MINUS
        if (negative) byte = bytes[++at] as number
        let value = 0
        while (byte >= ZERO && byte <= NINE) {
          value = value * 10 + (byte - ZERO)
          byte = bytes[++at] as number
        }
        if (byte === POINT) {
          let unit = 0.1
          while ((byte = bytes[++at] as number) >= ZERO && byte <= NINE) {
            value += (byte - ZERO) * unit
            unit /= 10
          }
        }
        record[names[field] as string] = negative ? -value : value
      }
      at += 2
      take(record)
    }
  }

  return {
    chunk(chunk) {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      const end = bytes.lastIndexOf(NEWLINE) + 1
      scan(bytes, end)
      rest = bytes.subarray(end)
    },
    message: (bytes) => scan(bytes, bytes.length),
  }
}

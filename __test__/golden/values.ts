// Words of golden files as JavaScript values, and values of any type as texts that can be compared.

import type { Word } from './format.js'

const MICROS_PER_SECOND = 1_000_000n

function isNull(word: Word): boolean {
  return !word.quoted && word.text === 'NULL'
}

function kind(type: string): string {
  return type.split('(')[0] ?? type
}

/** Microseconds of seconds since the epoch, or of ISO text. */
function micros(text: string): bigint {
  const seconds = /^(-?)(\d+)(?:\.(\d{1,6}))?$/.exec(text)
  if (seconds !== null) {
    const [, sign, whole = '0', fraction = ''] = seconds
    const total = BigInt(whole) * MICROS_PER_SECOND + BigInt(fraction.padEnd(6, '0'))
    return sign === '-' ? -total : total
  }
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? ''
  const whole = Date.parse(text.replace(/\.\d+/, ''))
  return BigInt(whole) * 1000n + BigInt(fraction.padEnd(6, '0').slice(0, 6))
}

/** A word as the value that a record holds in a column of this type. */
export function input(word: Word, type: string): unknown {
  if (isNull(word)) return null
  const { text } = word
  switch (kind(type)) {
    case 'BOOLEAN':
      return text === 'true'
    case 'INT':
    case 'DOUBLE':
      return Number(text)
    case 'BIGINT':
      return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text)
    case 'BYTES':
      return Buffer.from(text.slice(2), 'hex')
    case 'TIMESTAMP':
      return /^-?[\d.]+$/.test(text) ? Number(micros(text)) / 1000 : text
    default:
      return text
  }
}

function double(value: number): string {
  return String(Number(value.toPrecision(12)) + 0)
}

/** An expected word in the form in which values are compared. */
export function expected(word: Word, type: string): string {
  if (isNull(word)) return 'NULL'
  const { text } = word
  switch (kind(type)) {
    case 'BOOLEAN':
    case 'INT':
    case 'BIGINT':
    case 'DATE':
    case 'TIME':
      return text
    case 'DOUBLE':
      return double(Number(text))
    case 'DECIMAL': {
      const scale = Number(/,\s*(\d+)\)/.exec(type)?.[1] ?? 0)
      const [whole = '', fraction = ''] = text.split('.')
      return scale === 0 ? whole : `${whole}.${fraction.padEnd(scale, '0')}`
    }
    case 'TIMESTAMP':
      return `${micros(text)} us`
    default:
      return JSON.stringify(text)
  }
}

/** A value of a row in the form in which values are compared. */
export function actual(value: unknown, type: string): string {
  if (value === null) return 'NULL'
  switch (kind(type)) {
    case 'DOUBLE':
      return double(value as number)
    case 'TIMESTAMP':
      return `${Math.round((value as number) * 1000)} us`
    case 'BYTES':
      return JSON.stringify(`0x${Buffer.from(value as Uint8Array).toString('hex')}`)
    case 'STRING':
      return JSON.stringify(value)
    default:
      return String(value)
  }
}

/** Checks what callers give, and converts it for the addon. */

import { types } from 'node:util'
import type { NativeOptions, NativeParam, NativeQueryOptions } from '#native'
import { badArgument } from './errors.js'
import type { OpenOptions, Params, QueryOptions } from './types.js'

const unitMicros: Record<string, number> = {
  ms: 1e3,
  millisecond: 1e3,
  s: 1e6,
  second: 1e6,
  m: 60e6,
  minute: 60e6,
  h: 3600e6,
  hour: 3600e6,
  d: 86_400e6,
  day: 86_400e6,
  week: 604_800e6,
}

/** Microseconds of a duration such as `24 hours` or `500ms`. */
function durationMicros(text: unknown, name: string): number {
  const found = typeof text === 'string' ? /^\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*$/i.exec(text) : null
  const unit = found?.[2]?.toLowerCase() ?? ''
  const micros = unitMicros[unit] ?? unitMicros[unit.replace(/s$/, '')]
  if (found === null || micros === undefined) {
    throw badArgument(`${name} must be a duration such as '24 hours', not ${String(text)}`)
  }
  return Number(found[1]) * micros
}

function wholeNumber(value: unknown, name: string, least: number, most: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    throw badArgument(`${name} must be a whole number from ${least} to ${most}, not ${String(value)}`)
  }
  return value
}

function oneOf<T>(value: unknown, name: string, allowed: readonly T[]): void {
  if (value !== undefined && !allowed.includes(value as T)) {
    throw badArgument(`${name} must be one of ${allowed.join(', ')}, not ${String(value)}`)
  }
}

function checkSignal(signal: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw badArgument('signal must be an AbortSignal')
}

const uint32Max = 2 ** 32 - 1

/** Bounds of the options that are whole numbers. */
const wholeOptions = {
  partitions: [0, 1024],
  mailboxBatches: [1, uint32Max],
  mailboxBytes: [1, Number.MAX_SAFE_INTEGER],
  memoryLimit: [1, Number.MAX_SAFE_INTEGER],
  deadLetterCapacity: [0, uint32Max],
  seed: [0, Number.MAX_SAFE_INTEGER],
  outputRows: [1, uint32Max],
  outputBytes: [1, Number.MAX_SAFE_INTEGER],
} as const

function memoryLimitDefault(): number {
  // Loaded when it is needed: `open` has more time than an import.
  return Math.floor(process.getBuiltinModule('node:os').totalmem() / 2)
}

export function nativeOptions(options: OpenOptions): NativeOptions {
  const native: NativeOptions = { memoryLimit: memoryLimitDefault() }
  for (const [name, [least, most]] of Object.entries(wholeOptions)) {
    const value = options[name as keyof typeof wholeOptions]
    if (value !== undefined) native[name as keyof typeof wholeOptions] = wholeNumber(value, name, least, most)
  }
  oneOf(options.timestamps, 'timestamps', ['date', 'number'])
  oneOf(options.bigints, 'bigints', ['auto', 'bigint', 'string'])
  oneOf(options.decimals, 'decimals', ['string', 'number'])
  if (options.maxBlockMs !== undefined && !(options.maxBlockMs > 0)) {
    throw badArgument(`maxBlockMs must be a number above 0, not ${String(options.maxBlockMs)}`)
  }
  if (options.clock !== undefined && typeof options.clock !== 'function') {
    throw badArgument('clock must be a function')
  }
  if (options.defaultGrace !== undefined) {
    native.defaultGraceMicros = durationMicros(options.defaultGrace, 'defaultGrace')
  }
  checkSignal(options.signal)
  return native
}

export function nativeQueryOptions(options: QueryOptions): NativeQueryOptions {
  oneOf(options.order, 'order', ['input', 'key'])
  oneOf(options.onError, 'onError', ['dead_letter', 'null', 'stop'])
  checkSignal(options.signal)
  const native: NativeQueryOptions = { before: options.before === true, orderByKey: options.order === 'key' }
  if (options.onError !== undefined) native.onError = options.onError
  if (options.name !== undefined) native.name = requireText(options.name, 'name')
  return native
}

export function requireText(value: unknown, name: string): string {
  if (typeof value !== 'string') throw badArgument(`${name} must be a string, not ${typeof value}`)
  return value
}

/** Milliseconds since the epoch. */
export function timeMillis(time: unknown): number {
  const millis = types.isDate(time) ? time.getTime() : time
  if (typeof millis !== 'number' || !Number.isFinite(millis)) {
    throw badArgument('time must be a valid Date or a number of milliseconds')
  }
  return millis
}

function nativeParam(value: unknown, name: string): NativeParam {
  switch (typeof value) {
    case 'number':
      return { number: value }
    case 'bigint':
      return { bigint: value.toString() }
    case 'string':
      return { text: value }
    case 'boolean':
      return { boolean: value }
    case 'undefined':
      return {}
    default:
      if (value === null) return {}
      if (types.isDate(value)) return { time: timeMillis(value) }
      if (types.isUint8Array(value)) return { bytes: value }
      throw badArgument(
        `parameter ${name} is of type ${typeof value}: give a number, bigint, string, boolean, Date, Uint8Array or null`,
      )
  }
}

export function nativeParams(params: Params | undefined): NativeParam[] {
  if (params === undefined) return []
  if (Array.isArray(params)) return params.map((value, index) => nativeParam(value, `$${index + 1}`))
  if (typeof params !== 'object' || params === null) {
    throw badArgument('parameters must be an array or an object')
  }
  return Object.entries(params).map(([name, value]) => ({ name, ...nativeParam(value, name) }))
}

// The kinds of windows: their spellings, and in DuckDB arithmetic on the event time.

import type { Choices } from '../choices.js'
import type { Traits } from '../relation.js'
import { SECOND_MICROS } from '../schema.js'

export interface Window {
  /** Behind WINDOW; undefined where there is no such spelling. */
  readonly clause?: string
  /** The function in FROM and in GROUP BY, and its arguments behind the time; it has no grace. */
  readonly call: { readonly name: string; readonly sizes: string; readonly grouping: boolean }
  /** How long after its end a window stays open. */
  readonly graceMicros: number
  /**
   * A query over `input`: its rows, one for each window from `_ws` to `_we` (microseconds) that they belong to.
   * Windows of sessions are each key's own.
   */
  duck(input: string, keys: readonly string[]): string
}

export type WindowKind = (choices: Choices, traits: Traits) => Window

interface Grace {
  readonly text: string
  readonly micros: number
}

function graceOf(seconds: number): Grace {
  return { text: seconds === 0 ? '' : `, GRACE PERIOD ${seconds} SECONDS`, micros: seconds * SECOND_MICROS }
}

function grace(choices: Choices): Grace {
  return graceOf(choices.pick([0, 0, 2, 5]))
}

function interval(seconds: number): string {
  return `INTERVAL '${seconds}' SECOND`
}

export function tumblingWindow(choices: Choices): Window {
  const seconds = choices.pick([10, 4, 30])
  const size = seconds * SECOND_MICROS
  const { text, micros } = grace(choices)
  return {
    clause: `TUMBLING (SIZE ${seconds} SECONDS${text})`,
    call: { name: 'TUMBLE', sizes: interval(seconds), grouping: true },
    graceMicros: micros,
    duck: (input) => `SELECT *, _et // ${size} * ${size} AS _ws, _ws + ${size} AS _we FROM ${input}`,
  }
}

/** From the last window that a row lies in, one advance back at a time, while it still lies in it. */
export function hoppingWindow(choices: Choices): Window {
  const [seconds, advanceSeconds] = choices.pick([
    [10, 5],
    [6, 2],
    [10, 3],
  ] as const)
  const [size, advance] = [seconds * SECOND_MICROS, advanceSeconds * SECOND_MICROS]
  const { text, micros } = grace(choices)
  const clause =
    text === '' && choices.chance(30)
      ? `SLIDING(${seconds}s, ${advanceSeconds}s)`
      : `HOPPING (SIZE ${seconds} SECONDS, ADVANCE BY ${advanceSeconds} SECONDS${text})`
  return {
    clause,
    call: { name: 'HOP', sizes: `${interval(advanceSeconds)}, ${interval(seconds)}`, grouping: true },
    graceMicros: micros,
    duck: (input) => `SELECT * FROM (
        SELECT *, (_et // ${advance} - _back) * ${advance} AS _ws, _ws + ${size} AS _we
        FROM (SELECT *, unnest(range(${Math.ceil(size / advance)})) AS _back FROM ${input})) WHERE _we > _et`,
  }
}

/** From the first end that is after a row, one step on at a time, up to the size. */
export function cumulatingWindow(choices: Choices): Window {
  const [seconds, steps] = choices.pick([
    [10, 5],
    [6, 2],
    [12, 3],
  ] as const)
  const [size, step] = [seconds * SECOND_MICROS, (seconds / steps) * SECOND_MICROS]
  return {
    call: { name: 'CUMULATE', sizes: `${interval(seconds / steps)}, ${interval(seconds)}`, grouping: false },
    graceMicros: 0,
    duck: (input) => `SELECT * FROM (
        SELECT *, _et // ${size} * ${size} AS _ws, _ws + _step * ${step} AS _we
        FROM (SELECT *, unnest(range(1, ${steps} + 1)) AS _step FROM ${input})) WHERE _we > _et`,
  }
}

const LONG_SECONDS = 3600

/**
 * Sessions of a batch: a row more than the gap after its key's last one begins a new one. Which rows are late
 * depends on the sessions that were open when they came; so rows in disorder get a grace that none is late for.
 * For rows in order a session has ended before one that comes exactly a gap later if time had been there.
 */
export function sessionWindow(choices: Choices, { ordered }: Traits): Window {
  const seconds = choices.pick([3, 1, 6])
  const gap = seconds * SECOND_MICROS
  const { text, micros } = ordered === true ? grace(choices) : graceOf(LONG_SECONDS)
  return {
    clause: `SESSION (${seconds} SECONDS${text})`,
    call: { name: 'SESSION', sizes: interval(seconds), grouping: true },
    graceMicros: micros,
    duck: (input, keys) => {
      const by = ['_p', ...keys].join(', ')
      const last = `LAG(_et) OVER (PARTITION BY ${by} ORDER BY _et, _sq)`
      const isNew = `COALESCE(_et - _last > ${gap} OR _wm >= _last + ${gap + micros}, FALSE)`
      return `SELECT *, MIN(_et) OVER session AS _ws, MAX(_et) OVER session + ${gap} AS _we FROM (
        SELECT *, SUM(_new) OVER (PARTITION BY ${by} ORDER BY _et, _sq) AS _session FROM (
        SELECT *, CAST(${isNew} AS INTEGER) AS _new FROM (
        SELECT *, ${last} AS _last FROM ${input})))
        WINDOW session AS (PARTITION BY ${by}, _session)`
    },
  }
}

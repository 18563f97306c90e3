// Windows over event time: in DuckDB, arithmetic on it.

import type { Scope } from '../expressions.js'
import type { Choices } from '../choices.js'
import { behind, closing, watermark, withText } from '../relation.js'
import type { Builder, Clock, Derived, Input, Piece, Traits } from '../relation.js'
import { SECOND_MICROS } from '../schema.js'
import { calls, groupKeys, having } from './aggregate.js'
import { items, where } from './select.js'

/** An input may have columns of these names as well, which the window's own hide. */
const bounds: Scope = [
  { velo: 'window_start', duck: 'make_timestamp(_ws)', type: 'TIMESTAMP', exact: true },
  { velo: 'window_end', duck: 'make_timestamp(_we)', type: 'TIMESTAMP', exact: true },
]

/** A window clause: its texts, and how long after its end a window stays open. */
interface Window {
  readonly velo: string
  /**
   * A query over `input`: its rows, one for each window from `_ws` to `_we` (microseconds) that they belong to.
   * Windows of sessions are each key's own.
   */
  duck(input: string, keys: readonly string[]): string
  readonly graceMicros: number
}

type Clause = (choices: Choices, traits: Traits) => Window

function grace(choices: Choices): { text: string; micros: number } {
  const seconds = choices.pick([0, 0, 2, 5])
  return { text: seconds === 0 ? '' : `, GRACE PERIOD ${seconds} SECONDS`, micros: seconds * SECOND_MICROS }
}

function tumblingClause(choices: Choices): Window {
  const seconds = choices.pick([10, 4, 30])
  const size = seconds * SECOND_MICROS
  const { text, micros } = grace(choices)
  return {
    velo: `WINDOW TUMBLING (SIZE ${seconds} SECONDS${text})`,
    duck: (input) => `SELECT *, _et // ${size} * ${size} AS _ws, _ws + ${size} AS _we FROM ${input}`,
    graceMicros: micros,
  }
}

/** From the last window that a row lies in, one advance back at a time, while it still lies in it. */
function hoppingClause(choices: Choices): Window {
  const [seconds, advanceSeconds] = choices.pick([
    [10, 5],
    [6, 2],
    [10, 3],
  ] as const)
  const [size, advance] = [seconds * SECOND_MICROS, advanceSeconds * SECOND_MICROS]
  const { text, micros } = grace(choices)
  return {
    velo: `WINDOW HOPPING (SIZE ${seconds} SECONDS, ADVANCE BY ${advanceSeconds} SECONDS${text})`,
    duck: (input) => `SELECT * FROM (
        SELECT *, (_et // ${advance} - _back) * ${advance} AS _ws, _ws + ${size} AS _we
        FROM (SELECT *, unnest(range(${Math.ceil(size / advance)})) AS _back FROM ${input})) WHERE _we > _et`,
    graceMicros: micros,
  }
}

const LONG_SECONDS = 3600

/**
 * Sessions of a batch: a row more than the gap after its key's last one begins a new one. Which rows are late
 * depends on the sessions that were open when they came; so rows in disorder get a grace that none is late for.
 * For rows in order a session has ended before one that comes exactly a gap later if time had been there.
 */
function sessionClause(choices: Choices, { ordered }: Traits): Window {
  const seconds = choices.pick([3, 1, 6])
  const gap = seconds * SECOND_MICROS
  const long = { text: `, GRACE PERIOD ${LONG_SECONDS} SECONDS`, micros: LONG_SECONDS * SECOND_MICROS }
  const { text, micros } = ordered === true ? grace(choices) : long
  return {
    velo: `WINDOW SESSION (${seconds} SECONDS${text})`,
    duck: (input, keys) => {
      const by = ['_p', ...keys].join(', ')
      const last = `LAG(_et) OVER (PARTITION BY ${by} ORDER BY _et, _sq)`
      return `SELECT *, MIN(_et) OVER session AS _ws, MAX(_et) OVER session + ${gap} AS _we FROM (
        SELECT *, SUM(_new) OVER (PARTITION BY ${by} ORDER BY _et, _sq) AS _session FROM (
        SELECT *, CAST(COALESCE(_et - _last > ${gap} OR _wm >= _last + ${gap + micros}, FALSE) AS INTEGER) AS _new FROM (
        SELECT *, ${last} AS _last FROM ${input})))
        WINDOW session AS (PARTITION BY ${by}, _session)`
    },
    graceMicros: micros,
  }
}

/**
 * A windowed GROUP BY as an updating relation. Each row judges for each of its windows whether it is late there:
 * by the watermark that stood when it came.
 */
function windowedRows(builder: Builder, input: Input, clock: Clock, window: Window): Derived {
  const { choices } = builder
  const scope = input.scope.filter(({ velo }) => !bounds.some((bound) => bound.velo === velo))
  const filter = where(builder, scope, 30)
  const keys = groupKeys(choices, scope, 0)
  const aggregates = calls(choices, scope)
  const shownIf = having(choices, [...keys, ...aggregates])
  const shownBounds = choices.some(bounds, 0, 2)
  const { columns, velo, duck } = items(builder, [...keys, ...shownBounds, ...aggregates])
  const placed = builder.fresh('v')
  const kept = `SELECT * FROM ${input.duck}${filter.duck}`
  builder.expressions.push(
    `${placed} AS (SELECT * FROM (${window.duck(
      `(${kept})`,
      keys.map((key) => key.duck),
    )}) WHERE _we + ${window.graceMicros} > _wm)`,
  )
  const byVelo = keys.length === 0 ? '' : ` GROUP BY ${keys.map((key) => key.velo).join(', ')}`
  const by = ['_p', '_ws', '_we', ...keys.map((key) => key.duck)].join(', ')
  const times = ['_p', '_we AS _end', `_we + ${window.graceMicros} AS _final`, 'MIN(_sq) AS _first']
  const rows = `SELECT ${[...times, ...duck].join(', ')} FROM ${placed} GROUP BY ${by}${shownIf.duck}`
  return {
    ctes: input.ctes,
    columns,
    traits: { append: false, closes: true, ranked: true },
    velo: `SELECT ${velo.join(', ')} FROM ${input.velo} ${window.velo}${filter.velo}${byVelo}${shownIf.velo}`,
    duck: closing(rows, clock),
  }
}

/**
 * The final rows of a windowed relation as a stream of its own: each comes with the record that moves the
 * watermark over its `_final`, at the time of its window's end less a microsecond.
 */
function finalStream(builder: Builder, rows: Derived, clock: Clock, graceMicros: number): Derived {
  const [updating, name] = [builder.fresh('v'), builder.fresh('v')]
  const shown = rows.columns.map((column) => column.name).join(', ')
  const delayed = behind(clock, graceMicros)
  builder.expressions.push(
    `${updating} AS (${rows.duck})`,
    `${name} AS (SELECT later.prefix AS _p, came._p AS _sq, _end - 1 AS _et, ${watermark(delayed, 'before')} AS _wm, ${shown}
      FROM ${updating} AS came JOIN prefixes AS now ON now.prefix = came._p
      JOIN prefixes AS before ON before.prefix = came._p - 1 JOIN prefixes AS later ON later.prefix >= came._p
      WHERE ${watermark(clock, 'now')} >= _final AND ${watermark(clock, 'before')} < _final)`,
  )
  builder.create('STREAM', name, `${withText(rows.ctes, rows.velo)} EMIT FINAL`)
  return {
    ctes: [],
    columns: rows.columns,
    traits: { append: true, clock: delayed },
    velo: `SELECT ${shown} FROM ${name}`,
    duck: `SELECT _p, _sq, _et, _wm, ${shown} FROM ${name}`,
  }
}

function windowPiece(name: string, clause: Clause): Piece {
  return {
    name,
    makes: 'select',
    weight: 3,
    gives: ['any', 'stream', 'timed', 'table'],
    build(builder, depth, need) {
      const input = builder.from(depth, 'timed')
      const { clock } = input.traits
      if (clock === undefined) throw new Error('a timed relation has a clock')
      const window = clause(builder.choices, input.traits)
      const rows = windowedRows(builder, input, clock, window)
      const isStream = need === 'any' ? builder.choices.chance(20) : need !== 'table'
      return isStream ? finalStream(builder, rows, clock, window.graceMicros) : rows
    },
  }
}

export const tumbling = windowPiece('tumbling', tumblingClause)
export const hopping = windowPiece('hopping', hoppingClause)
export const session = windowPiece('session', sessionClause)

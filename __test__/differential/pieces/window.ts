// Windows over event time: in DuckDB, arithmetic on it.

import type { Scope } from '../expressions.js'
import type { Choices } from '../choices.js'
import { watermark, withText } from '../relation.js'
import type { Builder, Clock, Derived, Input, Piece } from '../relation.js'
import { SECOND_MICROS } from '../schema.js'
import { calls, groupKeys, having } from './aggregate.js'
import { items, where } from './select.js'

/** An input may have columns of these names as well, which the window's own hide. */
const bounds: Scope = [
  { velo: 'window_start', duck: 'make_timestamp(_ws)', type: 'TIMESTAMP', exact: true },
  { velo: 'window_end', duck: 'make_timestamp(_we)', type: 'TIMESTAMP', exact: true },
]

/** A window clause: its texts, and how long after its end a window stays open. */
export interface Window {
  readonly velo: string
  /** A table expression over `input`: its rows, one for each window `_ws`, `_we` (microseconds) they belong to. */
  duck(input: string): string
  readonly graceMicros: number
}

export function grace(choices: Choices): { text: string; micros: number } {
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
    `${placed} AS (SELECT * FROM (${window.duck(`(${kept})`)}) WHERE _we + ${window.graceMicros} > _wm)`,
  )
  const byVelo = keys.length === 0 ? '' : ` GROUP BY ${keys.map((key) => key.velo).join(', ')}`
  const by = ['_p', '_ws', '_we', ...keys.map((key) => key.duck)].join(', ')
  const times = ['_p', '_we', `_we + ${window.graceMicros} AS _fin`]
  return {
    ctes: input.ctes,
    columns,
    traits: { append: false, windowed: clock },
    velo: `SELECT ${velo.join(', ')} FROM ${input.velo} ${window.velo}${filter.velo}${byVelo}${shownIf.velo}`,
    duck: `SELECT ${[...times, ...duck].join(', ')} FROM ${placed} GROUP BY ${by}${shownIf.duck}`,
  }
}

/**
 * The final rows of a windowed relation as a stream of its own: each comes with the record that moves the
 * watermark over its `_fin`, at the time of its window's end less a microsecond.
 */
function finalStream(builder: Builder, rows: Derived, clock: Clock, graceMicros: number): Derived {
  const [updating, name] = [builder.fresh('v'), builder.fresh('v')]
  const shown = rows.columns.map((column) => column.name).join(', ')
  const delayed: Clock = { ...clock, delayMicros: clock.delayMicros + graceMicros }
  builder.expressions.push(
    `${updating} AS (${rows.duck})`,
    `${name} AS (SELECT later.prefix AS _p, came._p AS _sq, _we - 1 AS _et, ${watermark(delayed, 'before')} AS _wm, ${shown}
      FROM ${updating} AS came JOIN prefixes AS now ON now.prefix = came._p
      JOIN prefixes AS before ON before.prefix = came._p - 1 JOIN prefixes AS later ON later.prefix >= came._p
      WHERE ${watermark(clock, 'now')} >= _fin AND ${watermark(clock, 'before')} < _fin)`,
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

function windowPiece(name: string, clause: (choices: Choices) => Window): Piece {
  return {
    name,
    makes: 'select',
    weight: 3,
    gives: ['any', 'stream', 'timed', 'table'],
    build(builder, depth, need) {
      const input = builder.from(depth, 'timed')
      const { clock } = input.traits
      if (clock === undefined) throw new Error('a timed relation has a clock')
      const window = clause(builder.choices)
      const rows = windowedRows(builder, input, clock, window)
      const isStream = need === 'any' ? builder.choices.chance(20) : need !== 'table'
      return isStream ? finalStream(builder, rows, clock, window.graceMicros) : rows
    },
  }
}

export const tumbling = windowPiece('tumbling', tumblingClause)

// GROUP BY over windows: what a window holds so far, and what it held when time closed it.

import type { Scope } from '../expressions.js'
import { behind, closing, watermark, withText } from '../relation.js'
import type { Builder, Clock, Derived, Input, Need, Piece } from '../relation.js'
import { calls, groupKeys, having } from './aggregate.js'
import { items, where } from './select.js'
import { cumulatingWindow, hoppingWindow, sessionWindow, tumblingWindow } from './window-kinds.js'
import type { Window, WindowKind } from './window-kinds.js'

/** An input may have columns of these names as well, which the window's own hide. */
const bounds: Scope = [
  { velo: 'window_start', duck: 'make_timestamp(_ws)', type: 'TIMESTAMP', exact: true },
  { velo: 'window_end', duck: 'make_timestamp(_we)', type: 'TIMESTAMP', exact: true },
]

/** The clauses behind the select items. */
interface Clauses {
  readonly where: string
  readonly keys: readonly string[]
  readonly having: string
}

/**
 * FROM and what follows, in one of the spellings that fit: the window behind FROM or at the end, as a function
 * over a relation in FROM, or as a function in GROUP BY.
 */
function spell(
  builder: Builder,
  input: Input,
  window: Window,
  clauses: Clauses,
): { text: string; ctes: readonly string[] } {
  const { clause, call, graceMicros } = window
  const { timeColumn } = input.traits
  const { where: filter, keys, having: kept } = clauses
  const group = (all: readonly string[]) => (all.length === 0 ? '' : ` GROUP BY ${all.join(', ')}`)
  const { ctes } = input
  const spellings: (() => { text: string; ctes: readonly string[] })[] = []
  if (clause !== undefined) {
    spellings.push(
      () => ({ text: `${input.velo} WINDOW ${clause}${filter}${group(keys)}${kept}`, ctes }),
      () => ({ text: `${input.velo}${filter}${group(keys)}${kept} WINDOW ${clause}`, ctes }),
    )
  }
  const isPlain = graceMicros === 0 && timeColumn !== undefined
  if (isPlain && call.grouping) {
    const grouped = `${call.name}(${timeColumn}, ${call.sizes})`
    spellings.push(() => ({ text: `${input.velo}${filter}${group([grouped, ...keys])}${kept}`, ctes }))
  }
  if (isPlain && input.relation !== undefined) {
    const named = builder.named(input.relation)
    const table = `TABLE(${call.name}(TABLE ${named.velo}, DESCRIPTOR(${timeColumn}), ${call.sizes}))`
    const grouped = group(['window_start', 'window_end', ...keys])
    spellings.push(() => ({ text: `${table}${filter}${grouped}${kept}`, ctes: named.ctes }))
  }
  return builder.choices.pick(spellings)()
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
  const spelled = spell(builder, input, window, {
    where: filter.velo,
    keys: keys.map((key) => key.velo),
    having: shownIf.velo,
  })
  const by = ['_p', '_ws', '_we', ...keys.map((key) => key.duck)].join(', ')
  const times = ['_p', '_we AS _end', `_we + ${window.graceMicros} AS _final`, 'MIN(_sq) AS _first']
  const rows = `SELECT ${[...times, ...duck].join(', ')} FROM ${placed} GROUP BY ${by}${shownIf.duck}`
  return {
    ctes: spelled.ctes,
    columns,
    traits: { append: false, closes: true, ranked: true },
    velo: `SELECT ${velo.join(', ')} FROM ${spelled.text}`,
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

function windowPiece(name: string, kind: WindowKind, input: Need): Piece {
  return {
    name,
    makes: 'select',
    weight: 3,
    gives: ['any', 'stream', 'timed', 'table'],
    build(builder, depth, need) {
      const from = builder.from(depth, input)
      const { clock } = from.traits
      if (clock === undefined) throw new Error('a timed relation has a clock')
      const window = kind(builder.choices, from.traits)
      const rows = windowedRows(builder, from, clock, window)
      const isStream = need === 'any' ? builder.choices.chance(20) : need !== 'table'
      return isStream ? finalStream(builder, rows, clock, window.graceMicros) : rows
    },
  }
}

export const tumbling = windowPiece('tumbling', tumblingWindow, 'timed')
export const hopping = windowPiece('hopping', hoppingWindow, 'timed')
export const cumulating = windowPiece('cumulating', cumulatingWindow, 'sequence')
export const session = windowPiece('session', sessionWindow, 'timed')

// OVER: for each row, calls over the rows of its partition up to it, by event time and sequence.
//
// Rows older than the watermark that stood when they came are late. Where none can come before another, rows
// only come; otherwise later ones are revised, and final once the watermark has reached them.

import { aggregate, scopeOf } from '../expressions.js'
import type { Expression, Scope } from '../expressions.js'
import type { Choices } from '../choices.js'
import { closing, hidden } from '../relation.js'
import type { Builder, Clock, Piece, Traits } from '../relation.js'
import { SECOND_MICROS, sourceNamed } from '../schema.js'
import { items, where } from './select.js'

/** A record number has fewer digits: a time so many times as large, plus the number, orders rows without ties. */
const NUMBERS = 10_000

interface Frame {
  readonly velo: string
  readonly duck: string
}

/** Behind PARTITION BY. In DuckDB rows are ordered by `_order`, so that RANGE ends with the row itself. */
function frames(choices: Choices, time: string): Frame {
  const order = { velo: `ORDER BY ${time}`, duck: 'ORDER BY _order' }
  const rows = choices.pick([1, 0, 3])
  const seconds = choices.pick([2, 1, 5])
  const range = seconds * SECOND_MICROS * NUMBERS
  const behind = (velo: string, duck: string): Frame => ({
    velo: `${order.velo} ${velo}`,
    duck: `${order.duck} ${duck}`,
  })
  const rowsFrame = `ROWS BETWEEN ${rows} PRECEDING AND CURRENT ROW`
  return choices.pick([
    behind(rowsFrame, rowsFrame),
    behind('', 'ROWS UNBOUNDED PRECEDING'),
    behind(
      `RANGE BETWEEN INTERVAL '${seconds}' SECOND PRECEDING AND CURRENT ROW`,
      `RANGE BETWEEN (${range} + _order % ${NUMBERS}) PRECEDING AND CURRENT ROW`,
    ),
    behind('ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW', 'ROWS UNBOUNDED PRECEDING'),
  ])
}

function partitions(choices: Choices, scope: Scope): Frame {
  const keys = choices.some(
    scope.filter(({ exact }) => exact),
    0,
    2,
  )
  const velo = keys.map((key) => key.velo).join(', ')
  return {
    velo: keys.length === 0 ? '' : `PARTITION BY ${velo} `,
    duck: `PARTITION BY ${['_p', ...keys.map((key) => key.duck)].join(', ')} `,
  }
}

/** ROW_NUMBER, LAG, FIRST_VALUE, LAST_VALUE; those that look at a frame have one. */
function windowFunction(choices: Choices, scope: Scope, by: Frame, time: string): Expression {
  const whole = { velo: ` OVER (${by.velo}ORDER BY ${time})`, duck: ` OVER (${by.duck}ORDER BY _order)` }
  const frame = frames(choices, time)
  const framed = { velo: ` OVER (${by.velo}${frame.velo})`, duck: ` OVER (${by.duck}${frame.duck})` }
  const of = choices.pick(scope)
  const back = choices.between(1, 2)
  const call = (text: string, over: Frame) => ({ velo: text + over.velo, duck: text + over.duck })
  return choices.pick<() => Expression>([
    () => ({ type: 'BIGINT', exact: true, ...call('ROW_NUMBER()', whole) }),
    () => ({ ...of, ...call(`LAG(${of.velo}, ${back})`, whole) }),
    () => ({ ...of, ...call(`FIRST_VALUE(${of.velo})`, framed) }),
    () => ({ ...of, ...call(`LAST_VALUE(${of.velo})`, framed) }),
  ])()
}

function overCall(choices: Choices, scope: Scope, by: Frame, time: string): Expression {
  if (choices.chance(30)) return windowFunction(choices, scope, by, time)
  const frame = frames(choices, time)
  const over = { velo: ` OVER (${by.velo}${frame.velo})`, duck: ` OVER (${by.duck}${frame.duck})` }
  return aggregate(choices, scope, { over })
}

/** Whether a row can still come before one that is there: only where a watermark stays behind its stream. */
function isInOrder(clock: Clock): boolean {
  return [...clock].every(([stream, delay]) => delay === 0 && sourceNamed(stream).boundMicros === 0)
}

function resultTraits(clock: Clock): Traits {
  if (isInOrder(clock)) return { append: true, clock }
  return { append: false, closes: true }
}

export const over: Piece = {
  name: 'over',
  makes: 'select',
  weight: 3,
  gives: ['any'],
  build(builder: Builder, depth: number) {
    const { choices } = builder
    const input = builder.input(depth, 'sequence')
    const { clock, timeColumn } = input.traits
    if (clock === undefined || timeColumn === undefined)
      throw new Error('a sequence has a clock and a time column')
    const scope = scopeOf(input.columns)
    const filter = where(builder, scope, 30)
    const plain = choices.some(scope, 1, 3)
    const traits = resultTraits(clock)
    // Several partitions are refused where rows revise others.
    const by = partitions(choices, scope)
    const calls = Array.from({ length: choices.between(1, 3) }, () => {
      const own = traits.append && choices.chance(30) ? partitions(choices, scope) : by
      return overCall(choices, scope, own, timeColumn)
    })
    const { columns, velo, duck } = items(builder, [...plain, ...calls])
    const placed = builder.fresh('v')
    builder.expressions.push(
      `${placed} AS (SELECT *, _et * ${NUMBERS} + _sq AS _order FROM ${input.duck} WHERE _et >= _wm)`,
    )
    const times = traits.append ? hidden(traits) : ['_p', '_et AS _final']
    const rows = `SELECT ${[...times, ...duck].join(', ')} FROM ${placed}${filter.duck}`
    return {
      columns,
      traits,
      ctes: input.ctes,
      velo: `SELECT ${velo.join(', ')} FROM ${input.velo}${input.inline ? ` AS ${input.duck}` : ''}${filter.velo}`,
      duck: traits.append ? rows : closing(rows, clock),
    }
  },
}

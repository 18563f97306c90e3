// Projections and filters.

import { columnOf, condition, scalar } from '../expressions.js'
import type { Expression, Scope } from '../expressions.js'
import { hidden } from '../relation.js'
import type { Builder, Piece } from '../relation.js'
import type { Column } from '../schema.js'

export interface Items {
  readonly columns: Column[]
  readonly velo: string[]
  readonly duck: string[]
}

/** Expressions as select items; a plain column keeps its name unless it is taken. */
export function items(builder: Builder, expressions: readonly Expression[]): Items {
  const found: Items = { columns: [], velo: [], duck: [] }
  for (const expression of expressions) {
    const plain = /^(?:\w+\.)?([a-z]\w*)$/.exec(expression.velo)?.[1]
    const taken = found.columns.some(({ name }) => name === plain)
    const name = plain === undefined || taken ? builder.fresh('c') : plain
    found.columns.push(columnOf(expression, name))
    found.velo.push(name === expression.velo ? name : `${expression.velo} AS ${name}`)
    found.duck.push(`${expression.duck} AS ${name}`)
  }
  return found
}

/** WHERE in both texts, or nothing. */
export function where(builder: Builder, scope: Scope, percent: number): { velo: string; duck: string } {
  if (!builder.choices.chance(percent)) return { velo: '', duck: '' }
  const { velo, duck } = condition(builder.choices, scope, 2)
  return { velo: ` WHERE ${velo}`, duck: ` WHERE ${duck}` }
}

export const select: Piece = {
  name: 'select',
  makes: 'select',
  weight: 3,
  gives: ['any', 'stream', 'timed', 'sequence', 'table'],
  build(builder, depth, need) {
    const { choices } = builder
    const input = builder.from(depth, need)
    const { timeColumn, ...traits } = input.traits
    const drawn = choices.some(input.scope, 1, 4)
    const time = input.scope.find(({ velo }) => velo === timeColumn)
    const lacks = need === 'sequence' && time !== undefined && !drawn.includes(time)
    const plain = lacks ? [...drawn, time] : drawn
    const computed = Array.from({ length: choices.below(3) }, () => scalar(choices, input.scope))
    const { columns, velo, duck } = items(builder, [...plain, ...computed])
    const filter = where(builder, input.scope, 60)
    const shown = time === undefined ? undefined : columns[plain.indexOf(time)]?.name
    return {
      columns,
      traits: shown === undefined ? traits : { ...traits, timeColumn: shown },
      ctes: input.ctes,
      velo: `SELECT ${velo.join(', ')} FROM ${input.velo}${filter.velo}`,
      duck: `SELECT ${[...hidden(input.traits), ...duck].join(', ')} FROM ${input.duck}${filter.duck}`,
    }
  },
}

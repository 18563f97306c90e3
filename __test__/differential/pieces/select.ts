// Projections and filters.

import { columnOf, condition, scalar, scopeOf } from '../expressions.js'
import type { Expression, Scope } from '../expressions.js'
import { carried } from '../relation.js'
import type { Builder, Derived, Need, Piece, Relation } from '../relation.js'
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

/** How a single input stands in FROM: an inline SELECT has an alias, a name mostly not. */
export function only(relation: Relation): { velo: string; duck: string } {
  const alias = relation.inline ? ` AS ${relation.duck}` : ''
  return { velo: `${relation.velo}${alias}`, duck: relation.duck }
}

export const select: Piece = {
  name: 'select',
  weight: 3,
  gives: ['any', 'stream', 'timed'],
  build(builder: Builder, depth: number, need: Need): Derived {
    const { choices } = builder
    const input = builder.input(depth, need)
    const scope = scopeOf(input.columns)
    const plain = choices.some(scope, 1, 4)
    const computed = Array.from({ length: choices.below(3) }, () => scalar(choices, scope))
    const { columns, velo, duck } = items(builder, [...plain, ...computed])
    const source = only(input)
    const filter = where(builder, scope, 60)
    return {
      ...input,
      columns,
      velo: `SELECT ${velo.join(', ')} FROM ${source.velo}${filter.velo}`,
      duck: `SELECT ${[...carried(input), ...duck].join(', ')} FROM ${source.duck}${filter.duck}`,
    }
  },
}

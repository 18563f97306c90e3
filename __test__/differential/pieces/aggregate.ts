// GROUP BY, with and without keys, HAVING, and DISTINCT.

import { aggregate, condition, scalar, scopeOf } from '../expressions.js'
import type { Expression, Scope } from '../expressions.js'
import type { Builder, Derived, Need, Piece, Relation } from '../relation.js'
import type { Choices } from '../choices.js'
import { items, only, where } from './select.js'

/** Keys: exact columns, at times an expression. */
export function groupKeys(choices: Choices, scope: Scope, least: number): Expression[] {
  const exact = scope.filter((each) => each.exact)
  const keys = choices.some(exact, least, 2)
  if (exact.length > 0 && choices.chance(20)) keys.push(scalar(choices, exact))
  return keys
}

export function calls(choices: Choices, scope: Scope, present?: string): Expression[] {
  return Array.from({ length: choices.between(1, 4) }, () => aggregate(choices, scope, present))
}

export function having(choices: Choices, shown: Scope): { velo: string; duck: string } {
  if (!choices.chance(25)) return { velo: '', duck: '' }
  const { velo, duck } = condition(choices, shown, 1)
  return { velo: ` HAVING ${velo}`, duck: ` HAVING ${duck}` }
}

/**
 * One group, which stands from its first row on, also when all its rows have gone: every prefix since then has
 * the aggregates of what stands in it, if only of nothing.
 */
function wholeInput(builder: Builder, input: Relation): Derived {
  const { choices } = builder
  const scope = scopeOf(input.columns)
  const filter = where(builder, scope, 30)
  const shown = calls(choices, scope, '_p IS NOT NULL')
  const kept = having(choices, shown)
  const { columns, velo, duck } = items(builder, shown)
  const source = only(input)
  const present = builder.fresh('v')
  builder.expressions.push(`${present} AS (SELECT * FROM ${source.duck}${filter.duck})`)
  const since = `prefix >= (SELECT MIN(_p) FROM ${present})`
  return {
    ctes: input.ctes,
    columns,
    append: false,
    singleRow: true,
    velo: `SELECT ${velo.join(', ')} FROM ${source.velo}${filter.velo}${kept.velo}`,
    duck: `SELECT prefix AS _p, ${duck.join(', ')} FROM prefixes LEFT JOIN ${present} ON _p = prefix
      WHERE ${since} GROUP BY prefix${kept.duck}`,
  }
}

function byKeys(builder: Builder, input: Relation): Derived {
  const { choices } = builder
  const scope = scopeOf(input.columns)
  const keys = groupKeys(choices, scope, 1)
  const aggregates = calls(choices, scope)
  // A result that does not show all its keys has no primary key.
  const shown = choices.chance(15) ? choices.some(keys, 0, keys.length) : keys
  const filter = where(builder, scope, 30)
  const kept = having(choices, [...keys, ...aggregates])
  const { columns, velo, duck } = items(builder, [...shown, ...aggregates])
  const source = only(input)
  const byDuck = ['_p', ...keys.map((key) => key.duck)].join(', ')
  const byVelo = keys.map((key) => key.velo).join(', ')
  return {
    ctes: input.ctes,
    columns,
    append: false,
    velo: `SELECT ${velo.join(', ')} FROM ${source.velo}${filter.velo} GROUP BY ${byVelo}${kept.velo}`,
    duck: `SELECT _p, ${duck.join(', ')} FROM ${source.duck}${filter.duck} GROUP BY ${byDuck}${kept.duck}`,
  }
}

export const groupBy: Piece = {
  name: 'group by',
  weight: 6,
  gives: ['any'],
  build(builder: Builder, depth: number): Derived {
    const input = builder.input(depth, 'any')
    const hasKeys = input.columns.some(({ exact }) => exact)
    return hasKeys && !builder.choices.chance(15) ? byKeys(builder, input) : wholeInput(builder, input)
  },
}

export const distinct: Piece = {
  name: 'distinct',
  weight: 2,
  gives: ['any', 'stream'],
  build(builder: Builder, depth: number, need: Need): Derived {
    const input = builder.input(depth, need)
    const scope = scopeOf(input.columns)
    const exact = scope.filter((each) => each.exact)
    const chosen = exact.length === 0 ? [{ velo: '1', duck: '1', type: 'INT' as const, exact: true }] : exact
    const shown = builder.choices.some(chosen, 1, 3)
    const filter = where(builder, scope, 30)
    const { columns, velo, duck } = items(builder, shown)
    const source = only(input)
    const number = input.append ? ['MIN(_sq) AS _sq'] : []
    const by = ['_p', ...shown.map((each) => each.duck)].join(', ')
    return {
      ctes: input.ctes,
      columns,
      append: input.append,
      velo: `SELECT DISTINCT ${velo.join(', ')} FROM ${source.velo}${filter.velo}`,
      duck: `SELECT ${['_p', ...number, ...duck].join(', ')} FROM ${source.duck}${filter.duck} GROUP BY ${by}`,
    }
  },
}

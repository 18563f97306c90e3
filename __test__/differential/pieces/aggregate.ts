// GROUP BY, with and without keys, HAVING, and DISTINCT.

import { aggregate, condition, one, scalar } from '../expressions.js'
import type { Expression, Scope, Suffix } from '../expressions.js'
import type { Builder, Derived, Input, Piece } from '../relation.js'
import type { Choices } from '../choices.js'
import { items, where } from './select.js'

/** Keys: exact columns, at times an expression. */
export function groupKeys(choices: Choices, scope: Scope, least: number): Expression[] {
  const exact = scope.filter((each) => each.exact)
  const keys = choices.some(exact, least, 2)
  if (exact.length > 0 && choices.chance(20)) keys.push(scalar(choices, exact))
  return keys
}

export function calls(choices: Choices, scope: Scope, suffix?: Suffix): Expression[] {
  return Array.from({ length: choices.between(1, 4) }, () => aggregate(choices, scope, suffix))
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
function wholeInput(builder: Builder, input: Input): Derived {
  const { choices } = builder
  const { scope } = input
  const filter = where(builder, scope, 30)
  const shown = calls(choices, scope, { present: '_p IS NOT NULL' })
  const kept = having(choices, shown)
  const { columns, velo, duck } = items(builder, shown)
  const present = builder.fresh('v')
  builder.expressions.push(`${present} AS (SELECT * FROM ${input.duck}${filter.duck})`)
  const since = `prefix >= (SELECT MIN(_p) FROM ${present})`
  return {
    ctes: input.ctes,
    columns,
    traits: { append: false, singleRow: true },
    velo: `SELECT ${velo.join(', ')} FROM ${input.velo}${filter.velo}${kept.velo}`,
    duck: `SELECT prefix AS _p, ${duck.join(', ')} FROM prefixes LEFT JOIN ${present} ON _p = prefix
      WHERE ${since} GROUP BY prefix${kept.duck}`,
  }
}

function byKeys(builder: Builder, input: Input): Derived {
  const { choices } = builder
  const { scope } = input
  const keys = groupKeys(choices, scope, 1)
  const aggregates = calls(choices, scope)
  // A result that does not show all its keys has no primary key.
  const shown = choices.chance(15) ? choices.some(keys, 0, keys.length) : keys
  const filter = where(builder, scope, 30)
  const kept = having(choices, [...keys, ...aggregates])
  const { columns, velo, duck } = items(builder, [...shown, ...aggregates])
  const ranked = input.traits.append
  const hidden = ranked ? ['_p', '0 AS _end', 'MIN(_sq) AS _first'] : ['_p']
  const byDuck = ['_p', ...keys.map((key) => key.duck)].join(', ')
  const byVelo = keys.map((key) => key.velo).join(', ')
  return {
    ctes: input.ctes,
    columns,
    traits: { append: false, ranked },
    velo: `SELECT ${velo.join(', ')} FROM ${input.velo}${filter.velo} GROUP BY ${byVelo}${kept.velo}`,
    duck: `SELECT ${[...hidden, ...duck].join(', ')} FROM ${input.duck}${filter.duck} GROUP BY ${byDuck}${kept.duck}`,
  }
}

export const groupBy: Piece = {
  name: 'group by',
  makes: 'select',
  weight: 6,
  gives: ['any', 'table'],
  build(builder, depth) {
    const input = builder.from(depth, 'any')
    const hasKeys = input.scope.some(({ exact }) => exact)
    return hasKeys && !builder.choices.chance(15) ? byKeys(builder, input) : wholeInput(builder, input)
  },
}

export const distinct: Piece = {
  name: 'distinct',
  makes: 'select',
  weight: 2,
  gives: ['any', 'stream', 'table'],
  build(builder, depth, need) {
    const input = builder.from(depth, need)
    const exact = input.scope.filter((each) => each.exact)
    const shown = builder.choices.some(exact.length === 0 ? [one] : exact, 1, 3)
    const filter = where(builder, input.scope, 30)
    const { columns, velo, duck } = items(builder, shown)
    const { append } = input.traits
    const number = append ? ['MIN(_sq) AS _sq'] : []
    const by = ['_p', ...shown.map((each) => each.duck)].join(', ')
    return {
      ctes: input.ctes,
      columns,
      traits: { append },
      velo: `SELECT DISTINCT ${velo.join(', ')} FROM ${input.velo}${filter.velo}`,
      duck: `SELECT ${['_p', ...number, ...duck].join(', ')} FROM ${input.duck}${filter.duck} GROUP BY ${by}`,
    }
  },
}

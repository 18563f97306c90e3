// UNION ALL: the rows of both inputs, each with its own time and watermark.

import { columnOf, scopeOf } from '../expressions.js'
import type { Expression, Scope } from '../expressions.js'
import { hidden, least } from '../relation.js'
import type { Builder, Need, Piece, Relation, Traits } from '../relation.js'
import type { Column } from '../schema.js'

/** What holds of the rows of both: only then can it be relied on. */
function shared(left: Traits, right: Traits): Traits {
  if (!left.append || !right.append) return { append: false }
  if (left.clock === undefined || right.clock === undefined) return { append: true }
  return { append: true, clock: least(left.clock, right.clock) }
}

/** Columns of the right side of the types of the left ones; undefined where one is missing. */
function counterparts(chosen: Scope, right: Scope): Expression[] | undefined {
  const found = chosen.map(({ type, scale, velo }) => {
    const fitting = right.filter((each) => each.type === type && each.scale === scale)
    return fitting.find((each) => each.velo === velo) ?? fitting[0]
  })
  return found.every((each) => each !== undefined) ? found : undefined
}

function part(
  relation: Relation,
  chosen: readonly Expression[],
  traits: Traits,
): { velo: string; duck: string } {
  const alias = relation.inline ? ` AS ${relation.duck}` : ''
  const velo = chosen.map((each) => each.velo)
  const duck = [...hidden(traits), ...chosen.map((each) => each.duck)]
  return {
    velo: `SELECT ${velo.join(', ')} FROM ${relation.velo}${alias}`,
    duck: `SELECT ${duck.join(', ')} FROM ${relation.duck}`,
  }
}

export const unionAll: Piece = {
  name: 'union all',
  makes: 'select',
  weight: 2,
  gives: ['any', 'stream', 'timed', 'table'],
  build(builder: Builder, depth: number, need: Need) {
    const left = builder.input(depth, need)
    const other = builder.input(depth - 1, need)
    const chosen = builder.choices.some(scopeOf(left.columns), 1, 3)
    const fitting = counterparts(chosen, scopeOf(other.columns))
    // A relation that has no such columns gives way to the left one again, if that is a name.
    const right = fitting === undefined && !left.inline ? left : other
    const matched = fitting ?? (left.inline ? undefined : chosen)
    const traits = shared(left.traits, right.traits)
    if (matched === undefined) {
      const alone = part(left, chosen, left.traits)
      return { ...alone, columns: columnsOf(chosen, chosen), traits: left.traits, ctes: left.ctes }
    }
    const [over, under] = [part(left, chosen, traits), part(right, matched, traits)]
    return {
      velo: `${over.velo} UNION ALL ${under.velo}`,
      duck: `${over.duck} UNION ALL ${under.duck}`,
      columns: columnsOf(chosen, matched),
      traits,
      ctes: [...left.ctes, ...right.ctes],
    }
  },
}

/** Named after the left side; exact where both sides are. */
function columnsOf(left: readonly Expression[], right: readonly Expression[]): Column[] {
  return left.map((each, at) =>
    columnOf({ ...each, exact: each.exact && right[at]?.exact === true }, each.velo),
  )
}

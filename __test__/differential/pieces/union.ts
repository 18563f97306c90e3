// UNION ALL: the rows of both inputs, each with its own time and watermark, and final when it is there.

import { columnOf, one, scopeOf } from '../expressions.js'
import type { Expression, Scope } from '../expressions.js'
import type { Choices } from '../choices.js'
import { IS_END, hidden, least } from '../relation.js'
import type { Builder, Need, Piece, Relation, Traits } from '../relation.js'
import type { Column } from '../schema.js'

/** What holds of the rows of both: only then can it be relied on. */
function shared(left: Traits, right: Traits): Traits {
  if (!left.append || !right.append) return { append: false, closes: true }
  if (left.clock === undefined || right.clock === undefined) return { append: true }
  return { append: true, clock: least(left.clock, right.clock) }
}

/** Columns of the left side, each with one of its type of the right: of the same name, if there is one. */
function counterparts(choices: Choices, left: Scope, right: Scope): [Expression, Expression][] {
  const pairs = left.flatMap((each): [Expression, Expression][] => {
    const fitting = right.filter(({ type, scale }) => type === each.type && scale === each.scale)
    const other = fitting.find(({ velo }) => velo === each.velo) ?? fitting[0]
    return other === undefined ? [] : [[each, other]]
  })
  return pairs.length === 0 ? [[one, one]] : choices.some(pairs, 1, 3)
}

function part(
  relation: Relation,
  chosen: readonly Expression[],
  names: readonly string[],
  traits: Traits,
): { velo: string; duck: string } {
  const alias = relation.inline ? ` AS ${relation.duck}` : ''
  const named = (text: string, at: number) => (text === names[at] ? text : `${text} AS ${names[at]}`)
  const velo = chosen.map((each, at) => named(each.velo, at))
  const ownDone = relation.traits.append ? 'TRUE' : relation.traits.closes === true ? '_done' : IS_END
  const own = hidden(traits).map((name) => (name === '_done' ? `${ownDone} AS _done` : name))
  const duck = [...own, ...chosen.map((each, at) => named(each.duck, at))]
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
    const right = builder.input(depth - 1, need)
    const pairs = counterparts(builder.choices, scopeOf(left.columns), scopeOf(right.columns))
    const [over, under] = [pairs.map(([each]) => each), pairs.map(([, each]) => each)]
    const names = over.map((each) => (each === one ? builder.fresh('c') : each.velo))
    const traits = shared(left.traits, right.traits)
    const [first, second] = [part(left, over, names, traits), part(right, under, names, traits)]
    return {
      velo: `${first.velo} UNION ALL ${second.velo}`,
      duck: `${first.duck} UNION ALL ${second.duck}`,
      columns: columnsOf(over, under, names),
      traits,
      ctes: [...left.ctes, ...right.ctes],
    }
  },
}

/** Named after the left side; exact where both sides are. */
function columnsOf(left: readonly Expression[], right: readonly Expression[], names: string[]): Column[] {
  return left.map((each, at) => {
    return columnOf({ ...each, exact: each.exact && right[at]?.exact === true }, names[at] ?? '')
  })
}

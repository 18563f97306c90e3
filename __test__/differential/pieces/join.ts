// Joins of several relations in one FROM. Their answers after a prefix:
//
// - Tables with tables: the join of what stands after it.
// - A stream with tables: every row of the stream with the tables' rows as they stood when it came.
// - Streams within an interval: the pairs of rows that came by then, late ones left out.

import { condition, scopeOf } from '../expressions.js'
import type { Expression, Scope } from '../expressions.js'
import type { Choices } from '../choices.js'
import { behind, closing, least, watermark } from '../relation.js'
import type { Builder, Clock, Input, Piece, Relation, Traits } from '../relation.js'
import { ALWAYS_MICROS } from '../history.js'
import { SECOND_MICROS } from '../schema.js'

type Kind = 'JOIN' | 'LEFT JOIN' | 'RIGHT JOIN' | 'FULL JOIN'

const ALL_KINDS: readonly Kind[] = ['JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN']

/** One relation of a FROM under its alias. */
interface Side {
  readonly relation: Relation
  readonly alias: string
  readonly scope: Scope
}

function side(builder: Builder, relation: Relation): Side {
  const alias = builder.fresh('a')
  return { relation, alias, scope: scopeOf(relation.columns, alias) }
}

const COMPARABLE: Partial<Record<string, string>> = { INT: 'number', BIGINT: 'number' }

function comparable(left: Expression, right: Expression): boolean {
  const [kind, other] = [left.type, right.type].map((type) => COMPARABLE[type] ?? type)
  return left.exact && right.exact && kind === other && left.scale === right.scale
}

/** ON or USING, the condition in DuckDB's text, and the columns whose equality it asks for. */
interface On {
  readonly clause: string
  readonly duck: string
  readonly leftKeys: readonly string[]
  readonly rightKeys: readonly string[]
}

/** Without an equality: pairs of all rows. */
const everyPair: On = { clause: 'ON 1 = 1', duck: 'TRUE', leftKeys: [], rightKeys: [] }

/** The name of a column behind its relation's alias. */
function nameOf({ velo }: Expression): string | undefined {
  return velo.split('.')[1]
}

/** Equalities of columns of both sides, at times with a further condition. */
function joinCondition(choices: Choices, left: Scope, right: Scope): On {
  const pairs = left.flatMap((each) =>
    right.filter((other) => comparable(each, other)).map((other) => [each, other] as const),
  )
  if (pairs.length === 0) return everyPair
  // Columns of one name first: they are the likely keys.
  const alike = pairs.filter(([each, other]) => nameOf(each) === nameOf(other))
  const from = alike.length > 0 && !choices.chance(20) ? alike : pairs
  const both = (text: (of: (expression: Expression) => string) => string) => ({
    velo: text(({ velo }) => velo),
    duck: text(({ duck }) => duck),
  })
  const keys = choices.some(from, 1, 2)
  const tests = keys.map(([each, other]) => both((of) => `${of(each)} = ${of(other)}`))
  if (choices.chance(20)) {
    const [each, other] = choices.pick(pairs)
    const sign = choices.pick(['<', '<=', '<>'])
    tests.push(both((of) => `${of(each)} ${sign} ${of(other)}`))
  }
  if (choices.chance(15)) tests.push(condition(choices, choices.pick([right, left]), 0))
  const names = keys.map(([each]) => nameOf(each))
  const isClear = (name: string | undefined) => left.filter((each) => nameOf(each) === name).length === 1
  const canUse = keys.every((pair) => alike.includes(pair)) && names.every(isClear)
  const isUsing = canUse && tests.length === keys.length && choices.chance(15)
  return {
    clause: isUsing ? `USING (${names.join(', ')})` : `ON ${tests.map(({ velo }) => velo).join(' AND ')}`,
    duck: tests.map(({ duck }) => duck).join(' AND '),
    leftKeys: keys.map(([each]) => each.duck),
    rightKeys: keys.map(([, other]) => other.duck),
  }
}

/** The join as a relation of DuckDB's, its columns under names of their own. */
function joined(
  builder: Builder,
  sides: readonly Side[],
  hidden: readonly string[],
  text: { velo: string; duck: string },
  traits: Traits,
): Input {
  const name = builder.fresh('v')
  const flat = (expression: Expression) => expression.duck.replace('.', '_')
  const columns = sides.flatMap(({ scope }) => scope)
  const shown = columns.map((column) => `${column.duck} AS ${flat(column)}`)
  builder.expressions.push(`${name} AS (SELECT ${[...hidden, ...shown].join(', ')} FROM ${text.duck})`)
  return {
    velo: text.velo,
    duck: name,
    scope: columns.map((column) => ({ ...column, duck: flat(column) })),
    traits,
    ctes: sides.flatMap(({ relation }) => relation.ctes),
  }
}

/** One relation alone, where there is nothing to join it by. */
function single({ relation, alias }: Side): Input {
  const { duck, columns, traits, ctes } = relation
  return { velo: `${relation.velo} AS ${alias}`, duck, scope: scopeOf(columns), traits, ctes }
}

function first({ relation, alias }: Side): { velo: string; duck: string } {
  return { velo: `${relation.velo} AS ${alias}`, duck: `${relation.duck} AS ${alias}` }
}

/** Joins `last` to the relations before it. */
interface Link {
  readonly kind: Kind
  readonly last: Side
  readonly on: On
}

/**
 * A second and at times a third relation, each joined to those before it. One whose types do not fit is replaced
 * by the first relation again, if that can be named twice.
 */
function links(builder: Builder, start: Side, kinds: readonly Kind[], relation: () => Relation): Link[] {
  const { choices } = builder
  const found: Link[] = []
  const most = choices.chance(25) ? 2 : 1
  let scope = start.scope
  while (found.length < most) {
    const itself = !start.relation.inline && !start.relation.traits.append && choices.chance(15)
    const last = side(builder, itself ? start.relation : relation())
    const on = joinCondition(choices, scope, last.scope)
    // Without an equality only what every system can do: pairs of all rows.
    const kind = on === everyPair ? 'JOIN' : choices.pick(kinds)
    found.push({ kind, last, on })
    scope = [...scope, ...last.scope]
  }
  return found
}

export const tableJoin: Piece = {
  name: 'table join',
  makes: 'from',
  weight: 4,
  gives: ['any', 'table'],
  build(builder, depth) {
    const start = side(builder, builder.input(depth, 'table'))
    const chain = links(builder, start, ALL_KINDS, () => builder.input(depth - 1, 'table'))
    const text = first(start)
    let prefix = `${start.alias}._p`
    for (const { kind, last, on } of chain) {
      const next = first(last)
      text.velo += ` ${kind} ${next.velo} ${on.clause}`
      text.duck += ` ${kind} ${next.duck} ON ${prefix} = ${last.alias}._p AND ${on.duck}`
      prefix = `COALESCE(${prefix}, ${last.alias}._p)`
    }
    const sides = [start, ...chain.map(({ last }) => last)]
    return joined(builder, sides, [`${prefix} AS _p`], text, { append: false })
  },
}

export const lookupJoin: Piece = {
  name: 'lookup join',
  makes: 'from',
  weight: 3,
  gives: ['any', 'stream', 'timed'],
  build(builder, depth, need) {
    const { choices } = builder
    const start = side(builder, builder.input(depth, need === 'timed' ? 'timed' : 'stream'))
    const chain = links(builder, start, ['JOIN', 'LEFT JOIN'], () => builder.input(depth - 1, 'table'))
    const text = first(start)
    for (const { kind, last, on } of chain) {
      const next = first(last)
      text.velo += ` ${kind} ${next.velo} ${on.clause}`
      text.duck += ` ${kind} ${next.duck} ON ${last.alias}._p = ${start.alias}._sq AND ${on.duck}`
    }
    const [only] = chain
    // A table may stand left as well.
    if (chain.length === 1 && only !== undefined && choices.chance(20)) {
      const kind = only.kind === 'LEFT JOIN' ? 'RIGHT JOIN' : 'JOIN'
      text.velo = `${first(only.last).velo} ${kind} ${first(start).velo} ${only.on.clause}`
    }
    const { append, clock, ordered } = start.relation.traits
    const traits = { append, ...(clock && { clock }), ...(ordered && { ordered }) }
    const hidden = ['_p', '_sq', ...(clock === undefined ? [] : ['_et', '_wm'])]
    return joined(
      builder,
      [start, ...chain.map(({ last }) => last)],
      hidden.map((name) => `${start.alias}.${name} AS ${name}`),
      text,
      traits,
    )
  },
}

/** Streams without a bound: pairs of all rows so far. */
export const streamJoin: Piece = {
  name: 'stream join',
  makes: 'from',
  weight: 1,
  gives: ['any', 'stream'],
  build(builder, depth, need) {
    const { choices } = builder
    const left = side(builder, builder.input(depth, 'stream'))
    const right = side(builder, builder.input(depth - 1, 'stream'))
    const on = joinCondition(choices, left.scope, right.scope)
    if (on === everyPair) return single(left)
    const kind = need === 'any' ? choices.pick(ALL_KINDS) : 'JOIN'
    const [l, r] = [left.alias, right.alias]
    const text = {
      velo: `${first(left).velo} ${kind} ${first(right).velo} ${on.clause}`,
      duck: `${first(left).duck} ${kind} ${first(right).duck} ON ${l}._p = ${r}._p AND ${on.duck}`,
    }
    if (kind !== 'JOIN')
      return joined(builder, [left, right], [`COALESCE(${l}._p, ${r}._p) AS _p`], text, { append: false })
    const hidden = [`${l}._p AS _p`, `greatest(${l}._sq, ${r}._sq) AS _sq`]
    return joined(builder, [left, right], hidden, text, { append: true })
  },
}

/** How far apart two rows may be: the right one from `beforeMicros` before the left one to `afterMicros` after it. */
interface Within {
  readonly velo: string
  readonly beforeMicros: number
  readonly afterMicros: number
}

function within(choices: Choices): Within {
  const [before, after] = choices.pick([
    [2, 2],
    [5, 5],
    [0, 4],
    [3, 1],
  ] as const)
  const text = before === after ? `${before} SECONDS` : `(${before} SECONDS, ${after} SECONDS)`
  return { velo: `WITHIN ${text}`, beforeMicros: before * SECOND_MICROS, afterMicros: after * SECOND_MICROS }
}

function clockOf({ relation: { traits } }: Side): Clock {
  if (traits.clock === undefined) throw new Error('a timed relation has a clock')
  return traits.clock
}

/**
 * When a row without a match is final: at once where a key is NULL, else when even a match that comes as late as
 * it may would be too late. A pair is final at once.
 */
function unmatchedFinal({ alias }: Side, keys: readonly string[], patienceMicros: number): string {
  const never = ['FALSE', ...keys.map((key) => `${key} IS NULL`)].join(' OR ')
  return `CASE WHEN ${never} THEN ${ALWAYS_MICROS} ELSE ${alias}._et + ${patienceMicros + 1} END`
}

/** A side without the rows that were late when they came: no match was kept for them. */
function inTime({ relation, alias }: Side, reachMicros: number): string {
  return `(SELECT * FROM ${relation.duck} WHERE _et + ${reachMicros} >= _wm) AS ${alias}`
}

export const intervalJoin: Piece = {
  name: 'interval join',
  makes: 'from',
  weight: 4,
  gives: ['any', 'stream', 'timed'],
  build(builder, depth, need) {
    const { choices } = builder
    const left = side(builder, builder.input(depth, 'timed'))
    const right = side(builder, builder.input(depth - 1, 'timed'))
    const on = joinCondition(choices, left.scope, right.scope)
    const { velo, beforeMicros, afterMicros } = within(choices)
    const kind = need === 'any' ? choices.pick(ALL_KINDS) : 'JOIN'
    const [l, r] = [left.alias, right.alias]
    const near = `${r}._et BETWEEN ${l}._et - ${beforeMicros} AND ${l}._et + ${afterMicros}`
    const pairs = `${inTime(left, afterMicros)} ${kind} ${inTime(right, beforeMicros)}
      ON ${l}._p = ${r}._p AND ${near} AND ${on.duck}`
    const text = {
      velo: `${first(left).velo} ${kind} ${first(right).velo} ${velo} ${on.clause}`,
      duck: pairs,
    }
    const clock = least(clockOf(left), clockOf(right))
    if (kind === 'JOIN') return inner(builder, left, right, text, clock, Math.max(beforeMicros, afterMicros))
    const final = `CASE WHEN ${r}._p IS NULL THEN ${unmatchedFinal(left, on.leftKeys, beforeMicros + afterMicros)}
      WHEN ${l}._p IS NULL THEN ${unmatchedFinal(right, on.rightKeys, beforeMicros + afterMicros)}
      ELSE ${ALWAYS_MICROS} END`
    const hidden = [`COALESCE(${l}._p, ${r}._p) AS _p`, `${final} AS _final`]
    const rows = joined(builder, [left, right], hidden, text, { append: false, closes: true })
    return { ...rows, duck: `(${closing(`SELECT * FROM ${rows.duck}`, clock)})` }
  },
}

/** The pairs as a timed relation: each comes with the later of its records, at the later of its times. */
function inner(
  builder: Builder,
  left: Side,
  right: Side,
  text: { velo: string; duck: string },
  clock: Clock,
  reachMicros: number,
): Input {
  const [l, r] = [left.alias, right.alias]
  const delayed = behind(clock, reachMicros)
  const hidden = [
    `${l}._p AS _p`,
    `greatest(${l}._sq, ${r}._sq) AS _sq`,
    `greatest(${l}._et, ${r}._et) AS _et`,
    `(SELECT ${watermark(delayed, 'prefixes')} FROM prefixes WHERE prefix = greatest(${l}._sq, ${r}._sq) - 1) AS _wm`,
  ]
  return joined(builder, [left, right], hidden, text, { append: true, clock: delayed })
}

// A query under construction, in two texts at once: Velostream's SQL, and DuckDB's over all prefixes.
//
// In DuckDB every relation has a column `_p`, the number of the prefix that the row belongs to: a source has,
// for each prefix, the rows that stand after so many records. Operators keep prefixes apart (they group by
// `_p`, join on equal `_p`), so that one statement gives the answer after every record. Further hidden columns:
//
// | column | of | meaning |
// | --- | --- | --- |
// | `_sq` | append-only relations | the number of the record that the row came with |
// | `_et` | timed relations | event time in microseconds |
// | `_wm` | timed relations | the watermark standing when the row came, in its own input partition |
// | `_fin` | windowed results | the watermark at which the row is final |

import type { Choices } from './choices.js'
import { sources } from './schema.js'
import type { Column, Source } from './schema.js'

/** What an operator asks of its input: anything, an append-only relation, or one with event times as well. */
export type Need = 'any' | 'stream' | 'timed'

/** The watermark of a relation: the least of its sources', less what its windows hold back. */
export interface Clock {
  readonly streams: readonly string[]
  readonly delayMicros: number
}

export interface Relation {
  /** How FROM names it in Velostream's text, without alias. */
  readonly velo: string
  /** Whether `velo` is a SELECT in parentheses, which needs an alias. */
  readonly inline: boolean
  /** Its name in DuckDB's text. */
  readonly duck: string
  readonly columns: readonly Column[]
  /** Whether its rows are only ever added. */
  readonly append: boolean
  /** Present where rows have event times. */
  readonly clock?: Clock
  /** Present where it has `_fin`: the clock that it is compared with. */
  readonly windowed?: Clock
  /** Whether it is an aggregate without keys: one row, updated without a key. */
  readonly singleRow?: boolean
  /** Definitions for WITH that `velo` needs. */
  readonly ctes: readonly string[]
  /** Whether it can be read twice: its text is a name. */
  readonly named: boolean
}

/** What an operator makes: the SELECT in both texts and what is known about it. */
export interface Derived {
  readonly velo: string
  readonly duck: string
  readonly columns: readonly Column[]
  readonly append: boolean
  readonly clock?: Clock
  readonly windowed?: Clock
  readonly singleRow?: boolean
  readonly ctes: readonly string[]
}

/** One operator of the grammar. */
export interface Piece {
  readonly name: string
  /** How often it is drawn, beside the others. */
  readonly weight: number
  /** The needs that it can meet. */
  readonly gives: readonly Need[]
  build(builder: Builder, depth: number, need: Need): Derived
}

/** Hidden columns of an append-only relation that come along unchanged. */
export function carried(relation: Relation, alias?: string): string[] {
  const names = ['_p']
  if (relation.append) names.push('_sq')
  if (relation.clock !== undefined) names.push('_et', '_wm')
  if (relation.windowed !== undefined) names.push('_fin')
  return alias === undefined ? names : names.map((name) => `${alias}.${name} AS ${name}`)
}

/** The watermark of a relation after the prefix of the row `prefixes` of the table of that name. */
export function watermark({ streams, delayMicros }: Clock, prefixes: string): string {
  const least = `least(${streams.map((name) => `${prefixes}.w_${name}`).join(', ')})`
  return delayMicros === 0 ? least : `${least} - ${delayMicros}`
}

export class Builder {
  readonly choices: Choices
  readonly pieces: readonly Piece[]
  /** CREATE statements that the query needs, in order. */
  readonly created: { kind: string; name: string; sql: string }[] = []
  /** DuckDB's common table expressions, in order. */
  readonly expressions: string[] = []
  /** The sources that are read. */
  readonly reads = new Set<string>()
  /** The pieces that were used. */
  readonly used = new Set<string>()
  #names = 0

  constructor(choices: Choices, pieces: readonly Piece[]) {
    this.choices = choices
    this.pieces = pieces
  }

  /** A name that nothing else has. */
  fresh(prefix: string): string {
    return `${prefix}${++this.#names}`
  }

  /** A relation for an operator's FROM: a source, or what another operator makes. */
  input(depth: number, need: Need): Relation {
    if (depth <= 0 || this.choices.chance(30)) return this.source(need)
    const derived = this.operator(depth, need)
    return derived === undefined ? this.source(need) : this.mention(derived)
  }

  /** The result of an operator that meets the need; undefined where none of the enabled ones does. */
  operator(depth: number, need: Need): Derived | undefined {
    const suitable = this.pieces.filter(({ gives }) => gives.includes(need))
    if (suitable.length === 0) return undefined
    const piece = this.choices.pick(suitable.flatMap((each) => Array<Piece>(each.weight).fill(each)))
    this.used.add(piece.name)
    return piece.build(this, depth - 1, need)
  }

  source(need: Need): Relation {
    const suitable = need === 'any' ? sources : sources.filter(({ kind }) => kind === 'stream')
    return this.#reading(this.choices.pick(suitable))
  }

  table(): Relation {
    return this.#reading(this.choices.pick(sources.filter(({ kind }) => kind === 'table')))
  }

  #reading({ name, kind, columns }: Source): Relation {
    this.reads.add(name)
    const base = { velo: name, inline: false, duck: name, columns, ctes: [], named: true }
    if (kind === 'table') return { ...base, append: false }
    return { ...base, append: true, clock: { streams: [name], delayMicros: 0 } }
  }

  /** A derived relation as others read it: in parentheses, by WITH, as a view or as a relation of its own. */
  mention(derived: Derived): Relation {
    const name = this.fresh('v')
    const { velo, ctes, duck: rows, ...rest } = derived
    const text = withText(ctes, velo)
    this.expressions.push(`${name} AS (${rows})`)
    const known = { ...rest, duck: name }
    const spelled = this.choices.pick(['inline', 'inline', 'with', 'view', 'relation'])
    if (spelled === 'inline') return { ...known, velo: `(${velo})`, inline: true, ctes, named: false }
    if (spelled === 'with') {
      return { ...known, velo: name, inline: false, ctes: [...ctes, `${name} AS (${velo})`], named: true }
    }
    // A windowed select would be FINAL as a relation of its own.
    const emit = rest.windowed !== undefined ? ' EMIT CHANGES' : ''
    const kind = spelled === 'view' ? 'VIEW' : rest.append ? 'STREAM' : 'TABLE'
    this.created.push({ kind, name, sql: `CREATE ${kind} ${name} AS ${text}${emit}` })
    return { ...known, velo: name, inline: false, ctes: [], named: true }
  }
}

export function withText(ctes: readonly string[], select: string): string {
  const distinct = [...new Set(ctes)]
  return distinct.length === 0 ? select : `WITH ${distinct.join(', ')} ${select}`
}

/** A relation in both FROM clauses under one alias. */
export function from(relation: Relation, alias: string): { velo: string; duck: string } {
  return { velo: `${relation.velo} AS ${alias}`, duck: `${relation.duck} AS ${alias}` }
}

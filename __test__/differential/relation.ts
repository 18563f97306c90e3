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
// | `_done` | results that time makes final | whether the row is final after this prefix |
// | `_end`, `_first` | ranked results | window's end and group's first record: the order of final rows |

import type { Choices } from './choices.js'
import { scopeOf } from './expressions.js'
import type { Scope } from './expressions.js'
import { sources } from './schema.js'
import type { Column, Source } from './schema.js'

/**
 * What an operator asks of its input: anything, rows that are only added, with event times, those one by one
 * beside their time, or a table's.
 */
export type Need = 'any' | 'stream' | 'timed' | 'sequence' | 'table'

/** The watermark of a relation: the least of those of streams, each less what operators hold back of it. */
export type Clock = ReadonlyMap<string, number>

/** A clock that stays behind another. */
export function behind(clock: Clock, micros: number): Clock {
  return new Map([...clock].map(([stream, delay]) => [stream, delay + micros]))
}

/** The lesser of two clocks. */
export function least(left: Clock, right: Clock): Clock {
  const delays = new Map(left)
  for (const [stream, delay] of right) delays.set(stream, Math.max(delay, delays.get(stream) ?? 0))
  return delays
}

/** What is known of rows, however they are written. */
export interface Traits {
  /** Whether rows are only ever added: then they have `_sq`. */
  readonly append: boolean
  /** Present where rows have event times: `_et` and `_wm`. */
  readonly clock?: Clock
  /** Whether rows come in the order of their times, so that none is late. */
  readonly ordered?: boolean
  /** The column that holds the event time, as expressions call it. */
  readonly timeColumn?: string
  /** Whether time makes rows final one by one: then they have `_done`. */
  readonly closes?: boolean
  /** Whether the order of final rows is laid down. */
  readonly ranked?: boolean
  /** Whether it is an aggregate without keys: one row, updated without a key. */
  readonly singleRow?: boolean
}

/** What an operator makes: its SELECT in both texts. */
export interface Derived {
  readonly velo: string
  readonly duck: string
  readonly columns: readonly Column[]
  readonly traits: Traits
  /** Definitions for WITH that `velo` needs. */
  readonly ctes: readonly string[]
}

/** A relation that FROM can name. */
export interface Relation extends Derived {
  /** Whether `velo` is a SELECT in parentheses, which needs an alias and is written once. */
  readonly inline: boolean
}

/** FROM of a SELECT in both texts: one relation, or several joined. */
export interface Input {
  /** Present where it is one relation. */
  readonly relation?: Relation
  readonly velo: string
  readonly duck: string
  readonly scope: Scope
  readonly traits: Traits
  readonly ctes: readonly string[]
}

/** One operator of the grammar; `operator` makes a SELECT, `combination` the FROM of one. */
export type Piece = {
  readonly name: string
  /** How often it is drawn, beside the others. */
  readonly weight: number
  /** The needs that it can meet. */
  readonly gives: readonly Need[]
} & (
  | { readonly makes: 'select'; build(builder: Builder, depth: number, need: Need): Derived }
  | { readonly makes: 'from'; build(builder: Builder, depth: number, need: Need): Input }
)

/** The hidden columns of rows. */
export function hidden({ append, clock, closes, ranked }: Traits): string[] {
  const names: [string, boolean][] = [
    ['_p', true],
    ['_sq', append],
    ['_et', clock !== undefined],
    ['_wm', clock !== undefined],
    ['_done', closes === true],
    ['_end', ranked === true],
    ['_first', ranked === true],
  ]
  return names.filter(([, has]) => has).map(([name]) => name)
}

/** The watermark of a relation after the prefix of the row `prefixes` of the table of that name. */
export function watermark(clock: Clock, prefixes: string): string {
  return `least(${[...clock].map(([stream, delay]) => `${prefixes}.w_${stream} - ${delay}`).join(', ')})`
}

/** Whether a row's prefix is the one at end of input, when everything is final. */
export const IS_END = '_p = (SELECT MAX(prefix) FROM prefixes)'

/** A query with `_done`: whether the clock has come to a row's `_final` time. */
export function closing(query: string, clock: Clock): string {
  return `SELECT ended.*, _final <= ${watermark(clock, 'prefixes')} AS _done
    FROM (${query}) AS ended JOIN prefixes ON prefix = _p`
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

  /** The FROM of an operator: mostly one relation, at times several joined. */
  from(depth: number, need: Need): Input {
    const joins = this.#suitable('from', need)
    if (depth > 0 && joins.length > 0 && this.choices.chance(40)) {
      const piece = this.choices.pick(joins)
      this.used.add(piece.name)
      return piece.build(this, depth - 1, need)
    }
    const relation = this.input(depth, need)
    const { velo, duck, columns, traits, ctes, inline } = relation
    return {
      relation,
      velo: inline ? `${velo} AS ${duck}` : velo,
      duck,
      scope: scopeOf(columns),
      traits,
      ctes,
    }
  }

  /** A relation: a source, or what another operator makes. */
  input(depth: number, need: Need): Relation {
    if (depth <= 0 || this.choices.chance(30)) return this.source(need)
    const derived = this.operator(depth, need)
    return derived === undefined ? this.source(need) : this.mention(derived)
  }

  /** The result of an operator that meets the need; undefined where none of the enabled ones does. */
  operator(depth: number, need: Need): Derived | undefined {
    const operators = this.#suitable('select', need)
    if (operators.length === 0) return undefined
    const piece = this.choices.pick(operators)
    this.used.add(piece.name)
    return piece.build(this, depth - 1, need)
  }

  #suitable<Makes extends Piece['makes']>(makes: Makes, need: Need): Extract<Piece, { makes: Makes }>[] {
    const fits = (piece: Piece): piece is Extract<Piece, { makes: Makes }> =>
      piece.makes === makes && piece.gives.includes(need)
    return this.pieces.filter(fits).flatMap((piece) => Array.from({ length: piece.weight }, () => piece))
  }

  source(need: Need): Relation {
    const kinds: Record<Need, Source['kind'][]> = {
      any: ['stream', 'table'],
      stream: ['stream'],
      timed: ['stream'],
      sequence: ['stream'],
      table: ['table'],
    }
    const { name, kind, columns, ordered } = this.choices.pick(
      sources.filter((each) => kinds[need].includes(each.kind)),
    )
    this.reads.add(name)
    const clock = new Map([[name, 0]])
    const timed: Traits = { append: true, clock, ordered: ordered === true, timeColumn: 't' }
    const traits = kind === 'table' ? { append: false } : timed
    return { velo: name, duck: name, columns, traits, ctes: [], inline: false }
  }

  /** A derived relation as others read it: in parentheses, by WITH, as a view or as a relation of its own. */
  mention(derived: Derived): Relation {
    const { velo, ctes, columns, traits } = derived
    const name = this.fresh('v')
    this.expressions.push(`${name} AS (${derived.duck})`)
    const known = { duck: name, columns, traits }
    const spelled = this.choices.pick(['inline', 'inline', 'with', 'view', 'relation'])
    if (spelled === 'inline') return { ...known, velo: `(${velo})`, ctes, inline: true }
    if (spelled === 'with') {
      return { ...known, velo: name, ctes: [...ctes, `${name} AS (${velo})`], inline: false }
    }
    const kind = spelled === 'view' ? 'VIEW' : traits.append ? 'STREAM' : 'TABLE'
    this.create(kind, name, `${withText(ctes, velo)}${traits.closes === true ? ' EMIT CHANGES' : ''}`)
    return { ...known, velo: name, ctes: [], inline: false }
  }

  /** The relation under a name: what stands in parentheses becomes a definition for WITH. */
  named(relation: Relation): Relation {
    const { velo, duck, ctes, inline } = relation
    return inline
      ? { ...relation, velo: duck, ctes: [...ctes, `${duck} AS ${velo}`], inline: false }
      : relation
  }

  create(kind: string, name: string, select: string): void {
    this.created.push({ kind, name, sql: `CREATE ${kind} ${name} AS ${select}` })
  }
}

export function withText(ctes: readonly string[], select: string): string {
  const distinct = [...new Set(ctes)]
  return distinct.length === 0 ? select : `WITH ${distinct.join(', ')} ${select}`
}

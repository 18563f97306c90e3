// One case's query: made from choices, finished in both texts.

import type { Choices } from './choices.js'
import { pieces } from './pieces/index.js'
import { Builder, IS_END, withText } from './relation.js'
import type { Derived } from './relation.js'
import type { Column } from './schema.js'

export interface Query {
  /** CREATE statements that come first. */
  readonly created: readonly { kind: string; name: string; sql: string }[]
  readonly velo: string
  /** The answers after all prefixes: column `_p`, two by which final rows come, then the columns in order. */
  readonly duck: string
  /** Whether the order of its final rows is laid down. */
  readonly ranked: boolean
  readonly columns: readonly Column[]
  readonly emit: 'CHANGES' | 'FINAL'
  /** Whether its change log only adds rows. */
  readonly append: boolean
  /** Whether it has at most one row, which is updated although it has no key. */
  readonly singleRow: boolean
  readonly reads: ReadonlySet<string>
  readonly pieces: ReadonlySet<string>
}

const MOST_DEPTH = 3

export function randomQuery(choices: Choices): Query {
  const builder = new Builder(choices, pieces)
  const derived = builder.operator(choices.between(1, MOST_DEPTH), 'any')
  if (derived === undefined) throw new Error('no piece is enabled')
  const emit = choices.chance(30) ? 'FINAL' : 'CHANGES'
  const velo = withText(derived.ctes, derived.velo)
  return {
    created: builder.created,
    velo: `${velo} EMIT ${emit}`,
    duck: reference(builder, derived, emit),
    columns: derived.columns,
    emit,
    append: derived.traits.append || emit === 'FINAL',
    singleRow: derived.traits.singleRow === true,
    ranked: emit === 'FINAL' && derived.traits.ranked === true,
    reads: readsOf(builder, velo),
    pieces: builder.used,
  }
}

/** The sources that a query reads, by itself or by what is created for it: some are chosen and then not joined. */
function readsOf({ created, reads }: Builder, velo: string): Set<string> {
  const mentions = (text: string, name: string) => new RegExp(`\\b(?:FROM|JOIN|TABLE) ${name}\\b`).test(text)
  let text = velo
  for (const { name, sql } of created.toReversed()) if (mentions(text, name)) text += `\n${sql}`
  return new Set([...reads].filter((name) => mentions(text, name)))
}

/** Which rows of each prefix the change log has led to by then. */
function shownRows({ traits: { append, closes } }: Derived, emit: Query['emit']): string {
  if (emit === 'CHANGES' || append) return ''
  return closes === true ? ' WHERE _done' : ` WHERE ${IS_END}`
}

function reference(builder: Builder, derived: Derived, emit: Query['emit']): string {
  const shown = derived.columns.map(({ name, type }) => {
    if (type === 'TIMESTAMP') return `epoch_us(result.${name}) AS ${name}`
    return type === 'DECIMAL' ? `CAST(result.${name} AS VARCHAR) AS ${name}` : `result.${name}`
  })
  const rank = derived.traits.ranked === true ? ['_end', '_first'] : ['0', '0']
  const expressions = [...builder.expressions, `result AS (${derived.duck})`]
  return `WITH ${expressions.join(',\n')}
SELECT ${['_p', ...rank, ...shown].join(', ')} FROM result${shownRows(derived, emit)} ORDER BY _p`
}

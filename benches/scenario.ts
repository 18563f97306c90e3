// What a scenario is, and what the checks of several share.

export type Values = Record<string, number | string>

/** What a run has seen of its changes. */
export class Tally {
  changes = 0
  checksum = 0
  /** The last change, kept so that a compiler cannot leave out building the objects that it counts. */
  last: object | undefined
}

/** The same work in plain JavaScript: takes records, hands every change's row to the tally. */
export interface Rival {
  /** `source` is 1 for a record of `Scenario.alternating`, else 0. */
  process(record: Values, tally: Tally, source: number): void
  end(tally: Tally): void
}

export interface Scenario {
  readonly id: string
  readonly relation: string
  /** A second relation, whose records take turns with those of `relation`: it has every other one. */
  readonly alternating?: string
  /** Rows that are there before the first record. */
  readonly before?: { readonly relation: string; rows(): Values[] }
  readonly definition: string
  /** How a file of its records is written, where it is not NDJSON. */
  readonly fileOptions?: string
  readonly sql: string
  /** One record. */
  record(i: number): Values
  /** What a changed row adds to the checksum. */
  weight(row: Values): number
  /** The definition's own check over all changed rows, in order; a sentence says what is wrong. */
  verify(rows: Values[], records: number): string | undefined
  idiomatic(): Rival
  tuned(): Rival
  /** The fields that the tuned byte scanner reads. */
  readonly fields: readonly string[]
}

export function differs(what: string, found: number, expected: number): string | undefined {
  return Math.abs(found - expected) <= 1e-6 * Math.max(1, Math.abs(expected))
    ? undefined
    : `${what} is ${found}, expected ${expected}`
}

export function sum(rows: Iterable<Values>, field: string): number {
  let total = 0
  for (const row of rows) total += row[field] as number
  return total
}

/** The rows that stand at the end: the last of each key. */
export function lastOf(rows: Values[], key: (row: Values) => string): Map<string, Values> {
  return new Map(rows.map((row) => [key(row), row]))
}

/** The weighted rows of an independent computation: what a run's changes must add up to. */
export function takeChange(tally: Tally, row: Values, weight: number): void {
  const change = { op: 'insert', row }
  tally.last = change
  tally.changes++
  tally.checksum += weight
}

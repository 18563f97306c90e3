// What a contender is: Velostream at one of its doors, or the same work in JavaScript.

import type { Form, Input } from './input.js'
import type { Scenario, Tally, Values } from './scenarios.js'

/** Sees every changed row; a tally while timed, a list while the answer is verified. */
export type Take = (row: Values) => void

export interface Contender {
  readonly name: string
  /** The form of the input that it reads while the clock runs, if it reads any. */
  readonly reads?: Form
  /**
   * What of a timed run is compared with an independent computation: its tally, the number of changes where its
   * output is discarded, or nothing because the program that runs compares by itself.
   */
  readonly compared: 'tally' | 'changes' | 'nothing'
  /** Whether it shows its rows to `take`, so that the scenario's own check can be made. */
  readonly shows?: boolean
  /** What it does with one input; resolves to the seconds from the first record to the last change. */
  run(scenario: Scenario, input: Input, take: Take | undefined, tally: Tally): Promise<number>
}

/** Seconds since a reading of the clock. */
export function secondsSince(started: number): number {
  return (performance.now() - started) / 1000
}

/** The relations of a scenario; a record's place modulo their number is its relation's. */
export function relationsOf({ relation, alternating }: Scenario): string[] {
  return alternating === undefined ? [relation] : [relation, alternating]
}

export function median(values: Iterable<number>): number {
  const sorted = [...values].toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}

/** Median, 99th and 99.9th percentile. */
export interface Latency {
  readonly p50: number
  readonly p99: number
  readonly p999: number
}

export function percentiles(taken: Float64Array): Latency {
  const sorted = taken.toSorted()
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
}

/** The median of what two readings of the clock differ by with nothing in between, in nanoseconds. */
export function timerNanos(): number {
  const taken = new Float64Array(10_000)
  for (let i = 0; i < taken.length; i++) {
    const started = process.hrtime()
    const [s, ns] = process.hrtime(started)
    taken[i] = s * 1e9 + ns
  }
  return percentiles(taken).p50
}

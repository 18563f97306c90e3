/** One line on a terminal that says how far a run is, rewritten in place, and the summary at its end. */

import type { PartitionMetrics } from '../types.js'

const intervalMs = 200
const clearLine = '\r\u001b[2K'

export interface Counts {
  recordsIn: number
  changesOut: number
}

/** Draws while it runs; whatever else prints on the same terminal calls `clear` first. */
export class Progress {
  readonly #stream: NodeJS.WriteStream
  readonly #started = performance.now()
  readonly #timer: NodeJS.Timeout
  #drawn = false

  constructor(stream: NodeJS.WriteStream, counts: () => Counts) {
    this.#stream = stream
    this.#timer = setInterval(() => this.#draw(counts()), intervalMs)
    this.#timer.unref()
  }

  clear(): void {
    if (this.#drawn) this.#stream.write(clearLine)
    this.#drawn = false
  }

  stop(): void {
    clearInterval(this.#timer)
    this.clear()
  }

  #draw(counts: Counts): void {
    const seconds = (performance.now() - this.#started) / 1000
    this.#stream.write(`${clearLine}${rateLine(counts, seconds)}`)
    this.#drawn = true
  }
}

/** What has been done in so many seconds. */
export function rateLine({ recordsIn, changesOut }: Counts, seconds: number): string {
  const rate = seconds > 0 ? recordsIn / seconds : 0
  return `${whole(recordsIn)} records in, ${whole(changesOut)} changes out, ${seconds.toFixed(2)} s, ${whole(rate)} records/s`
}

/** The sums of several partitions; of latencies the largest. */
export function total(partitions: readonly PartitionMetrics[]) {
  const sum = (of: (metrics: PartitionMetrics) => number) =>
    partitions.reduce((all, each) => all + of(each), 0)
  const max = (of: (metrics: PartitionMetrics) => number) => Math.max(0, ...partitions.map(of))
  return {
    recordsIn: sum((each) => each.recordsIn),
    changesOut: sum((each) => each.changesOut),
    late: sum((each) => each.late),
    deadLetters: sum((each) => each.deadLetters),
    stateBytes: sum((each) => each.stateBytes),
    groups: sum((each) => each.groups),
    latencyUs: {
      p50: max((each) => each.latencyUs.p50),
      p99: max((each) => each.latencyUs.p99),
      max: max((each) => each.latencyUs.max),
    },
  }
}

/** The lines of `--stats`. */
export function summary(partitions: readonly PartitionMetrics[], seconds: number): string {
  const all = total(partitions)
  const { p50, p99, max } = all.latencyUs
  return [
    rateLine(all, seconds),
    `latency p50 ${micros(p50)}, p99 ${micros(p99)}, max ${micros(max)}`,
    `state ${whole(all.stateBytes)} bytes in ${whole(all.groups)} groups`,
    `${whole(all.deadLetters)} dead letters, ${whole(all.late)} late`,
  ].join('\n')
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

function micros(value: number): string {
  return value < 1000 ? `${value.toFixed(1)} us` : `${(value / 1000).toFixed(1)} ms`
}

// Latency from `insert` of one row to the listener: npm run latency [-- [--tiny] [--seconds N] [--out FILE]]
//
// Open loop: row i is due at a time that does not depend on how the rows before it fared, and its latency counts
// from then, so that a stall is seen by every row that was due in it. Each turn of the event loop inserts what is
// due. The query is that of s2, whose every record gives one change, in order: change i answers row i.

import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { open } from 'velostream'
import { write } from './compare.js'
import { percentiles, timerNanos } from './contender.js'
import type { Latency } from './contender.js'
import { printTable } from './report.js'
import { scenarios } from './scenarios.js'
import type { Scenario, Values } from './scenarios.js'

const PARTITIONS = [0, 1, 2]
const LOADS = [0.1, 0.5, 0.9]
/** Of an idle engine with one partition, microseconds at the median. */
const IDLE_TO_REACH = 50
/** Between two rows for an engine asleep: long enough for every thread to sleep, and for caches to be lost. */
const SLEEP_MS = 2
const SYMBOLS = 200
/** Share of the time before which nothing counts. */
const WARM_UP_SHARE = 0.2

const { values } = parseArgs({
  options: {
    tiny: { type: 'boolean', default: false },
    seconds: { type: 'string' },
    out: { type: 'string', default: 'benches/results/latency.json' },
  },
})
const seconds = Number(values.seconds ?? (values.tiny ? 0.05 : 5))
const idleRows = values.tiny ? 20 : 1000
const timerMillis = timerNanos() / 1e6
const s2 = scenarios.find(({ id }) => id === 's2') as Scenario
/** Every row that is ever inserted, made before any clock runs; the fields that count repeat after so many. */
const rows = Array.from({ length: 1000 }, (_, i) => s2.record(i))

function row(i: number): Values {
  return rows[i % rows.length] as Values
}

/** One engine with the query of s2; its changes are checked and counted. */
class Running implements AsyncDisposable {
  readonly #engine: Awaited<ReturnType<typeof open>>
  /** Changes so far. */
  seen = 0
  /** Called with the place of each change. */
  arrived: (i: number) => void = () => {}

  private constructor(engine: Awaited<ReturnType<typeof open>>) {
    this.#engine = engine
  }

  static async start(partitions: number): Promise<Running> {
    const engine = await open({ partitions, timestamps: 'number' })
    await engine.exec(s2.definition)
    const running = new Running(engine)
    engine.query<Values>(s2.sql).on('change', ({ row: changed }) => {
      const i = running.seen++
      running.arrived(i)
      const [symbol, count] = [row(i)['symbol'], Math.floor(i / SYMBOLS) + 1]
      if (changed['symbol'] === symbol && changed['trade_count'] === count) return
      console.error(`change ${i} is wrong: ${JSON.stringify(changed)}, expected ${symbol} with ${count}`)
      process.exit(1)
    })
    await engine.flush()
    return running
  }

  insert(i: number): Promise<void> {
    return this.#engine.insert(s2.relation, row(i))
  }

  /** Waits for all changes and requires so many. */
  async finish(inserted: number): Promise<void> {
    await this.#engine.flush()
    if (this.seen !== inserted) throw new Error(`${inserted} rows gave ${this.seen} changes`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine.close()
  }
}

/** Rows per second when each is awaited and the next one follows at once. */
async function highestRate(partitions: number): Promise<number> {
  await using running = await Running.start(partitions)
  const begun = performance.now()
  let inserted = 0
  while (performance.now() - begun < seconds * 1000) await running.insert(inserted++)
  await running.finish(inserted)
  return (inserted / (performance.now() - begun)) * 1000
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Microseconds from when each row was due. */
async function underLoad(partitions: number, perSecond: number): Promise<Latency> {
  await using running = await Running.start(partitions)
  const total = Math.max(1, Math.floor(perSecond * seconds))
  const interval = 1000 / perSecond
  const taken = new Float64Array(total)
  const begun = performance.now()
  running.arrived = (i) => (taken[i] = performance.now() - timerMillis - (begun + i * interval))
  for (let inserted = 0; inserted < total;) {
    const due = Math.min(total, Math.floor((performance.now() - begun) / interval) + 1)
    while (inserted < due) await running.insert(inserted++)
    await turn()
  }
  await running.finish(total)
  return micros(taken.subarray(Math.floor(total * WARM_UP_SHARE)))
}

/** Microseconds from an insertion into an engine that has nothing to do, and how long the call itself takes. */
async function whenIdle(partitions: number, pause: () => Promise<void>): Promise<[Latency, Latency]> {
  await using running = await Running.start(partitions)
  const taken = new Float64Array(idleRows)
  const calls = new Float64Array(idleRows)
  for (let i = 0; i < idleRows; i++) {
    await pause()
    const arrival = new Promise<number>((resolve) => {
      running.arrived = () => resolve(performance.now())
    })
    const started = performance.now()
    const inserted = running.insert(i)
    calls[i] = performance.now() - started - timerMillis
    await inserted
    taken[i] = (await arrival) - started - timerMillis
  }
  await running.finish(idleRows)
  const counted = Math.floor(idleRows * WARM_UP_SHARE)
  return [micros(taken.subarray(counted)), micros(calls.subarray(counted))]
}

/**
 * What an idle engine waits for between two rows: the whole process asleep, whose processor then has other things
 * in its caches; or turns of the event loop, in which only the engine has nothing to do.
 */
const pauses: Record<string, () => Promise<void>> = {
  asleep: () => new Promise((resolve) => setTimeout(resolve, SLEEP_MS)),
  idle: turn,
}

function micros(taken: Float64Array): Latency {
  return percentiles(taken.map((millis) => Math.max(0, millis * 1000)))
}

interface Point {
  readonly partitions: number
  /** `asleep`, `idle`, or a share of the highest rate. */
  readonly load: string
  readonly perSecond?: number
  readonly latencyUs: Latency
  /** Of the call of `insert` alone. */
  readonly callUs?: Latency
}

async function pointsOf(partitions: number): Promise<Point[]> {
  // The first time warms up what is compiled.
  await highestRate(partitions)
  const highest = await highestRate(partitions)
  const points: Point[] = []
  for (const [load, pause] of Object.entries(pauses)) {
    const [latencyUs, callUs] = await whenIdle(partitions, pause)
    points.push({ partitions, load, latencyUs, callUs })
  }
  for (const share of LOADS) {
    const perSecond = highest * share
    const latencyUs = await underLoad(partitions, perSecond)
    points.push({ partitions, load: `${share * 100} %`, perSecond, latencyUs })
  }
  return points
}

function print(points: readonly Point[]): void {
  const cells = points.map(({ partitions, load, perSecond, latencyUs: { p50, p99, p999 }, callUs }) => [
    String(partitions),
    load,
    perSecond?.toFixed(0) ?? '',
    ...[p50, p99, p999].map((us) => us.toFixed(1)),
    callUs?.p50.toFixed(1) ?? '',
  ])
  printTable(['partitions', 'load', 'rows/s', 'p50 us', 'p99 us', 'p99.9 us', 'call p50 us'], cells)
  for (const { latencyUs, partitions, load } of points) {
    if (partitions !== 1 || !(load in pauses)) continue
    console.log(`1 partition, ${load}: p50 ${latencyUs.p50.toFixed(1)} us, to reach ${IDLE_TO_REACH}`)
  }
}

const points: Point[] = []
for (const partitions of PARTITIONS) points.push(...(await pointsOf(partitions)))
if (values.tiny) {
  console.log(`${points.length} latencies were measured, with the right answers`)
} else {
  const processor = cpus()[0]?.model ?? 'unknown processor'
  console.log(`Single rows, ${seconds} s each, Node ${process.versions.node}, ${processor}\n`)
  print(points)
  write(values.out, { node: process.versions.node, processor, seconds, points })
}

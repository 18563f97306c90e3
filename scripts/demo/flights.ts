/**
 * The demonstration's work: 20,000 real flights through two continuous queries.
 *
 * The flights come in the order of their departure, as the bytes of the JSON file they are published in.
 * One query keeps every airport's mean delay current; the other gives each day's figures once the day is
 * over. Printing is left to a View.
 */

import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { open, type PartitionMetrics, type Velostream } from '../../index.js'

const data = (name: string) =>
  fileURLToPath(new URL(`../../node_modules/vega-datasets/data/${name}`, import.meta.url))

/** Airports with fewer flights are not compared: their means say little. */
export const flightsMin = 100
/** A flight this late counts as delayed, as in the statistics of the airlines. */
export const delayedMin = 15

export interface Airport {
  iata: string
  city: string | null
  state: string | null
}
export interface Standing {
  origin: string
  flights: number
  mean_delay: number
}
export interface Day {
  day: Date
  flights: number
  mean_delay: number
  worst_delay: number
  delayed: number
}
export interface Totals {
  records: number
  changes: number
  /** From the first byte offered to the last change received, without the pauses of a paced replay. */
  seconds: number
  partitions: PartitionMetrics[]
}

/** What shows the replay; every method is called as soon as its news is there. */
export interface View {
  airports(airports: ReadonlyMap<string, Airport>): void
  /** The standings changed; `fraction` of the file has been offered. */
  standings(standings: ReadonlyMap<string, Standing>, fraction: number): void
  /** These days are final. */
  days(days: readonly Day[]): void
  done(standings: ReadonlyMap<string, Standing>, totals: Totals): void
}

const definitions = `
  CREATE STREAM flights (
    date TIMESTAMP, delay INT, distance INT, origin STRING, destination STRING,
    WATERMARK FOR date AS date - INTERVAL '0' SECOND
  ) WITH (timestamp_format = '%Y/%m/%d %H:%M');

  CREATE TABLE airports (
    iata STRING PRIMARY KEY, name STRING, city STRING, state STRING, country STRING,
    latitude DOUBLE, longitude DOUBLE
  ) WITH (connector = 'file', path = '${data('airports.csv').replaceAll("'", "''")}', format = 'csv')`

export const standingsSql = `
  SELECT origin, COUNT(*) AS flights, AVG(delay) AS mean_delay
  FROM flights
  GROUP BY origin
  HAVING COUNT(*) >= ${flightsMin}
  EMIT CHANGES`

export const daysSql = `
  SELECT window_start AS day, COUNT(*) AS flights, AVG(delay) AS mean_delay, MAX(delay) AS worst_delay,
    COUNT(*) FILTER (WHERE delay >= ${delayedMin}) AS delayed
  FROM flights
  WINDOW TUMBLING (SIZE 1 DAY)
  GROUP BY window_start
  EMIT FINAL`

/** Replays the flights; `paceMs` is a pause after each of some two hundred pieces of the file, for watching. */
export async function replay(view: View, paceMs = 0): Promise<void> {
  const db = await open()
  try {
    await db.exec(definitions)
    const airports = await db.all<Airport>('SELECT iata, city, state FROM airports')
    view.airports(new Map(airports.map((airport) => [airport.iata, airport])))
    await run(db, view, paceMs)
  } finally {
    await db.close()
  }
}

async function run(db: Velostream, view: View, paceMs: number): Promise<void> {
  const standings = new Map<string, Standing>()
  const pieces = new Pieces(readFileSync(data('flights-20k.json')), paceMs)
  let changes = 0

  const live = db.query<Standing>(standingsSql)
  const final = db.query<Day>(daysSql)
  const ended = [live, final].map(
    (query) => new Promise<void>((done, failed) => query.on('end', done).on('error', failed)),
  )
  live.on('batch', (batch) => {
    changes += batch.length
    for (const { op, row } of batch) {
      if (op === 'delete') standings.delete(row.origin)
      else standings.set(row.origin, row)
    }
    view.standings(standings, pieces.fraction)
  })
  final.on('batch', (batch) => {
    changes += batch.length
    view.days(batch.map(({ row }) => row))
  })

  const started = performance.now()
  const records = await db.insertFrom('flights', pieces)
  await db.end('flights')
  await Promise.all(ended)
  const seconds = (performance.now() - started - pieces.pausedMs) / 1000
  const partitions = [live, final].flatMap((query) => query.metrics().partitions)
  view.done(standings, { records, changes, seconds, partitions })
}

/** A file's bytes in equal pieces, cut without regard to records. */
class Pieces implements AsyncIterable<Uint8Array> {
  static readonly #count = 200
  readonly #bytes: Uint8Array
  readonly #paceMs: number
  #offered = 0
  pausedMs = 0

  constructor(bytes: Uint8Array, paceMs: number) {
    this.#bytes = bytes
    this.#paceMs = paceMs
  }

  get fraction(): number {
    return this.#offered / this.#bytes.length
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    const size = Math.ceil(this.#bytes.length / Pieces.#count)
    while (this.#offered < this.#bytes.length) {
      const piece = this.#bytes.subarray(this.#offered, this.#offered + size)
      this.#offered += piece.length
      yield piece
      if (this.#paceMs > 0) await this.#pause()
    }
  }

  async #pause(): Promise<void> {
    const before = performance.now()
    await sleep(this.#paceMs)
    this.pausedMs += performance.now() - before
  }
}

// The contenders: Velostream's JavaScript doors, and the same work in idiomatic and tuned JavaScript.

// The built package: run from source, the transpiled private fields cost a third of a call.
import { open } from 'velostream'
import type { Rival, Scenario, Tally, Values } from './scenarios.js'
import { scanner } from './scanner.js'

export const BATCH_ROWS = 1000
const CHUNK_BYTES = 64 * 1024

/** Neighbouring records of one relation, as rows or as bytes; `source` is its place, 0 or 1. */
export interface Part<T> {
  readonly relation: string
  readonly source: number
  readonly content: T
}

/** The input of a scenario, made before any clock runs. */
export interface Input {
  readonly records: Values[]
  readonly batches: Part<Values[]>[]
  /** NDJSON, cut anywhere. */
  readonly chunks: Part<Buffer>[]
}

/** The relations of a scenario; a record's place modulo their number is its relation's. */
function relationsOf({ relation, alternating }: Scenario): string[] {
  return alternating === undefined ? [relation] : [relation, alternating]
}

export function prepare(scenario: Scenario, count: number): Input {
  const records = Array.from({ length: count }, (_, i) => scenario.record(i))
  const relations = relationsOf(scenario)
  const batches: Part<Values[]>[] = []
  const chunks: Part<Buffer>[] = []
  const rests = relations.map(() => '')
  for (let at = 0; at < count; at += BATCH_ROWS * relations.length) {
    const some = records.slice(at, at + BATCH_ROWS * relations.length)
    for (const [source, relation] of relations.entries()) {
      const content = relations.length === 1 ? some : some.filter((_, i) => i % relations.length === source)
      batches.push({ relation, source, content })
      rests[source] = cut({ relation, source }, rests[source] ?? '', content, chunks)
    }
  }
  for (const [source, relation] of relations.entries()) {
    const rest = rests[source] ?? ''
    if (rest !== '') chunks.push({ relation, source, content: Buffer.from(rest) })
  }
  return { records, batches, chunks }
}

/** Appends the full chunks of what is left and of some rows; gives what is left then. */
function cut(
  of: { relation: string; source: number },
  rest: string,
  rows: Values[],
  chunks: Part<Buffer>[],
): string {
  const bytes = Buffer.from(rest + rows.map((record) => `${JSON.stringify(record)}\n`).join(''))
  let at = 0
  for (; bytes.length - at >= CHUNK_BYTES; at += CHUNK_BYTES)
    chunks.push({ ...of, content: bytes.subarray(at, at + CHUNK_BYTES) })
  return bytes.toString('utf8', at)
}

/** Sees every changed row; a tally while timed, a list while the answer is verified. */
export type Take = (row: Values) => void

export interface Contender {
  readonly name: string
  /** What it does with one input; resolves to the seconds from the first record to the last change. */
  run(scenario: Scenario, input: Input, take: Take | undefined, tally: Tally): Promise<number>
}

function seconds(since: number): number {
  return (performance.now() - since) / 1000
}

function fold(scenario: Scenario, take: Take | undefined, tally: Tally): Take {
  if (take !== undefined) return take
  return (row) => {
    tally.changes++
    tally.checksum += scenario.weight(row)
  }
}

const processDoor: Contender = {
  name: 'js/process',
  async run(scenario, { records }, take, tally) {
    await using engine = await open({ partitions: 0, timestamps: 'number' })
    await engine.exec(scenario.definition)
    const processor = engine.processor<Values>(scenario.sql)
    const see = fold(scenario, take, tally)
    const { before } = scenario
    if (before !== undefined) processor.processBatch(before.relation, before.rows())
    const relations = relationsOf(scenario)
    const isOnly = relations.length === 1 && before === undefined
    const started = performance.now()
    if (isOnly) for (const record of records) for (const change of processor.process(record)) see(change.row)
    else {
      for (let i = 0; i < records.length; i++) {
        const relation = relations[i % relations.length] as string
        for (const change of processor.process(relation, records[i] as Values)) see(change.row)
      }
    }
    for (const change of processor.end()) see(change.row)
    const taken = seconds(started)
    processor.close()
    return taken
  },
}

/** A door of a running engine: `feed` gives the input, a listener sees the changes. */
function engineDoor(
  name: string,
  feed: (engine: Awaited<ReturnType<typeof open>>, input: Input) => Promise<void>,
): Contender {
  return {
    name,
    async run(scenario, input, take, tally) {
      await using engine = await open({ partitions: 1, timestamps: 'number' })
      await engine.exec(scenario.definition)
      const { before } = scenario
      if (before !== undefined) await engine.insert(before.relation, before.rows())
      const query = engine.query<Values>(scenario.sql)
      const see = fold(scenario, take, tally)
      query.on('batch', (changes) => {
        for (const change of changes) see(change.row)
      })
      await engine.flush()
      const started = performance.now()
      await feed(engine, input)
      await engine.end()
      await engine.flush()
      const taken = seconds(started)
      await query.close()
      return taken
    },
  }
}

const batchDoor = engineDoor('js/batch', async (engine, { batches }) => {
  for (const { relation, content } of batches) await engine.insert(relation, content)
})

const jsonDoor = engineDoor('js/json', async (engine, { chunks }) => {
  for (const { relation, content } of chunks) await engine.insertJson(relation, content)
})

function overObjects(name: string, start: (scenario: Scenario) => Rival): Contender {
  return {
    name,
    async run(scenario, { records }, _take, tally) {
      const rival = start(scenario)
      const relations = relationsOf(scenario).length
      const started = performance.now()
      for (let i = 0; i < records.length; i++) rival.process(records[i] as Values, tally, i % relations)
      rival.end(tally)
      return seconds(started)
    },
  }
}

const idiomaticJson: Contender = {
  name: 'idiomatic, JSON',
  async run(scenario, { chunks }, _take, tally) {
    const rival = scenario.idiomatic()
    const started = performance.now()
    const rests = relationsOf(scenario).map(() => '')
    for (const { source, content } of chunks) {
      const lines = ((rests[source] as string) + content.toString('latin1')).split('\n')
      rests[source] = lines.pop() ?? ''
      for (const line of lines) rival.process(JSON.parse(line) as Values, tally, source)
    }
    rival.end(tally)
    return seconds(started)
  },
}

const tunedJson: Contender = {
  name: 'tuned, JSON',
  async run(scenario, { chunks }, _take, tally) {
    const rival = scenario.tuned()
    const started = performance.now()
    const scans = relationsOf(scenario).map((_, source) =>
      scanner(scenario.record(source), (record) => rival.process(record, tally, source)),
    )
    for (const { source, content } of chunks) scans[source]?.(content)
    rival.end(tally)
    return seconds(started)
  },
}

export const doors: readonly Contender[] = [processDoor, batchDoor, jsonDoor]

export const rivals: readonly Contender[] = [
  overObjects('idiomatic', (scenario) => scenario.idiomatic()),
  overObjects('tuned', (scenario) => scenario.tuned()),
  idiomaticJson,
  tunedJson,
]

/** Nanoseconds that each of `records` takes at js/process, the timer's own cost subtracted, ascending. */
export async function latencies(scenario: Scenario, { records }: Input): Promise<Float64Array> {
  await using engine = await open({ partitions: 0, timestamps: 'number' })
  await engine.exec(scenario.definition)
  const processor = engine.processor<Values>(scenario.sql)
  const { before } = scenario
  if (before !== undefined) processor.processBatch(before.relation, before.rows())
  const relations = relationsOf(scenario)
  const timer = timerCost()
  const taken = new Float64Array(records.length)
  for (let i = 0; i < records.length; i++) {
    const started = process.hrtime()
    processor.process(relations[i % relations.length] as string, records[i] as Values)
    const [s, ns] = process.hrtime(started)
    taken[i] = Math.max(0, s * 1e9 + ns - timer)
  }
  processor.close()
  return taken.toSorted()
}

/** The median of what two readings of the clock differ by with nothing in between. */
function timerCost(): number {
  const taken = new Float64Array(10_000)
  for (let i = 0; i < taken.length; i++) {
    const started = process.hrtime()
    const [s, ns] = process.hrtime(started)
    taken[i] = s * 1e9 + ns
  }
  return taken.toSorted()[taken.length >> 1] as number
}

// Velostream's JavaScript doors.

// The built package: run from source, the transpiled private fields cost a third of a call.
import { open } from 'velostream'
import { percentiles, relationsOf, secondsSince, timerNanos } from './contender.js'
import type { Contender, Latency, Take } from './contender.js'
import type { Form, Input } from './input.js'
import type { Scenario, Tally, Values } from './scenarios.js'

type Engine = Awaited<ReturnType<typeof open>>

function fold(scenario: Scenario, take: Take | undefined, tally: Tally): Take {
  if (take !== undefined) return take
  return (row) => {
    tally.changes++
    tally.checksum += scenario.weight(row)
  }
}

const processDoor: Contender = {
  name: 'js/process',
  reads: 'objects',
  compared: 'tally',
  shows: true,
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
      let i = 0
      for (const record of records) {
        const relation = relations[i++ % relations.length] as string
        for (const change of processor.process(relation, record)) see(change.row)
      }
    }
    for (const change of processor.end()) see(change.row)
    const taken = secondsSince(started)
    processor.close()
    return taken
  },
}

/** A door of a running engine: `feed` gives the input, a listener sees the changes. */
function engineDoor(
  name: string,
  reads: Form,
  feed: (engine: Engine, input: Input) => Promise<void>,
): Contender {
  return {
    name,
    reads,
    compared: 'tally',
    shows: true,
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
      const taken = secondsSince(started)
      await query.close()
      return taken
    },
  }
}

const batchDoor = engineDoor('js/batch', 'objects', async (engine, { batches }) => {
  for (const { relation, content } of batches) await engine.insert(relation, content)
})

const jsonDoor = engineDoor('js/json', 'chunks', async (engine, { chunks }) => {
  for (const { relation, content } of chunks) await engine.insertJson(relation, content)
})

const messageDoor = engineDoor('js/message', 'messages', async (engine, { messages }) => {
  for (const { relation, content } of messages) await engine.insertJson(relation, content, WHOLE)
})

/** Each message is one record. */
const WHOLE = { end: true }

export const doors: readonly Contender[] = [processDoor, batchDoor, jsonDoor, messageDoor]

/** Nanoseconds that each of the records takes at js/process, the timer's own cost subtracted. */
export async function latencyAtProcess(scenario: Scenario, { records, count }: Input): Promise<Latency> {
  await using engine = await open({ partitions: 0, timestamps: 'number' })
  await engine.exec(scenario.definition)
  const processor = engine.processor<Values>(scenario.sql)
  const { before } = scenario
  if (before !== undefined) processor.processBatch(before.relation, before.rows())
  const relations = relationsOf(scenario)
  const timer = timerNanos()
  const taken = new Float64Array(count)
  let i = 0
  for (const record of records) {
    const relation = relations[i % relations.length] as string
    const started = process.hrtime()
    processor.process(relation, record)
    const [s, ns] = process.hrtime(started)
    taken[i++] = Math.max(0, s * 1e9 + ns - timer)
  }
  processor.close()
  return percentiles(taken)
}

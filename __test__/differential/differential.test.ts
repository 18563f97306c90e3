// Random queries over random histories: after every record, the changes so far must have led to DuckDB's answer
// over the records so far.
//
// DIFFERENTIAL_QUERIES (default 500) says how many, DIFFERENTIAL_SEED of which run, DIFFERENTIAL_CASE of that
// run which one alone.
//
// What is compared, for each query: `processor.process` record by record with the reference, by value (doubles to
// 1e-9 relative), as a keyed answer where the result has a primary key, else as a multiset, and the rules of a
// change log: each change fits the rows before it, deletes come first, no row or key changes twice in a step and
// none without a difference. `processBatch` with rolled-back batches in between, and for a share of the queries
// the running engine, must give the very same changes. EMIT FINAL is compared after every record too: what the
// watermark has closed, each row once.
//
// Deliberate differences from a batch engine, which the reference renders as the dialect defines them: a record
// that comes too late for a window is left out of it; a stream's record sees a table as it stands when it
// arrives; an aggregate without GROUP BY has no row before its first input row and keeps it ever after.

import test from 'ava'
import { caseSeed, Choices } from './choices.js'
import { check } from './check.js'
import type { Doors, Failure, Systems } from './check.js'
import { engine } from './doors.js'
import { describeStep, randomHistory } from './history.js'
import type { History, Step } from './history.js'
import { randomQuery } from './query.js'
import { Reference } from './reference.js'
import { fewer, simpler } from './shrink.js'

const COUNT = Number(process.env['DIFFERENTIAL_QUERIES'] ?? 500)
const SEED = Number(process.env['DIFFERENTIAL_SEED'] ?? 4)
const ONLY = process.env['DIFFERENTIAL_CASE']
/** So many queries run over one history. */
const QUERIES_PER_HISTORY = 5
const MOST_RECORDS = 40
/** One query in so many also runs in the engine. */
const ENGINE_EVERY = 10
const SHRINK_ATTEMPTS = 3000
/** After so many failures a run stops. */
const MOST_FAILURES = 5

function historyOf(index: number): History {
  return randomHistory(caseSeed(SEED ^ 0x5eed, Math.floor(index / QUERIES_PER_HISTORY)), MOST_RECORDS)
}

function doorsOf(index: number): Doors {
  return { rolledBack: true, engine: index % ENGINE_EVERY === 0, seed: caseSeed(SEED, index) }
}

/** A failure with the smallest case that was found to fail alike. */
async function shrunk(systems: Systems, index: number, tape: number[], failure: Failure): Promise<string> {
  const doors = doorsOf(index)
  const attempt = async (history: History, numbers: readonly number[]): Promise<Failure | undefined> => {
    await systems.reference.load(history)
    return check(systems, randomQuery(Choices.fromTape(numbers)), history, doors)
  }
  const alike = async (history: History, numbers: readonly number[]) =>
    (await attempt(history, numbers))?.kind === failure.kind
  const budget = { attempts: SHRINK_ATTEMPTS }
  let records: readonly Step[] = historyOf(index)
  let numbers: readonly number[] = tape
  records = await fewer(records, (fewerRecords) => alike(fewerRecords, numbers), budget)
  numbers = await simpler(numbers, (simplerTape) => alike(records, simplerTape), budget)
  records = await fewer(records, (fewerRecords) => alike(fewerRecords, numbers), budget)
  const query = randomQuery(Choices.fromTape(numbers))
  const smallest = (await attempt(records, numbers)) ?? failure
  return [
    `case ${index} of seed ${SEED}: ${smallest.kind}`,
    ...query.created.map(({ sql }) => `  ${sql};`),
    `  ${query.velo}`,
    ...records.map((step, at) => `  ${at + 1}: ${describeStep(step)}`),
    `  ${smallest.detail}`,
    `  the reference: ${query.duck.replaceAll('\n', '\n    ')}`,
    `  again: DIFFERENTIAL_SEED=${SEED} DIFFERENTIAL_CASE=${index}`,
  ].join('\n')
}

test('random queries are answered as DuckDB answers them', async (t) => {
  t.timeout(3_600_000)
  const db = await engine(0)
  t.teardown(() => db.close())
  const reference = await Reference.open()
  t.teardown(() => reference.close())
  const systems = { db, reference }
  const indices = ONLY === undefined ? Array.from({ length: COUNT }, (_, index) => index) : [Number(ONLY)]
  const failures: string[] = []
  const uses = new Map<string, number>()
  let loaded: History | undefined
  for (const index of indices) {
    if (loaded === undefined || index % QUERIES_PER_HISTORY === 0) {
      loaded = historyOf(index)
      await reference.load(loaded)
    }
    const choices = Choices.fromSeed(caseSeed(SEED, index))
    const query = randomQuery(choices)
    for (const piece of query.pieces) uses.set(piece, (uses.get(piece) ?? 0) + 1)
    const failure = await check(systems, query, loaded, doorsOf(index))
    if (failure === undefined) continue
    failures.push(await shrunk(systems, index, choices.tape, failure))
    loaded = undefined
    if (failures.length >= MOST_FAILURES) break
  }
  const used = [...uses].map(([piece, count]) => `${piece} ${count}`).join(', ')
  t.log(`seed ${SEED}, ${indices.length} queries: ${used}`)
  if (failures.length > 0) t.fail(`\n${failures.join('\n\n')}`)
  else t.pass()
})

// Measures every scenario at every door, beside the same work in JavaScript, and prints one table.
//
// usage: npm run bench [-- [--tiny] [--only SCENARIO] [--doors NAME,..] [--records N] [--runs N]]
//
// A rate is records divided by the time from the first record offered to the last change received, the median
// of five runs, contenders taking turns. A wrong answer ends the run: no rate is printed for it. `--tiny` runs
// everything once over a small input, as a test. `--doors` leaves the other doors and contenders out, those that
// the rates are read against excepted.

import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { runCore } from './core.js'
import type { CoreResult } from './core.js'
import { doors, latencies, prepare, rivals } from './doors.js'
import type { Contender, Input } from './doors.js'
import { Tally, scenarios } from './scenarios.js'
import type { Scenario, Values } from './scenarios.js'

/** Idiomatic JavaScript's rate for s2 on the machine that the rates to reach were set on. */
const REFERENCE_S2_PER_SECOND = 17e6
const LATENCY_RECORDS = 200_000
const DOORS = ['core/1', 'core/1024', 'js/process', 'js/batch', 'js/json'] as const

/** Millions of records per second to reach on that machine (benchmarks, "Rates to reach"). */
const TARGETS: Record<string, readonly number[]> = {
  s0: [10, 100, 3, 10, 10],
  s1: [5, 12, 2, 6, 6],
  s2: [6, 20, 2, 7, 8],
  s3a: [6, 15, 2.5, 8, 8],
  s3b: [4, 12, 1.8, 5, 6],
  s4: [6, 20, 2, 7, 7],
}

interface Result {
  scenario: string
  contender: string
  perSecond: number
  latencyNs?: { p50: number; p99: number; p999: number }
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] as number
}

/** Runs once and keeps every row: the definition's own check. */
async function verify(contender: Contender, scenario: Scenario, input: Input): Promise<void> {
  const rows: Values[] = []
  await contender.run(scenario, input, (row) => rows.push(row), new Tally())
  const wrong = scenario.verify(rows, input.records.length)
  if (wrong !== undefined) throw new Error(`${scenario.id} at ${contender.name} is wrong: ${wrong}`)
}

function requireSame(scenario: Scenario, contender: string, found: Tally, expected: Tally): void {
  const close = Math.abs(found.checksum - expected.checksum) <= 1e-9 * Math.abs(expected.checksum)
  if (found.changes !== expected.changes || !close) {
    throw new Error(
      `${scenario.id} at ${contender} is wrong: ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`,
    )
  }
}

async function measure(scenario: Scenario, input: Input, runs: number): Promise<Result[]> {
  const measured = doors.filter(({ name }) => isChosen(name))
  for (const door of measured) await verify(door, scenario, input)
  const contenders = [...measured, ...rivals.filter(({ name }) => isChosen(name) || name === 'idiomatic')]
  const rates = new Map<string, number[]>(contenders.map(({ name }) => [name, []]))
  const expected = new Tally()
  const reference = scenario.idiomatic()
  const relations = scenario.alternating === undefined ? 1 : 2
  for (const [i, record] of input.records.entries()) reference.process(record, expected, i % relations)
  reference.end(expected)
  for (let run = 0; run < runs; run++) {
    for (const contender of contenders) {
      globalThis.gc?.()
      const tally = new Tally()
      const seconds = await contender.run(scenario, input, undefined, tally)
      requireSame(scenario, contender.name, tally, expected)
      rates.get(contender.name)?.push(input.records.length / seconds)
    }
  }
  return contenders.map(({ name }) => ({
    scenario: scenario.id,
    contender: name,
    perSecond: median(rates.get(name) ?? []),
  }))
}

async function latencyOf(
  scenario: Scenario,
  input: Input,
): Promise<{ p50: number; p99: number; p999: number }> {
  const some = { ...input, records: input.records.slice(0, LATENCY_RECORDS) }
  await latencies(scenario, { ...some, records: some.records.slice(0, some.records.length >> 2) })
  const taken = await latencies(scenario, some)
  const at = (share: number) => taken[Math.min(taken.length - 1, Math.floor(taken.length * share))] as number
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
}

function megahertz(perSecond: number): string {
  return (perSecond / 1e6).toFixed(2)
}

/** The table: rate, what to reach here and half of it, latency. */
function print(results: Result[]): void {
  const s2 = results.find((result) => result.scenario === 's2' && result.contender === 'idiomatic')
  const scale = s2 === undefined ? undefined : s2.perSecond / REFERENCE_S2_PER_SECOND
  const header = ['scenario', 'contender', 'M records/s', 'to reach', 'half', 'p50 ns', 'p99 ns', 'p99.9 ns']
  const rows = results.map(({ scenario, contender, perSecond, latencyNs }) => {
    const target = TARGETS[scenario]?.[DOORS.indexOf(contender as (typeof DOORS)[number])]
    const scaled = target === undefined || scale === undefined ? undefined : target * scale
    const latency =
      latencyNs === undefined ? ['', '', ''] : Object.values(latencyNs).map((ns) => ns.toFixed(0))
    const reach = scaled === undefined ? ['', ''] : [scaled.toFixed(2), (scaled / 2).toFixed(2)]
    return [scenario, contender, megahertz(perSecond), ...reach, ...latency]
  })
  const widths = header.map((title, at) =>
    Math.max(title.length, ...rows.map((row) => (row[at] ?? '').length)),
  )
  for (const row of [header, ...rows]) {
    const cells = row.map((cell, at) =>
      at < 2 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0),
    )
    console.log(cells.join('  ').trimEnd())
  }
  if (scale !== undefined) {
    console.log(
      `\nRates to reach are scaled by ${scale.toFixed(2)}: idiomatic JavaScript does s2 at ${megahertz(s2?.perSecond ?? 0)} M/s here.`,
    )
  }
}

const { values } = parseArgs({
  options: {
    tiny: { type: 'boolean', default: false },
    only: { type: 'string' },
    doors: { type: 'string' },
    records: { type: 'string' },
    runs: { type: 'string' },
  },
})
const count = Number(values.records ?? (values.tiny ? 3000 : 1_000_000))
const runs = Number(values.runs ?? (values.tiny ? 1 : 5))
const chosenDoors = values.doors?.split(',')
const isChosen = (name: string) => chosenDoors === undefined || chosenDoors.includes(name)
const chosen = scenarios.filter(({ id }) => values.only === undefined || id === values.only)
const atCore = isChosen('core/1') || isChosen('core/1024')
const core: CoreResult[] = atCore ? runCore(count, runs, values.tiny) : []
const results: Result[] = []
for (const scenario of chosen) {
  const input = prepare(scenario, count)
  const measured = await measure(scenario, input, runs)
  const atProcess = measured.find(({ contender }) => contender === 'js/process')
  if (atProcess !== undefined) atProcess.latencyNs = await latencyOf(scenario, input)
  for (const { scenario: id, door, ...rest } of core)
    if (id === scenario.id && isChosen(door)) results.push({ scenario: id, contender: door, ...rest })
  results.push(...measured)
}
if (values.tiny) {
  // Unwarmed and unoptimised: its rates would mean nothing.
  console.log(`${results.length} contenders gave the right answers over ${count} records`)
} else {
  const machine = cpus()[0]?.model ?? 'unknown processor'
  console.log(`${count} records, median of ${runs}, Node ${process.versions.node}, ${machine}\n`)
  print(results)
}

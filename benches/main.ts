// Measures every scenario at every door, beside the same work in JavaScript: prints tables, writes them as JSON,
// and compares them with what is committed.
//
// usage: npm run bench [-- [--tiny] [--only SCENARIO,..] [--doors NAME,..] [--records N] [--runs N]
//                          [--out FILE] [--update]]
//
// A rate is records divided by the time from the first record offered to the last change received, the median
// of five runs, contenders taking turns. A wrong answer ends the run: no rate is printed for it. `--tiny` runs
// everything once over a small input, as a test. `--doors` leaves the other doors and contenders out, those that
// the rates are read against excepted. `--update` writes the committed files anew. docs/performance.md says more.

import { availableParallelism, cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { compare, update, write } from './compare.js'
import type { Report } from './compare.js'
import { bareDoor, Core, coreDoors, partitionDoor } from './core.js'
import type { Contender } from './contender.js'
import { Details } from './details.js'
import { doors } from './doors.js'
import { fileDoor } from './file-door.js'
import { Files } from './files.js'
import { prepare, stream } from './input.js'
import type { Form } from './input.js'
import { measure } from './measure.js'
import type { Result } from './measure.js'
import { printPartitions, printResults } from './report.js'
import { peersOf, rivals } from './rivals.js'
import { scenarios } from './scenarios.js'
import type { Scenario } from './scenarios.js'
import { compareSnapshot, rehearse, take, updateSnapshot } from './snapshot.js'
import { ducks, textRivals } from './stations-file.js'

const PARTITIONS = [1, 2, 4]
const PARTITIONED = ['s2', 's3a', 's3b', 's5']

const { values } = parseArgs({
  options: {
    tiny: { type: 'boolean', default: false },
    only: { type: 'string' },
    doors: { type: 'string' },
    records: { type: 'string' },
    runs: { type: 'string' },
    out: { type: 'string', default: 'benches/results/latest.json' },
    update: { type: 'boolean', default: false },
  },
})
const { tiny } = values
const count = Number(values.records ?? (tiny ? 3000 : 1_000_000))
const lines = Number(values.records ?? (tiny ? 3000 : 10_000_000))
const runs = Number(values.runs ?? (tiny ? 1 : 5))
const cores = availableParallelism()
const chosenDoors = values.doors?.split(',')
const chosen = scenarios.filter(({ id }) => values.only === undefined || values.only.split(',').includes(id))

const core = new Core(tiny ? 'fast' : 'release')
using files = new Files()
const filePeaks = new Map<string, number>()
const details = new Details(core, filePeaks, { records: count, tiny })

/** Those that were asked for; the file of s5 has contenders of its own. */
function chosenOf<C extends Contender>(contenders: readonly C[]): C[] {
  return contenders.filter(({ name }) => chosenDoors === undefined || chosenDoors.includes(name))
}

async function measureScenario(scenario: Scenario): Promise<Result[]> {
  const hasText = scenario.fileOptions !== undefined
  const counts = PARTITIONED.includes(scenario.id) ? PARTITIONS : []
  const fed = chosenOf(counts.map((partitions) => partitionDoor(core, partitions)))
  const bare = fed.length > 0 ? [bareDoor(core)] : []
  const read = hasText ? [] : chosenOf(counts.map((partitions) => partitionDoor(core, partitions, files)))
  const ours = chosenOf([...coreDoors(core), ...doors, ...(hasText ? [] : [fileDoor(files, filePeaks)])])
  const measured = [...ours, ...bare, ...fed, ...read]
  const names = new Set(measured.flatMap(({ name }) => peersOf(scenario, name)))
  const peers = rivals.filter(({ name }) => names.has(name) || name === 'idiomatic')
  const inputOf = (form?: Form) =>
    form === undefined ? stream(scenario, count) : prepare(scenario, count, form)
  const results = await measure(scenario, inputOf, [...measured, ...peers], runs)
  return details.add(scenario, results, [...fed, ...read])
}

/** s5 as it is meant: a text file of ten million lines, beside DuckDB. */
async function measureText(scenario: Scenario): Promise<Result[]> {
  const read = chosenOf(PARTITIONS.map((partitions) => partitionDoor(core, partitions, files)))
  const measured = [...chosenOf([fileDoor(files, filePeaks)]), ...read]
  if (measured.length === 0) return []
  const threads = PARTITIONS.filter((partitions) => partitions <= cores)
  const peers = [...ducks(files, threads), ...textRivals(files)]
  const results = await measure(scenario, () => stream(scenario, lines), [...measured, ...peers], runs)
  return details.add(scenario, results, read)
}

const results: Result[] = []
for (const scenario of chosen) {
  results.push(...(await measureScenario(scenario)))
  if (scenario.fileOptions !== undefined) results.push(...(await measureText(scenario)))
}
const processor = cpus()[0]?.model ?? 'unknown processor'
const report: Report = { node: process.versions.node, processor, cores, runs, results }
if (tiny) {
  rehearse(core)
  // Unwarmed and unoptimised: its rates would mean nothing.
  console.log(`${results.length} contenders gave the right answers over ${count} records`)
} else {
  console.log(`${count} records, median of ${runs}, Node ${report.node}, ${cores} cores, ${processor}\n`)
  printResults(results)
  printPartitions(results)
  write(values.out, report)
  compare(report)
  const ids = chosenDoors === undefined ? chosen.map(({ id }) => id) : []
  const snapshot = take(core, ids, details.states)
  if (compareSnapshot(snapshot) && !values.update) process.exitCode = 1
  if (values.update) {
    update(report)
    updateSnapshot(snapshot)
  }
}

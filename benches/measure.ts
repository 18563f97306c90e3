// Rounds: every contender verified once, then all of them that read the same form of the input taking turns.

import { median, relationsOf } from './contender.js'
import type { Contender, Latency } from './contender.js'
import type { Form, Input } from './input.js'
import { Tally } from './scenarios.js'
import type { Scenario, Values } from './scenarios.js'

/** What was measured of one contender. */
export interface Result {
  readonly scenario: string
  readonly contender: string
  readonly records: number
  readonly perSecond: number
  /** To the JavaScript that does the same work from the same input in the same run: idiomatic, tuned. */
  ratios?: { idiomatic: number; tuned: number }
  latencyNs?: Latency
  allocationsPerThousand?: number
  bytesPerGroup?: number
  peakBytes?: number
  partitions?: Partitions
}

/** What several partitions make of it. */
export interface Partitions {
  /** Rate divided by what as many times the rate of one partition would be; only up to the cores. */
  readonly efficiency?: number
  /** The mean share of the rows divided by the largest. */
  readonly balance: number
  /** What the partitions worked for each record, together. */
  readonly busyNanos: number
  /** What a core took, behind these runs, to write a cache line that the other had read; 0 with one partition. */
  readonly lineNanos: number
}

/** Runs once and keeps every row: the definition's own check. */
async function verify(contender: Contender, scenario: Scenario, input: Input): Promise<void> {
  const rows: Values[] = []
  await contender.run(scenario, input, (row) => rows.push(row), new Tally())
  const wrong = scenario.verify(rows, input.count)
  if (wrong !== undefined) throw new Error(`${scenario.id} at ${contender.name} is wrong: ${wrong}`)
}

/** What idiomatic JavaScript makes of the records. */
function expectedOf(scenario: Scenario, input: Input): Tally {
  const expected = new Tally()
  const reference = scenario.idiomatic()
  const relations = relationsOf(scenario).length
  let i = 0
  for (const record of input.records) reference.process(record, expected, i++ % relations)
  reference.end(expected)
  return expected
}

function requireSame(scenario: Scenario, contender: Contender, found: Tally, expected: Tally): void {
  const { compared, name } = contender
  if (compared === 'nothing') return
  const near = Math.abs(found.checksum - expected.checksum) <= 1e-9 * Math.abs(expected.checksum)
  if (found.changes === expected.changes && (near || compared === 'changes')) return
  const [seen, wanted] = [found, expected].map(({ changes, checksum }) =>
    JSON.stringify({ changes, checksum }),
  )
  throw new Error(`${scenario.id} at ${name} is wrong: ${seen}, expected ${wanted}`)
}

const forms = [undefined, 'objects', 'chunks', 'messages'] as const

export async function measure(
  scenario: Scenario,
  inputOf: (form: Form | undefined) => Input,
  contenders: readonly Contender[],
  runs: number,
): Promise<Result[]> {
  const measured = new Map<Contender, Result>()
  for (const form of forms) {
    const readers = contenders.filter(({ reads }) => reads === form)
    if (readers.length === 0) continue
    for (const [contender, result] of await takeTurns(scenario, inputOf(form), readers, runs))
      measured.set(contender, result)
  }
  return contenders.flatMap((contender) => measured.get(contender) ?? [])
}

async function takeTurns(
  scenario: Scenario,
  input: Input,
  contenders: readonly Contender[],
  runs: number,
): Promise<Map<Contender, Result>> {
  for (const contender of contenders) if (contender.shows) await verify(contender, scenario, input)
  const taken = new Map<Contender, number[]>(contenders.map((contender) => [contender, []]))
  const expected = expectedOf(scenario, input)
  for (let run = 0; run < runs; run++) {
    for (const contender of contenders) {
      globalThis.gc?.()
      const tally = new Tally()
      const seconds = await contender.run(scenario, input, undefined, tally)
      requireSame(scenario, contender, tally, expected)
      taken.get(contender)?.push(seconds)
    }
  }
  const resultOf = (contender: Contender): Result => ({
    scenario: scenario.id,
    contender: contender.name,
    records: input.count,
    perSecond: input.count / median(taken.get(contender) ?? []),
  })
  return new Map(contenders.map((contender) => [contender, resultOf(contender)]))
}

// What is measured or computed beside the rates: ratios to the peers, partitions, latencies, allocations, bytes.

import { availableParallelism } from 'node:os'
import { median } from './contender.js'
import type { Core, PartitionDoor, State } from './core.js'
import { latencyAtProcess } from './doors.js'
import { prepare } from './input.js'
import type { Result } from './measure.js'
import { peakBytes } from './memory.js'
import { peersOf } from './rivals.js'
import type { Scenario } from './scenarios.js'

const LATENCY_RECORDS = 200_000
/** Records for counts of allocations and bytes; where they end, s3a's and s3b's windows are full. */
const STATE_RECORDS = 500_000
/** The one whose memory a tiny run measures too: every figure is a process. */
const TINY_SCENARIO = 's2b'
const STATE_DOORS = ['core/1', 'core/1024']

export class Details {
  readonly #core: Core
  /** What the command line held at most, by scenario. */
  readonly #filePeaks: Map<string, number>
  readonly #records: number
  readonly #tiny: boolean
  /** By scenario and door. */
  readonly states = new Map<string, State>()

  constructor(core: Core, filePeaks: Map<string, number>, of: { records: number; tiny: boolean }) {
    this.#core = core
    this.#filePeaks = filePeaks
    this.#records = of.records
    this.#tiny = of.tiny
  }

  /** Fills in everything; gives the results. */
  async add(scenario: Scenario, results: Result[], partitioned: readonly PartitionDoor[]): Promise<Result[]> {
    relate(scenario, results)
    spread(scenario, results, partitioned)
    for (const result of results) {
      await this.#addLatency(scenario, result)
      this.#addMemory(scenario, result)
    }
    return results
  }

  async #addLatency(scenario: Scenario, result: Result): Promise<void> {
    const records = Math.min(this.#records, LATENCY_RECORDS)
    if (result.contender === 'core/1') result.latencyNs = this.#core.latency(scenario.id, records)
    if (result.contender !== 'js/process') return
    const input = prepare(scenario, records, 'objects')
    await latencyAtProcess(scenario, prepare(scenario, records >> 2, 'objects'))
    result.latencyNs = await latencyAtProcess(scenario, input)
  }

  #addMemory({ id }: Scenario, result: Result): void {
    const { contender } = result
    if (STATE_DOORS.includes(contender)) {
      const state = this.#core.state(id, contender, this.#tiny ? this.#records : STATE_RECORDS)
      this.states.set(`${id} ${contender}`, state)
      result.allocationsPerThousand = state.allocationsPerThousand
      if (state.groups > 0) result.bytesPerGroup = state.stateBytes / state.groups
      if (state.peakBytes !== null) result.peakBytes = state.peakBytes
    }
    const hasProcess = contender.startsWith('js/') && (!this.#tiny || id === TINY_SCENARIO)
    if (hasProcess) result.peakBytes = peakBytes(id, contender, this.#records)
    const held = contender === 'file' ? this.#filePeaks.get(id) : undefined
    if (held !== undefined) result.peakBytes = held
  }
}

/** Fills in the ratios to the peers of the same run. */
function relate(scenario: Scenario, results: Result[]): void {
  const rate = (name: string) => results.find(({ contender }) => contender === name)?.perSecond
  for (const result of results) {
    if (/^(?:idiomatic|tuned)/.test(result.contender)) continue
    const [idiomatic, tuned] = peersOf(scenario, result.contender).map(rate)
    if (idiomatic === undefined || tuned === undefined) continue
    result.ratios = { idiomatic: result.perSecond / idiomatic, tuned: result.perSecond / tuned }
  }
}

/** Fills in what the partitions made of it. */
function spread(scenario: Scenario, results: Result[], partitioned: readonly PartitionDoor[]): void {
  const cores = availableParallelism()
  for (const { name, partitions, runs } of partitioned) {
    const result = results.find(({ contender }) => contender === name)
    const made = runs.get(scenario.id) ?? []
    if (result === undefined || made.length === 0) continue
    const single = results.find(({ contender }) => contender === name.replace(/\d+$/, '1'))
    const isWithin = partitions > 1 && partitions <= cores && single !== undefined
    const efficiency = isWithin ? { efficiency: result.perSecond / (partitions * single.perSecond) } : {}
    const busyNanos = (median(made.map(({ busySeconds }) => busySeconds)) * 1e9) / result.records
    const lineNanos = median(made.map((run) => run.lineNanos))
    result.partitions = { ...efficiency, balance: made[0]?.balance ?? Number.NaN, busyNanos, lineNanos }
  }
}

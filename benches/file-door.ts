// The file door: the command line over a scenario's files, its output discarded.

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Contender } from './contender.js'
import type { Files } from './files.js'
import type { Values } from './scenarios.js'

const COMMAND_LINE = join('dist', 'src', 'cli', 'main.js')
const STATS = /^([\d,]+) records in, ([\d,]+) changes out, [\d.]+ s, ([\d,]+) records\/s$/m
const PEAK = /^peak (\d+) KiB$/m
const SAY_PEAK = new URL('peak.js?say', import.meta.url).href

/** What a run of the command line says of itself. */
export interface CommandRun {
  /** From the query's start to its end, without the start of the process. */
  readonly seconds: number
  readonly changes: number
  readonly peakBytes: number
}

/** A printed change: with its mark where the result is updated, else the row alone. */
function rowOf(line: string): Values {
  const printed = JSON.parse(line) as Values | { op: string; row: Values }
  return typeof printed['row'] === 'object' ? printed['row'] : (printed as Values)
}

export async function runCommandLine(
  script: string,
  partitions: number,
  see?: (row: Values) => void,
): Promise<CommandRun> {
  const args = ['--import', SAY_PEAK, COMMAND_LINE, 'run', script]
  args.push('--stats', '--quiet', '--format', 'ndjson', '--partitions', String(partitions))
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', see === undefined ? 'ignore' : 'pipe', 'pipe'],
  })
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text))
  const ended = new Promise<number | null>((resolve, reject) =>
    child.on('error', reject).on('close', resolve),
  )
  if (child.stdout !== null && see !== undefined)
    for await (const line of createInterface({ input: child.stdout })) see(rowOf(line))
  const status = await ended
  const [stats, peak] = [STATS.exec(said), PEAK.exec(said)]
  if (status !== 0 || stats === null) throw new Error(`the command line failed over ${script}: ${said}`)
  const [records, changes, perSecond] = stats.slice(1).map((text) => Number(text.replaceAll(',', '')))
  return {
    seconds: (records as number) / (perSecond as number),
    changes: changes as number,
    peakBytes: Number(peak?.[1] ?? Number.NaN) * 1024,
  }
}

/** The door; `peaks` gets what the process held at most, by scenario. */
export function fileDoor(files: Files, peaks: Map<string, number>): Contender {
  return {
    name: 'file',
    compared: 'changes',
    shows: true,
    async run(scenario, input, take, tally) {
      const { script } = files.of(scenario, input)
      const { seconds, changes, peakBytes } = await runCommandLine(script, 1, take)
      tally.changes = changes
      peaks.set(scenario.id, peakBytes)
      return seconds
    },
  }
}

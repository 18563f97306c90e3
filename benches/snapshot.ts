// Counts that do not depend on how busy the machine is: instructions per record by callgrind, and allocations
// per thousand records. Compared with a committed file.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { write } from './compare.js'
import type { Core, State } from './core.js'
import { printTable } from './report.js'

const SNAPSHOT = 'benches/instructions.json'
const SCENARIOS = ['s0', 's2', 's3a', 's3b']
const DOORS = ['core/1', 'core/1024']
/** Records that the longer run of benches/core/steps.rs applies beyond those of the other, by door. */
const RECORDS_BETWEEN: Record<string, number> = { 'core/1': 30_000, 'core/1024': 120_000 }
/** How far a count may be from the committed one. */
const TOLERANCE = 0.02
/** Below this many allocations per thousand records a difference is none: buffers that grow once. */
const ALLOCATIONS_LEAST = 0.5

const LIST_BYTES_MAX = 1 << 26

type Counts = Record<string, Record<string, number>>

export interface Snapshot {
  /** Instructions are those of one compiler on one kind of processor. */
  readonly compiler: string
  readonly architecture: string
  readonly instructionsPerRecord: Counts
  readonly allocationsPerThousand: Counts
}

function firstLine(command: string, ...args: string[]): string | undefined {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' })
  return status === 0 ? stdout.split('\n')[0] : undefined
}

/** One function of callgrind's list: its instructions, and what it is. */
const FUNCTION = /^ *([\d,]+) \([^)]*\) +(\S.*)$/
/** The system's allocator, by file or by name. */
const ALLOCATOR = /malloc\.c:|:(?:malloc|calloc|realloc|free|_int_\w+|malloc_consolidate|unlink_chunk\S*) /

/**
 * Instructions of one run of benches/core/steps.rs, without those of the system's allocator.
 *
 * Preparation does not cancel there: by where its heap happens to lie, glibc joins the freed batches in one way or
 * in another, which for s2 at core/1 differ by 28 million instructions, 944 a record, between runs of one program.
 * What the engine asks of the allocator is counted as allocations.
 */
function instructionsOf(core: Core, scenario: string, door: string, end: string, out: string): number {
  const options = ['--tool=callgrind', `--callgrind-out-file=${out}`]
  const command = [...options, core.executable, 'steps', scenario, door, end]
  const { status, stderr } = spawnSync('valgrind', command, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`callgrind failed: ${stderr}`)
  const annotate = spawnSync('callgrind_annotate', ['--threshold=100', out], {
    encoding: 'utf8',
    maxBuffer: LIST_BYTES_MAX,
  })
  let [counted, allocator] = [0, 0]
  for (const line of annotate.stdout.split('\n')) {
    const [, count, what] = FUNCTION.exec(line) ?? []
    if (count === undefined || what === undefined || what === 'PROGRAM TOTALS') continue
    const instructions = Number(count.replaceAll(',', ''))
    if (ALLOCATOR.test(`${what} `)) allocator += instructions
    else counted += instructions
  }
  // Without its names the allocator would be counted, and the figure could not be relied upon.
  if (allocator === 0) throw new Error('callgrind does not name the functions of the system allocator')
  return counted
}

function countInstructions(core: Core, scenarios: readonly string[]): Counts {
  const directory = mkdtempSync(join(tmpdir(), 'velostream-callgrind-'))
  const out = join(directory, 'out')
  const perRecord = (scenario: string, door: string) => {
    const [more, fewer] = ['more', 'fewer'].map((end) => instructionsOf(core, scenario, door, end, out))
    return ((more ?? 0) - (fewer ?? 0)) / (RECORDS_BETWEEN[door] ?? Number.NaN)
  }
  const counts = scenarios.map((scenario) => [
    scenario,
    Object.fromEntries(DOORS.map((door) => [door, perRecord(scenario, door)])),
  ])
  rmSync(directory, { recursive: true })
  return Object.fromEntries(counts) as Counts
}

/** Runs what callgrind would count, so that a tiny run tests it. */
export function rehearse(core: Core): void {
  for (const scenario of SCENARIOS)
    for (const end of ['fewer', 'more']) core.run('steps', scenario, 'core/1024', end)
}

/** The counts of the chosen scenarios; instructions where valgrind is installed. */
export function take(core: Core, chosen: readonly string[], states: Map<string, State>): Snapshot {
  const allocationsPerThousand: Counts = {}
  for (const [place, { allocationsPerThousand: count }] of states) {
    const [scenario = '', door = ''] = place.split(' ')
    ;(allocationsPerThousand[scenario] ??= {})[door] = count
  }
  const hasValgrind = firstLine('valgrind', '--version') !== undefined
  const counted = SCENARIOS.filter((scenario) => chosen.includes(scenario))
  if (!hasValgrind) console.log('\nNo instruction counts: valgrind is not installed')
  return {
    compiler: firstLine('rustc', '--version') ?? 'unknown',
    architecture: process.arch,
    instructionsPerRecord: hasValgrind ? countInstructions(core, counted) : {},
    allocationsPerThousand,
  }
}

function committed(): Snapshot | undefined {
  return existsSync(SNAPSHOT) ? (JSON.parse(readFileSync(SNAPSHOT, 'utf8')) as Snapshot) : undefined
}

/** Writes the committed file; what was not counted now stays as it was. */
export function updateSnapshot(now: Snapshot): void {
  const then = committed()
  const instructionsPerRecord = { ...then?.instructionsPerRecord, ...now.instructionsPerRecord }
  const allocationsPerThousand = { ...then?.allocationsPerThousand, ...now.allocationsPerThousand }
  write(SNAPSHOT, { ...now, instructionsPerRecord, allocationsPerThousand })
  console.log(`${SNAPSHOT} is written`)
}

/** Whether a count is as committed, less or more. */
function judge(now: number, then: number | undefined, least: number): string {
  if (then === undefined) return 'new'
  if (Math.abs(now - then) <= Math.max(then * TOLERANCE, least)) return ''
  return now > then ? 'ABOVE' : 'below'
}

function rowsOf(now: Counts, then: Counts, least: number, digits: number): string[][] {
  return Object.entries(now).flatMap(([scenario, doors]) =>
    Object.entries(doors).map(([door, count]) => {
      const was = then[scenario]?.[door]
      return [scenario, door, count.toFixed(digits), was?.toFixed(digits) ?? '', judge(count, was, least)]
    }),
  )
}

/** Prints the counts beside the committed ones; gives whether any is above by more than the tolerance. */
export function compareSnapshot(now: Snapshot): boolean {
  const then = committed()
  const isSameMachine = then?.compiler === now.compiler && then.architecture === now.architecture
  const instructions = rowsOf(now.instructionsPerRecord, then?.instructionsPerRecord ?? {}, 0.5, 1)
  const allocations = rowsOf(
    now.allocationsPerThousand,
    then?.allocationsPerThousand ?? {},
    ALLOCATIONS_LEAST,
    2,
  )
  for (const [title, rows] of [
    ['Instructions per record', instructions],
    ['Allocations per thousand records', allocations],
  ] as const) {
    if (rows.length === 0) continue
    console.log(`\n${title}, now and in ${SNAPSHOT}`)
    printTable(['scenario', 'door', 'now', 'then', ''], rows)
  }
  if (then !== undefined && !isSameMachine) {
    console.log(
      `\nThe committed counts are of ${then.compiler} on ${then.architecture}, these of another one.`,
    )
    return false
  }
  return [...instructions, ...allocations].some((row) => row.at(-1) === 'ABOVE')
}

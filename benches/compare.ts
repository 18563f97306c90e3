// The run beside the committed one, by ratios to the JavaScript of the same run: rates do not travel between
// machines, ratios nearly do.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Result } from './measure.js'
import { printTable } from './report.js'

const BASELINE = 'benches/baseline.json'
/** What is left of a ratio below this is marked. */
const FALL = 0.75

/** One run with where it was made. */
export interface Report {
  readonly node: string
  readonly processor: string
  readonly cores: number
  readonly runs: number
  readonly results: Result[]
}

/** The ratio to both peers together: their geometric mean is steadier than either. */
function ratioOf({ ratios }: Result): number | undefined {
  return ratios === undefined ? undefined : Math.sqrt(ratios.idiomatic * ratios.tuned)
}

function keyOf({ scenario, contender }: Result): string {
  return `${scenario} ${contender}`
}

function baseline(): Report | undefined {
  return existsSync(BASELINE) ? (JSON.parse(readFileSync(BASELINE, 'utf8')) as Report) : undefined
}

/** Significant digits that a file keeps of a figure. */
const DIGITS = 5

export function write(path: string, value: unknown): void {
  mkdirSync(dirname(path), { recursive: true })
  const short = (_key: string, held: unknown) =>
    typeof held === 'number' && !Number.isInteger(held) ? Number(held.toPrecision(DIGITS)) : held
  writeFileSync(path, `${JSON.stringify(value, short, 2)}\n`)
}

/** Writes the committed file; what was not measured now stays as it was. */
export function update(report: Report): void {
  const measured = new Set(report.results.map(keyOf))
  const kept = baseline()?.results.filter((result) => !measured.has(keyOf(result))) ?? []
  write(BASELINE, { ...report, results: [...report.results, ...kept] })
  console.log(`\n${BASELINE} is written`)
}

/** Prints each ratio beside the committed one. */
export function compare(report: Report): void {
  const before = baseline()
  if (before === undefined) return
  const then = new Map(before.results.map((result) => [keyOf(result), result]))
  const rows: string[][] = []
  for (const result of report.results) {
    const committed = then.get(keyOf(result))
    if (committed === undefined) continue
    const [now, was] = [ratioOf(result), ratioOf(committed)]
    if (now === undefined || was === undefined) continue
    const change = now / was
    // Warming up weighs more in a short run.
    const fell = committed.records === result.records ? 'FELL' : 'fell, of other records'
    const mark = change < FALL ? fell : ''
    rows.push([result.scenario, result.contender, now.toFixed(3), was.toFixed(3), change.toFixed(2), mark])
  }
  if (rows.length === 0) return
  console.log(
    `\nRatios to the JavaScript peers of the same run, now and in ${BASELINE} (${before.processor})`,
  )
  printTable(['scenario', 'contender', 'now', 'then', 'now/then', ''], rows)
}

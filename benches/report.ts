// What is printed: a table of contenders, and one of partitions.

import type { Result } from './measure.js'

/** Idiomatic JavaScript's rate for s2 on the machine that the rates to reach were set on. */
const REFERENCE_S2_PER_SECOND = 17e6
const TARGET_DOORS = ['core/1', 'core/1024', 'js/process', 'js/batch', 'js/json']

/** Millions of records per second to reach on that machine (benchmarks, "Rates to reach"). */
const TARGETS: Record<string, readonly number[]> = {
  s0: [10, 100, 3, 10, 10],
  s1: [5, 12, 2, 6, 6],
  s2: [6, 20, 2, 7, 8],
  s3a: [6, 15, 2.5, 8, 8],
  s3b: [4, 12, 1.8, 5, 6],
  s4: [6, 20, 2, 7, 7],
}

/** Share of the ideal that several partitions are to reach, beside how evenly their rows are spread. */
const EFFICIENCY_TO_REACH = 0.95
/** How much slower than a bare processor one partition may be. */
const PARTITION_COST = 0.05

export function millions(perSecond: number): string {
  return (perSecond / 1e6).toFixed(2)
}

/** Where nothing was measured, nothing is printed. */
function shown(value: number | undefined, digits: number): string {
  return value === undefined ? '' : value.toFixed(digits)
}

/** Aligned columns; of the first two to the left, of the others to the right. */
export function printTable(header: readonly string[], rows: readonly (readonly string[])[]): void {
  const width = (at: number) => Math.max(...[header, ...rows].map((row) => (row[at] ?? '').length))
  const widths = header.map((_, at) => width(at))
  for (const row of [header, ...rows]) {
    const cells = row.map((cell, at) =>
      at < 2 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0),
    )
    console.log(cells.join('  ').trimEnd())
  }
}

/** Rates, what to reach here, latencies and what is held. */
export function printResults(results: readonly Result[]): void {
  const s2 = results.find((result) => result.scenario === 's2' && result.contender === 'idiomatic')
  const scale = s2 === undefined ? undefined : s2.perSecond / REFERENCE_S2_PER_SECOND
  const header = ['scenario', 'contender', 'M/s', 'ns', 'to reach', 'x idiomatic', 'x tuned']
  header.push('p50 ns', 'p99 ns', 'p99.9 ns', 'allocs/1000', 'B/group', 'peak MiB')
  const rows = results.map((result) => {
    const { scenario, contender, perSecond, ratios, latencyNs } = result
    const target = TARGETS[scenario]?.[TARGET_DOORS.indexOf(contender)]
    const scaled = target === undefined || scale === undefined ? undefined : target * scale
    const rate = [millions(perSecond), (1e9 / perSecond).toFixed(1), shown(scaled, 2)]
    const against = [shown(ratios?.idiomatic, 2), shown(ratios?.tuned, 2)]
    const latency = [latencyNs?.p50, latencyNs?.p99, latencyNs?.p999].map((ns) => shown(ns, 0))
    const allocations = shown(result.allocationsPerThousand, 2)
    const peak = result.peakBytes === undefined ? undefined : result.peakBytes / 2 ** 20
    const held = [allocations, shown(result.bytesPerGroup, 0), shown(peak, 1)]
    return [scenario, contender, ...rate, ...against, ...latency, ...held]
  })
  printTable(header, rows)
  if (scale !== undefined) {
    console.log(
      `\nRates to reach are scaled by ${scale.toFixed(2)}: idiomatic JavaScript does s2 at ${millions(s2?.perSecond ?? 0)} M/s here.`,
    )
  }
}

/** What several partitions bring, and what one costs beside a bare processor. */
export function printPartitions(results: readonly Result[]): void {
  const rows = results.flatMap(({ scenario, contender, perSecond, partitions }) => {
    if (partitions === undefined) return []
    const { efficiency, balance, busyNanos, lineNanos } = partitions
    const reach = efficiency === undefined ? undefined : EFFICIENCY_TO_REACH * balance
    const spread = [shown(efficiency, 2), shown(reach, 2), balance.toFixed(2)]
    const nanos = [busyNanos.toFixed(1), lineNanos > 0 ? lineNanos.toFixed(1) : '']
    return [[scenario, contender, millions(perSecond), ...spread, ...nanos]]
  })
  if (rows.length === 0) return
  console.log('\nPartitions, without JavaScript: with rows from feeds, or reading the file')
  printTable(
    ['scenario', 'door', 'M/s', 'efficiency', 'to reach', 'mean/largest', 'busy ns', 'line ns'],
    rows,
  )
  const rateOf = (scenario: string, contender: string) =>
    results.find((result) => result.scenario === scenario && result.contender === contender)
  console.log(
    `\nOne partition beside a bare processor over the same rows, to reach ${(1 / (1 + PARTITION_COST)).toFixed(2)}:`,
  )
  for (const { scenario, contender, perSecond, partitions } of results) {
    const bare = rateOf(scenario, 'bare')?.perSecond
    if (contender !== 'fed/1' || bare === undefined || partitions === undefined) continue
    const busy = 1e9 / bare / partitions.busyNanos
    console.log(
      `  ${scenario}: rate ${(perSecond / bare).toFixed(2)}, its thread's own work ${busy.toFixed(2)}`,
    )
  }
}

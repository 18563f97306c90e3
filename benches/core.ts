// The Rust doors: runs benches/core, which prints one JSON object per line.

import { spawnSync } from 'node:child_process'

/** What the Rust program measured at one door. */
export interface CoreResult {
  scenario: string
  door: string
  perSecond: number
  latencyNs?: { p50: number; p99: number; p999: number }
}

export function runCore(count: number, runs: number, tiny: boolean): CoreResult[] {
  const profile = tiny ? 'fast' : 'release'
  const build = [
    'run',
    '--quiet',
    '--profile',
    profile,
    '-p',
    'velostream-testkit',
    '--example',
    'bench-core',
  ]
  const { status, stdout, error } = spawnSync('cargo', [...build, '--', String(count), String(runs)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error('the Rust benchmarks failed; what they said stands above')
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as CoreResult)
}

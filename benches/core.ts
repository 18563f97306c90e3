// The Rust side: builds benches/core and runs its commands, each of which prints one JSON object per line.

import { spawnSync } from 'node:child_process'
import type { Contender, Latency } from './contender.js'
import type { Files } from './files.js'

const OUTPUT_BYTES_MAX = 1 << 28

/** What a query keeps and asks for at one of the Rust doors. */
export interface State {
  readonly allocationsPerThousand: number
  readonly stateBytes: number
  readonly groups: number
  readonly peakBytes: number | null
}

/** One run with several partitions. */
export interface PartitionsRun {
  readonly seconds: number
  /** The mean share of the rows divided by the largest. */
  readonly balance: number
  /** What the partitions worked, together. */
  readonly busySeconds: number
  /** What a core took just then to write a cache line that the other had read; 0 with one partition. */
  readonly lineNanos: number
}

/** The program, built. */
export class Core {
  readonly executable: string

  constructor(profile: 'fast' | 'release') {
    const what = ['-p', 'velostream-testkit', '--example', 'bench-core', '--profile', profile]
    const messages = spawnSync('cargo', ['build', ...what, '--message-format=json-render-diagnostics'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      maxBuffer: OUTPUT_BYTES_MAX,
    })
    if (messages.error !== undefined) throw messages.error
    if (messages.status !== 0) throw new Error('the Rust benchmarks do not build; why stands above')
    const lines = messages.stdout.trim().split('\n')
    const built = lines.map((line) => JSON.parse(line) as { executable?: string; target?: { name: string } })
    const executable = built.findLast(({ target }) => target?.name === 'bench-core')?.executable
    if (executable === undefined) throw new Error('cargo does not say where bench-core is')
    this.executable = executable
  }

  run<T>(...args: (string | number)[]): T[] {
    const { status, stdout, error } = spawnSync(this.executable, args.map(String), {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    if (error !== undefined) throw error
    if (status !== 0) throw new Error(`bench-core ${args.join(' ')} failed; why stands above`)
    return stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as T)
  }

  /** The only object that a command prints. */
  one<T>(...args: (string | number)[]): T {
    const [found] = this.run<T>(...args)
    if (found === undefined) throw new Error(`bench-core ${args.join(' ')} says nothing`)
    return found
  }

  latency(scenario: string, records: number): Latency {
    const { p50, p99, p999 } = this.one<Latency>('latency', scenario, records)
    return { p50, p99, p999 }
  }

  state(scenario: string, door: string, records: number): State {
    return this.one<State>('state', scenario, door, records)
  }
}

const CORE_DOORS = ['core/1', 'core/1024', 'core/1 structs', 'core/1024 structs']

/** A `QueryProcessor` fed in Rust. */
export function coreDoors(core: Core): Contender[] {
  return CORE_DOORS.map((name) => ({
    name,
    compared: 'nothing',
    run: async ({ id }, { count }) => core.one<{ seconds: number }>('doors', id, count, name).seconds,
  }))
}

/** A `QueryProcessor` without an engine over the blocks that a feed would give. */
export function bareDoor(core: Core): Contender {
  return {
    name: 'bare',
    compared: 'nothing',
    run: async ({ id }, { count }) => core.one<{ seconds: number }>('bare', id, count).seconds,
  }
}

/** A door of an engine with several partitions, without JavaScript; remembers how its runs went. */
export interface PartitionDoor extends Contender {
  readonly partitions: number
  readonly runs: Map<string, PartitionsRun[]>
}

/** With `files` the engine reads the scenario's file, without it takes as many feeds as it has partitions. */
export function partitionDoor(core: Core, partitions: number, files?: Files): PartitionDoor {
  const runs = new Map<string, PartitionsRun[]>()
  return {
    name: `${files === undefined ? 'fed' : 'file'}/${partitions}`,
    compared: 'nothing',
    partitions,
    runs,
    async run(scenario, input) {
      const path = files === undefined ? [] : [files.of(scenario, input).paths[0] as string]
      const run = core.one<PartitionsRun>('partitions', scenario.id, input.count, partitions, ...path)
      runs.set(scenario.id, [...(runs.get(scenario.id) ?? []), run])
      return run.seconds
    },
  }
}

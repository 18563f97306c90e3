// Peak memory of a JavaScript door: a process of its own, whose records are made on the way and not kept.
//
// The figure is of the whole process, Node.js with some 40 MiB included.

import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { doors } from './doors.js'
import { peakKibibytes } from './peak.js'
import { stream } from './input.js'
import { Tally, scenarios } from './scenarios.js'

/** Bytes that a process held at most which does a scenario at a door. */
export function peakBytes(scenario: string, door: string, records: number): number {
  const args = [fileURLToPath(import.meta.url), scenario, door, String(records)]
  return Number(execFileSync(process.execPath, args, { encoding: 'utf8' })) * 1024
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , id, name, records] = process.argv
  const scenario = scenarios.find((one) => one.id === id)
  const door = doors.find((one) => one.name === name)
  if (scenario === undefined || door === undefined) throw new Error(`there is no ${id} at ${name}`)
  await door.run(scenario, stream(scenario, Number(records)), undefined, new Tally())
  console.log(peakKibibytes())
}

// Runs every golden file through the public API: processors record by record and in batches, and running
// queries on the calling thread and on a partition thread.

import { readFileSync, readdirSync } from 'node:fs'
import test from 'ava'
import { refuse, run, suits } from './golden/doors.js'
import type { Door } from './golden/doors.js'
import { parse, scenes } from './golden/format.js'

const root = new URL('golden/', import.meta.url)
const doors: readonly Door[] = ['processor', 'batch', 'engine 0', 'engine 1', 'engine 3']
const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.slt'))

for (const file of files.toSorted()) {
  const found = scenes(parse(readFileSync(new URL(file, root), 'utf8')))
  for (const door of doors) {
    test(`${file} at ${door}`, async (t) => {
      const wrong: string[] = []
      for (const scene of found.scenes) if (suits(scene, door)) wrong.push(...(await run(scene, door)))
      t.is(wrong.join('\n'), '')
    })
  }
  test(`${file}: what it refuses`, async (t) => {
    const wrong: string[] = []
    for (const refusal of found.refusals) wrong.push(...(await refuse(refusal)))
    t.is(wrong.join('\n'), '')
  })
}

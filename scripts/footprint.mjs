// Start-up, size and idle memory of the built package: `npm run footprint`, over an addon of the release profile.
//
// Each run is a process of its own; the figures are medians. Times are milliseconds from the beginning of the import,
// of `open`, and of `query` to the first change at a listener.

import { readdirSync, statSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { root, run } from './tools.mjs'

const RUNS = 15

const PROBE = `
const begun = performance.now()
const { open } = await import('velostream')
const imported = performance.now()
const db = await open()
const opened = performance.now()
await db.exec('CREATE STREAM s (k STRING, x INT)')
const asked = performance.now()
const query = db.query('SELECT k, SUM(x) AS total FROM s GROUP BY k EMIT CHANGES')
const first = new Promise((done) => query.on('change', () => done(performance.now())))
await db.insert('s', { k: 'a', x: 1 })
const answered = await first
globalThis.gc()
const { rss } = process.memoryUsage()
console.log(JSON.stringify({ import: imported - begun, open: opened - imported, answer: answered - asked, rss }))
await db.close()
`

const EMPTY = 'globalThis.gc(); console.log(JSON.stringify({ rss: process.memoryUsage().rss }))'

/** @typedef {{ import?: number, open?: number, answer?: number, rss: number }} Figures */

/** @param {string} code @returns {Figures} */
function probe(code) {
  const args = ['--expose-gc', '--input-type=module', '--eval', code]
  return JSON.parse(execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8' }))
}

/** @param {number[]} values @returns {number} */
function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}

run(process.execPath, [join('scripts', 'build.mjs'), '--profile', 'release'])
const probes = Array.from({ length: RUNS }, () => probe(PROBE))
const empty = median(Array.from({ length: RUNS }, () => probe(EMPTY).rss))
const addon = readdirSync(root).find((name) => /^velostream\..*\.node$/.test(name)) ?? ''
const mebibytes = (/** @type {number} */ bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
const millis = (/** @type {'import' | 'open' | 'answer'} */ key) =>
  `${median(probes.map((figures) => figures[key] ?? Number.NaN)).toFixed(1)} ms`

console.log(`import          ${millis('import')} (to reach: 15)`)
console.log(`open            ${millis('open')} (5)`)
console.log(`first answer    ${millis('answer')} (2)`)
console.log(`addon           ${mebibytes(statSync(join(root, addon)).size)} (12)`)
console.log(
  `idle memory     ${mebibytes(median(probes.map(({ rss }) => rss)) - empty)} beside an empty Node.js`,
)

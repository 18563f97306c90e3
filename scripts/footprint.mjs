// Start-up, size and idle memory of the built package: `npm run footprint`, over an addon of the release profile.
//
// Each run is a process of its own; the figures are medians, and of times the least as well. Times are milliseconds from
// the beginning of the import, of `open`, and of `query` to the first change at a listener. What Node.js itself takes to
// import anything is shown by a package of one line. A program that is no file but text, as with `--eval`, finds the
// loader of modules cold, and imports take longer.

import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { tmpdir } from 'node:os'
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

const EMPTY = `
globalThis.gc()
const { rss } = process.memoryUsage()
const begun = performance.now()
await import('empty')
const imported = performance.now()
console.log(JSON.stringify({ import: imported - begun, rss }))
`

/** @typedef {{ import: number, open?: number, answer?: number, rss: number }} Figures */

/** @param {string} cwd where packages are found @param {string[]} program @returns {Figures} */
function probe(cwd, ...program) {
  return JSON.parse(execFileSync(process.execPath, ['--expose-gc', ...program], { cwd, encoding: 'utf8' }))
}

/** @param {string} code */
const asText = (code) => ['--input-type=module', '--eval', code]

/** Runs `use` in a folder where this package is found, and one that exports one constant. @param {(cwd: string) => void} use */
function besidePackages(use) {
  const cwd = mkdtempSync(join(tmpdir(), 'velostream-footprint-'))
  const packages = join(cwd, 'node_modules')
  const empty = join(packages, 'empty')
  mkdirSync(empty, { recursive: true })
  writeFileSync(join(empty, 'package.json'), '{ "name": "empty", "type": "module", "exports": "./index.js" }')
  writeFileSync(join(empty, 'index.js'), 'export const nothing = 0\n')
  symlinkSync(root, join(packages, 'velostream'), 'junction')
  writeFileSync(join(cwd, 'ours.mjs'), PROBE)
  writeFileSync(join(cwd, 'empty.mjs'), EMPTY)
  try {
    use(cwd)
  } finally {
    rmSync(cwd, { recursive: true, force: true })
  }
}

/** @param {number[]} values @returns {number} */
function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}

run(process.execPath, [join('scripts', 'build.mjs'), '--profile', 'release'])
/** @type {Record<'ours' | 'empty' | 'oursAsText' | 'emptyAsText', Figures[]>} */
const runs = { ours: [], empty: [], oursAsText: [], emptyAsText: [] }
// In turns, so that all see the same machine.
besidePackages((cwd) => {
  for (let turn = 0; turn < RUNS; turn++) {
    runs.ours.push(probe(cwd, 'ours.mjs'))
    runs.empty.push(probe(cwd, 'empty.mjs'))
    runs.oursAsText.push(probe(cwd, ...asText(PROBE)))
    runs.emptyAsText.push(probe(cwd, ...asText(EMPTY)))
  }
})
const addon = readdirSync(root).find((name) => /^velostream\..*\.node$/.test(name)) ?? ''
const mebibytes = (/** @type {number} */ bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
/** @param {Figures[]} figures @param {'import' | 'open' | 'answer'} key */
function millis(figures, key) {
  const values = figures.map((figure) => figure[key] ?? Number.NaN)
  return `${median(values).toFixed(1)} ms, at best ${Math.min(...values).toFixed(1)}`
}
/** @param {Figures[]} figures */
const idleOf = (figures) => median(figures.map(({ rss }) => rss))

console.log(`import          ${millis(runs.ours, 'import')} (to reach: 15)`)
console.log(`  of nothing    ${millis(runs.empty, 'import')}`)
console.log(
  `  by --eval     ${millis(runs.oursAsText, 'import')}; of nothing ${millis(runs.emptyAsText, 'import')}`,
)
console.log(`open            ${millis(runs.ours, 'open')} (5)`)
console.log(`first answer    ${millis(runs.ours, 'answer')} (2)`)
console.log(`addon           ${mebibytes(statSync(join(root, addon)).size)} (12)`)
console.log(`idle memory     ${mebibytes(idleOf(runs.ours) - idleOf(runs.empty))} beside an empty Node.js`)

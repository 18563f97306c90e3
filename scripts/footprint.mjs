// Start-up, size and idle memory of the built package: `npm run footprint`, over an addon of the release profile.
//
// Each run is a process of its own; the figures are medians, and of times the least as well. Times are milliseconds from
// the beginning of the import, of `open`, and of `query` to the first change at a listener. What Node.js itself takes to
// import anything is shown by a package of one line.

import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
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

/** @param {string} code @param {string} cwd where the package is found @returns {Figures} */
function probe(code, cwd) {
  const args = ['--expose-gc', '--input-type=module', '--eval', code]
  return JSON.parse(execFileSync(process.execPath, args, { cwd, encoding: 'utf8' }))
}

/** Runs `use` in a folder with a package that exports one constant. @template R @param {(cwd: string) => R} use @returns {R} */
function besideEmptyPackage(use) {
  const cwd = mkdtempSync(join(tmpdir(), 'velostream-footprint-'))
  const home = join(cwd, 'node_modules', 'empty')
  mkdirSync(home, { recursive: true })
  writeFileSync(join(home, 'package.json'), '{ "name": "empty", "type": "module", "exports": "./index.js" }')
  writeFileSync(join(home, 'index.js'), 'export const nothing = 0\n')
  try {
    return use(cwd)
  } finally {
    rmSync(cwd, { recursive: true, force: true })
  }
}

/** @param {number[]} values @returns {number} */
function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}

run(process.execPath, [join('scripts', 'build.mjs'), '--profile', 'release'])
/** @type {Figures[]} */
const ours = []
// In turns, so that both see the same machine.
const empty = besideEmptyPackage((cwd) =>
  Array.from({ length: RUNS }, () => {
    ours.push(probe(PROBE, root))
    return probe(EMPTY, cwd)
  }),
)
const addon = readdirSync(root).find((name) => /^velostream\..*\.node$/.test(name)) ?? ''
const mebibytes = (/** @type {number} */ bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
/** @param {Figures[]} figures @param {'import' | 'open' | 'answer'} key */
function millis(figures, key) {
  const values = figures.map((figure) => figure[key] ?? Number.NaN)
  return `${median(values).toFixed(1)} ms, at best ${Math.min(...values).toFixed(1)}`
}
const idle = median(ours.map(({ rss }) => rss)) - median(empty.map(({ rss }) => rss))

console.log(`import          ${millis(ours, 'import')} (to reach: 15)`)
console.log(`  of nothing    ${millis(empty, 'import')}`)
console.log(`open            ${millis(ours, 'open')} (5)`)
console.log(`first answer    ${millis(ours, 'answer')} (2)`)
console.log(`addon           ${mebibytes(statSync(join(root, addon)).size)} (12)`)
console.log(`idle memory     ${mebibytes(idle)} beside an empty Node.js`)

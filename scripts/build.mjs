// Builds what is out of date: the native addon by napi-rs, then the TypeScript as ESM and as CommonJS.
//
// usage: node scripts/build.mjs [--profile fast|release] [--typescript]
//
// `fast` serves development and the tests; `release` is what is published and measured. With --typescript the
// addon is left as it is.

import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { newest, requireTools, root, run, runBin } from './tools.mjs'

const require = createRequire(import.meta.url)
const stamps = join(root, 'node_modules', '.cache', 'velostream')
const nativeInputs = ['Cargo.toml', 'Cargo.lock', 'crates', 'package.json', 'scripts/build.mjs']
const typescriptInputs = [
  'index.ts',
  'src',
  'tsconfig.json',
  'tsconfig.esm.json',
  'tsconfig.cjs.json',
  'package.json',
  'scripts/build.mjs',
]

/**
 * Runs `work` unless its stamp is of the same variant and younger than every input, and `outputs` are there.
 * The stamp carries the time at which the work began, so that a change during the work is not missed.
 * @param {string} name @param {string} variant @param {string[]} inputs @param {() => boolean} outputs @param {() => void} work
 */
function unlessUpToDate(name, variant, inputs, outputs, work) {
  const stamp = join(stamps, `${name}.json`)
  const started = Date.now()
  const last = newest(stamp) > 0 ? JSON.parse(readFileSync(stamp, 'utf8')) : { variant: '', started: 0 }
  const changed = Math.max(...inputs.map((input) => newest(join(root, input))))
  if (last.variant === variant && last.started > changed && outputs()) return
  work()
  mkdirSync(stamps, { recursive: true })
  writeFileSync(stamp, JSON.stringify({ variant, started }))
}

function nativeIsThere() {
  return (
    newest(join(root, 'native.cjs')) > 0 &&
    readdirSync(root).some((name) => /^velostream\..*\.node$/.test(name))
  )
}

function typescriptIsThere() {
  return ['esm', 'cjs'].every((format) => newest(join(root, 'dist', format, 'index.js')) > 0)
}

/** @param {string} profile */
function buildNative(profile) {
  unlessUpToDate('native', profile, nativeInputs, nativeIsThere, () =>
    run('npm', ['run', '--silent', 'build:native', '--', '--profile', profile]),
  )
}

function buildTypeScript() {
  unlessUpToDate('typescript', '', [...typescriptInputs, 'native.d.cts'], typescriptIsThere, () => {
    runBin('tsc', ['-p', 'tsconfig.esm.json'])
    runBin('tsc', ['-p', 'tsconfig.cjs.json'])
    // A package scope of its own makes the files CommonJS; its `#native` leads out of it.
    const native = { types: './native.d.cts', default: './native.cjs' }
    const scope = { type: 'commonjs', imports: { '#native': native } }
    writeFileSync(join(root, 'dist', 'cjs', 'package.json'), JSON.stringify(scope))
    writeFileSync(join(root, 'dist', 'cjs', 'native.cjs'), "module.exports = require('../../native.cjs')\n")
    writeFileSync(join(root, 'dist', 'cjs', 'native.d.cts'), "export * from '../../native.cjs'\n")
    // One copy of every class, whoever imports and whoever requires; and it loads in half of the time.
    const names = Object.keys(require(join(root, 'dist', 'cjs', 'index.js')))
    const all = `export { ${names.join(', ')} } from '../cjs/index.js'\n`
    writeFileSync(join(root, 'dist', 'esm', 'index.js'), all)
  })
}

const { values } = parseArgs({
  options: { profile: { type: 'string', default: 'fast' }, typescript: { type: 'boolean', default: false } },
})
if (!values.typescript) {
  requireTools()
  buildNative(values.profile)
}
buildTypeScript()

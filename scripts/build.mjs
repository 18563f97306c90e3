// Builds what is out of date: the native addon by napi-rs, then the TypeScript: one file that is required, an entry to it
// that is imported, the command, and declarations.
//
// usage: node scripts/build.mjs [--profile fast|release] [--typescript]
//
// `fast` serves development and the tests; `release` is what is published and measured. With --typescript the
// addon is left as it is.

import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildSync } from 'esbuild'
import { newest, requireTools, root, run, runBin } from './tools.mjs'

const stamps = join(root, 'node_modules', '.cache', 'velostream')
const nativeInputs = ['Cargo.toml', 'Cargo.lock', 'crates', 'package.json', 'scripts/build.mjs']
const typescriptInputs = [
  'index.ts',
  'src',
  'tsconfig.json',
  'tsconfig.types.json',
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
  return ['index.js', 'index.cjs', join('types', 'cjs', 'package.json')].every(
    (output) => newest(join(root, 'dist', output)) > 0,
  )
}

/** @param {string} profile */
function buildNative(profile) {
  unlessUpToDate('native', profile, nativeInputs, nativeIsThere, () =>
    run('npm', ['run', '--silent', 'build:native', '--', '--profile', profile]),
  )
}

function buildTypeScript() {
  unlessUpToDate('typescript', '', [...typescriptInputs, 'native.d.cts'], typescriptIsThere, () => {
    rmSync(join(root, 'dist'), { recursive: true, force: true })
    writeEntry(bundle('index.ts', 'index.cjs', 'cjs', '../native.cjs'))
    bundle('src/cli/main.ts', 'src/cli/main.js', 'esm', '../../index.js')
    writeDeclarations()
  })
}

/**
 * One file loads in a fraction of the time of many. Returns the names of its exports.
 * @param {string} from @param {string} to below `dist` @param {'cjs' | 'esm'} format @param {string} external what stays an import
 */
function bundle(from, to, format, external) {
  /** @satisfies {import('esbuild').BuildOptions} */
  const options = {
    absWorkingDir: root,
    entryPoints: [from],
    outfile: join('dist', to),
    bundle: true,
    platform: 'node',
    target: 'node20.19',
    external: [external],
    logLevel: 'warning',
  }
  buildSync({ ...options, format })
  // Those of CommonJS are not reported.
  const { metafile } = buildSync({ ...options, format: 'esm', metafile: true, write: false })
  return Object.values(metafile.outputs).flatMap((output) => output.exports)
}

/**
 * One copy of every class, whoever imports and whoever requires. To import CommonJS, Node.js would look for the names of
 * its exports in all of its text, which takes longer than to run it.
 * @param {string[]} names
 */
function writeEntry(names) {
  const lines = [
    "import { createRequire } from 'node:module'",
    'const require = createRequire(import.meta.url)',
    `export const { ${names.join(', ')} } = require('./index.cjs')`,
  ]
  writeFileSync(join(root, 'dist', 'index.js'), `${lines.join('\n')}\n`)
}

/** The same for both, in two package scopes: the other one's makes them CommonJS, and its `#native` leads out of it. */
function writeDeclarations() {
  runBin('tsc', ['-p', 'tsconfig.types.json'])
  const [esm, cjs] = [join(root, 'dist', 'types', 'esm'), join(root, 'dist', 'types', 'cjs')]
  cpSync(esm, cjs, { recursive: true })
  const scope = { type: 'commonjs', imports: { '#native': './native.d.cts' } }
  writeFileSync(join(cjs, 'package.json'), JSON.stringify(scope))
  writeFileSync(join(cjs, 'native.d.cts'), "export * from '../../../native.cjs'\n")
}

const { values } = parseArgs({
  options: { profile: { type: 'string', default: 'fast' }, typescript: { type: 'boolean', default: false } },
})
if (!values.typescript) {
  requireTools()
  buildNative(values.profile)
}
buildTypeScript()

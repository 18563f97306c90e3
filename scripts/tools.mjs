// What the scripts share: the repository's root, running a command, and the tools a build cannot do without.

import { spawnSync } from 'node:child_process'
import { readFileSync, readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = resolve(fileURLToPath(import.meta.url), '../..')

/** @param {string} version @returns {number[]} */
function numbers(version) {
  return version.split('.').map(Number)
}

/** Whether `version` is at least `least`; both are dotted numbers. @param {string} version @param {string} least */
function atLeast(version, least) {
  const [have, want] = [numbers(version), numbers(least)]
  const first = want.findIndex((part, index) => (have[index] ?? 0) !== part)
  return first < 0 || (have[first] ?? 0) > (want[first] ?? 0)
}

/** The first dotted number that a command prints, or nothing when it cannot be run. @param {string} command @param {string[]} args */
function versionOf(command, args) {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' })
  return status === 0 ? (/\d+(\.\d+)+/.exec(stdout)?.[0] ?? '0') : undefined
}

/** One sentence for the first tool that is missing or too old; nothing when all are there. */
function missingTool() {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const node = manifest.engines.node.replace(/^>=/, '')
  const rust = /rust-version = "([\d.]+)"/.exec(readFileSync(join(root, 'Cargo.toml'), 'utf8'))?.[1] ?? '0'
  if (!atLeast(process.versions.node, node)) {
    return `Velostream needs Node.js ${node} or newer, and this is ${process.versions.node}: install it from https://nodejs.org.`
  }
  const cargo = versionOf('cargo', ['--version'])
  if (cargo === undefined || !atLeast(cargo, rust)) {
    const found = cargo === undefined ? 'found none' : `found ${cargo}`
    return `Velostream is built with cargo ${rust} or newer and ${found}: install Rust from https://rustup.rs.`
  }
  const compiler = process.env['CC'] ?? 'cc'
  if (process.platform !== 'win32' && versionOf(compiler, ['--version']) === undefined) {
    return `Velostream is built with a C compiler and found none named ${compiler}: install gcc or clang (Debian: apt-get install build-essential, macOS: xcode-select --install).`
  }
  return undefined
}

/** Ends the process with one sentence when something the build needs is missing. */
export function requireTools() {
  const sentence = missingTool()
  if (sentence !== undefined) {
    console.error(sentence)
    process.exit(1)
  }
}

/** Runs a command in the root with its output shown; a failure ends this process with its status. @param {string} command @param {string[]} args */
export function run(command, args) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  })
  if (error !== undefined) console.error(`${command} cannot be run: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}

/** Runs a command of node_modules/.bin. @param {string} name @param {string[]} args */
export function runBin(name, args) {
  run(join(root, 'node_modules', '.bin', name), args)
}

/**
 * Runs a program of benches/ over an addon of the release profile; with --tiny over that of the tests.
 *
 * It is compiled first: a loader that transpiles on the way would transpile the package as well, whose private
 * fields then cost as much as the work. Every run begins with a collected heap: what one contender leaves behind
 * is not collected while the next one is timed.
 * @param {string} program @param {string[]} args
 */
export function runBench(program, args) {
  const profile = args.includes('--tiny') ? 'fast' : 'release'
  run(process.execPath, [join('scripts', 'build.mjs'), '--profile', profile])
  runBin('tsc', ['-p', 'tsconfig.bench.json'])
  run(process.execPath, ['--expose-gc', join('.tmp', 'bench', program), ...args])
}

/** Milliseconds of the last change below a path; 0 where there is nothing. @param {string} path @returns {number} */
export function newest(path) {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return 0
  if (!stats.isDirectory()) return stats.mtimeMs
  return readdirSync(path).reduce((latest, name) => Math.max(latest, newest(join(path, name))), stats.mtimeMs)
}

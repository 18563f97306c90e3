// Everything that CI checks, in one run: `npm test`, after the installation also `npm cit`.
//
// Every step runs, so that one run shows all that is wrong; only what cannot be built stops it. The last
// line is the sum of the test runners' own counts, each other step counting as one.

import { spawn } from 'node:child_process'
import { stripVTControlCharacters } from 'node:util'
import { requireTools, root } from './tools.mjs'

/** @typedef {{ passed: number, failed: number, closing: string[] }} Outcome */

const crates = ['--workspace', '--exclude', 'velostream-node', '--profile', 'fast']

/** @type {{ name: string, command: string[], counts?: RegExp, needed?: boolean }[]} */
const steps = [
  { name: 'rustfmt', command: ['cargo', 'fmt', '--all', '--check'] },
  { name: 'prettier', command: ['npx', 'prettier', '--check', '.'] },
  { name: 'oxlint', command: ['npx', 'oxlint', '--deny-warnings'] },
  { name: 'build', command: ['node', 'scripts/build.mjs'], needed: true },
  { name: 'tsc', command: ['npx', 'tsc', '--noEmit'] },
  {
    name: 'clippy',
    command: 'cargo clippy --workspace --all-targets --profile fast -- --deny warnings'.split(' '),
  },
  {
    name: 'cargo test',
    command: ['cargo', 'test', ...crates, '--no-fail-fast'],
    counts: /^test result: \w+\. (?<passed>\d+) passed; (?<failed>\d+) failed/,
  },
  {
    name: 'schedules',
    command: 'cargo test -p velostream-runtime --features explore --test explore --profile fast'.split(' '),
    counts: /^test result: \w+\. (?<passed>\d+) passed; (?<failed>\d+) failed/,
  },
  {
    name: 'ava',
    command: ['npx', 'ava'],
    counts: /^ {2}(?:(?<passed>\d+) tests? passed|(?<failed>\d+) (?:tests? failed|uncaught|unhandled))/,
  },
  { name: 'bench --tiny', command: ['npm', 'run', 'bench', '--', '--tiny'] },
  { name: 'latency --tiny', command: ['npm', 'run', 'latency', '--', '--tiny'] },
]

/** Runs a command with its output shown; resolves to its status and its lines. @param {string[]} command @returns {Promise<{ status: number, lines: string[] }>} */
function watch([file = '', ...args]) {
  return new Promise((done) => {
    const child = spawn(file, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
      shell: process.platform === 'win32',
    })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
      output += text
      process.stdout.write(text)
    })
    child.on('error', (error) => console.error(`${file} cannot be run: ${error.message}`))
    child.on('close', (status) =>
      done({ status: status ?? 1, lines: stripVTControlCharacters(output).split('\n') }),
    )
  })
}

/** @param {number} status @param {string[]} lines @param {RegExp | undefined} counts @returns {Outcome} */
function outcome(status, lines, counts) {
  const closing = counts === undefined ? [] : lines.filter((line) => counts.test(line))
  const groups = closing.map((line) => counts?.exec(line)?.groups ?? {})
  const sum = (/** @type {string} */ name) =>
    groups.reduce((total, found) => total + Number(found[name] ?? 0), 0)
  if (counts === undefined) return { passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1, closing }
  // A runner that ends badly without a failed test, for example because it cannot compile, is a failure too.
  return { passed: sum('passed'), failed: Math.max(sum('failed'), status === 0 ? 0 : 1), closing }
}

requireTools()
/** @type {Outcome} */
const total = { passed: 0, failed: 0, closing: [] }
for (const { name, command, counts, needed } of steps) {
  const started = performance.now()
  console.log(`\n== ${name}: ${command.join(' ')}`)
  const { status, lines } = await watch(command)
  const { passed, failed, closing } = outcome(status, lines, counts)
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  total.passed += passed
  total.failed += failed
  total.closing.push(
    `${failed === 0 ? 'ok' : 'FAILED'}  ${name} (${seconds} s)`,
    ...closing.map((line) => `      ${line.trim()}`),
  )
  if (needed && failed > 0) break
}
console.log(`\n${total.closing.join('\n')}\n${total.passed} passed, ${total.failed} failed`)
process.exitCode = total.failed === 0 ? 0 : 1

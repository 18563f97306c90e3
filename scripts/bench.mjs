// Runs the benchmarks over an addon of the release profile; with --tiny over that of the tests.
//
// They are compiled first: a loader that transpiles on the way would transpile the package as well, whose private
// fields then cost as much as the work.

import { join } from 'node:path'
import { run, runBin } from './tools.mjs'

const args = process.argv.slice(2)
const profile = args.includes('--tiny') ? 'fast' : 'release'
run(process.execPath, [join('scripts', 'build.mjs'), '--profile', profile])
runBin('tsc', ['-p', 'tsconfig.bench.json'])
// Every run begins with a collected heap: what one contender leaves behind is not collected while the next one is timed.
run(process.execPath, ['--expose-gc', join('.tmp', 'bench', 'main.js'), ...args])

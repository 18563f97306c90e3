// Runs the benchmarks over an addon of the release profile; with --tiny over that of the tests.

import { join } from 'node:path'
import { run } from './tools.mjs'

const args = process.argv.slice(2)
const profile = args.includes('--tiny') ? 'fast' : 'release'
const register = ['--import', '@oxc-node/core/register']
run(process.execPath, [join('scripts', 'build.mjs'), '--profile', profile])
run(process.execPath, [...register, join('benches', 'main.ts'), ...args])

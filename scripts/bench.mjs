// Runs the benchmarks; benches/main.ts says what they are and how they are used.

import { runBench } from './tools.mjs'

runBench('main.js', process.argv.slice(2))

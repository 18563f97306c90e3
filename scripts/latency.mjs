// Measures latencies; benches/latency.ts says which and how.

import { runBench } from './tools.mjs'

runBench('latency.js', process.argv.slice(2))

// What this process held at most. Loaded beside another program (`node --import .../peak.js?say ...`), it says so on
// standard error at that program's end.

import { readFileSync } from 'node:fs'

/** The system's own figure is of the program alone; `maxRSS` begins, on Linux, with what the parent holds. */
export function peakKibibytes(): number {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS
  return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1])
}

if (import.meta.url.endsWith('?say')) {
  process.on('exit', () => process.stderr.write(`peak ${peakKibibytes()} KiB\n`))
}

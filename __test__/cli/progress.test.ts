import { mock } from 'node:test'
import test from 'ava'
import { Progress, rateLine } from '../../src/cli/progress.js'

/** What a run that has these counts writes to its terminal, until `run` returns. */
function drawn(run: (progress: Progress) => void): string[] {
  const written: string[] = []
  const terminal = { write: (text: string) => written.push(text) } as unknown as NodeJS.WriteStream
  mock.timers.enable({ apis: ['setInterval'] })
  try {
    run(new Progress(terminal, () => ({ recordsIn: 12_345, changesOut: 67 })))
  } finally {
    mock.timers.reset()
  }
  return written
}

test('the line tells what came in and went out, and how fast', (t) => {
  const line = '20,000 records in, 1,234 changes out, 2.50 s, 8,000 records/s'
  t.is(rateLine({ recordsIn: 20_000, changesOut: 1234 }, 2.5), line)
  t.is(rateLine({ recordsIn: 0, changesOut: 0 }, 0), '0 records in, 0 changes out, 0.00 s, 0 records/s')
})

test('the line is drawn again in place while the run lasts', (t) => {
  const written = drawn((progress) => {
    mock.timers.tick(400)
    progress.stop()
    mock.timers.tick(400)
  })
  t.is(written.length, 3)
  const clear = '\r\u001b[2K'
  for (const line of written.slice(0, 2)) {
    t.true(line.startsWith(`${clear}12,345 records in, 67 changes out, `), line)
    t.regex(line, /\d+\.\d\d s, [\d,]+ records\/s$/)
  }
  t.is(written[2], clear)
})

test('a line that was not drawn is not cleared', (t) => {
  t.deepEqual(
    drawn((progress) => {
      progress.clear()
      progress.stop()
    }),
    [],
  )
})

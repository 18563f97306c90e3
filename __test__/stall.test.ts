import { mock } from 'node:test'
import test from 'ava'
import { opened, turn, warnings } from './support.js'

// Alone in its file: it moves this process's clock.

test('a reader that is busy with what it took is not warned of, one that stays away is', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] })
  const now = performance.now.bind(performance)
  let passed = 0
  const clock = mock.method(performance, 'now', () => now() + passed)
  t.teardown(() => {
    mock.timers.reset()
    clock.mock.restore()
  })
  const all = warnings(t)
  const stalls = () => all.filter(({ name }) => name === 'VelostreamWarning').map(({ message }) => message)
  const pass = async (millis: number) => {
    passed += millis
    mock.timers.tick(1000)
    await turn()
  }

  const db = await opened(t, { mailboxBatches: 1, outputRows: 10 })
  await db.exec('CREATE STREAM s (k INT)')
  const batches = db.query('SELECT k FROM s', undefined, { name: 'busy' }).batches()
  const rows = Array.from({ length: 100 }, (_, k) => ({ k }))
  const inserting = Promise.allSettled(Array.from({ length: 20 }, () => db.insert('s', rows)))
  await batches.next()
  while (db.metrics().queries[0]?.outputRows === 0) await turn()
  await pass(800)
  t.deepEqual(stalls(), [])
  await pass(800)
  t.is(stalls().length, 1)
  t.regex(stalls()[0] ?? '', /busy/)
  await db.close()
  await inserting
})

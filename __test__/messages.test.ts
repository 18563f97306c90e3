/** Small JSON messages are gathered on their way: nothing but the cost tells them from calls of their own. */

import test from 'ava'
import { open } from '../index.js'
import type { Change, Row, Velostream } from '../index.js'

const MESSAGES = [
  '{"k":1,"v":2}',
  '{"k":2,"v":',
  '{"k":3}{"k":4,"v":1}\n',
  'broken',
  '{"k":"text"}',
  '{"k":null}',
  '{"k":5,"v":9}',
]

/** What a query and the dead letters show after messages, given one by one or with a call between them. */
async function shown(
  give: (db: Velostream, message: Buffer, at: number) => Promise<unknown>,
  partitions: number,
) {
  const db = await open({ partitions, clock: () => 7 })
  await db.exec('CREATE STREAM s (k INT NOT NULL, v INT); CREATE STREAM other (k INT)')
  const changes: Change<Row>[] = []
  db.query('SELECT k, COUNT(*) AS n, SUM(v) AS v FROM s GROUP BY k').on('change', (change) =>
    changes.push(change),
  )
  for (let at = 0; at < 70; at += 1) await give(db, Buffer.from(MESSAGES[at % MESSAGES.length] ?? ''), at)
  await db.flush()
  const letters = db.deadLetters().map(({ offset, message, record }) => [offset, message, String(record)])
  const taken = db.metrics().relations.find(({ name }) => name === 's')?.recordsIn
  await db.close()
  return { changes, letters, taken }
}

for (const partitions of [0, 1, 3]) {
  for (const end of [true, false]) {
    test(`messages that are gathered give what each gives alone, end ${end}, partitions ${partitions}`, async (t) => {
      const alone = await shown(async (db, message, at) => {
        await db.insertJson('s', message, { end })
        // A call of another kind makes those before it reach the engine.
        await db.insert('other', { k: at })
      }, partitions)
      const gathered = await shown((db, message) => db.insertJson('s', message, { end }), partitions)
      t.deepEqual(gathered, alone)
      t.true(alone.changes.length > 20)
      t.true(alone.letters.length > 20)
    })
  }
}

test('messages keep their place among rows and among the messages of other streams', async (t) => {
  const db = await open()
  await db.exec('CREATE STREAM a (x INT); CREATE STREAM b (x INT)')
  const seen: unknown[] = []
  db.query('SELECT x FROM a UNION ALL SELECT x FROM b').on('change', ({ row }) => seen.push(row.x))
  const writer = db.stream('a')
  for (let x = 0; x < 600; x += 3) {
    await db.insertJson('a', `{"x":${x}}`)
    await db.insertJson('b', `{"x":${x + 1}}`)
    writer.push({ x: x + 2 })
  }
  await db.flush()
  t.deepEqual(
    seen,
    Array.from({ length: 600 }, (_, x) => x),
  )
  await db.close()
})

test('no writer overtakes a message, whatever way its rows go', async (t) => {
  const db = await open()
  await db.exec('CREATE STREAM s (x INT)')
  const seen: unknown[] = []
  db.query('SELECT x FROM s').on('change', ({ row }) => seen.push(row.x))
  const writer = db.stream('s')
  let x = 0
  for (let round = 0; round < 20; round += 1) {
    await db.insertJson('s', `{"x":${x++}}`)
    writer.push({ x: x++ })
    await db.insertJson('s', `{"x":${x++}}`)
    writer.pushJson(Buffer.from(`{"x":${x++}}\n`))
    await db.insertJson('s', `{"x":${x++}}`)
    writer.pushMany([{ x: x++ }, { x: x++ }])
    await db.insertJson('s', `{"x":${x++}}`)
    await db.insert('s', { x: x++ })
  }
  await db.flush()
  t.deepEqual(
    seen,
    Array.from({ length: x }, (_, at) => at),
  )
  await db.close()
})

test('the letter of a gathered message is told before the engine closes', async (t) => {
  const db = await open()
  await db.exec('CREATE STREAM s (x INT)')
  const told: string[] = []
  db.on('deadLetter', ({ relation }) => told.push(relation))
  await db.insertJson('s', '{"x":1}')
  await db.insertJson('s', 'nothing\n', { end: true })
  await db.close()
  t.deepEqual(told, ['s'])
})

test('the clock of each message counts, and its letter is there when asked for', async (t) => {
  let now = 1000
  const db = await open({ clock: () => now })
  await db.exec('CREATE STREAM s (x INT)')
  const counts: unknown[] = []
  db.query('SELECT window_end, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 SECOND) EMIT FINAL').on(
    'change',
    ({ row }) => counts.push([Number(row.window_end), row.n]),
  )
  for (; now < 4000; now += 500) await db.insertJson('s', '{"x":1}', { end: true })
  await db.insertJson('s', 'nothing\n', { end: true })
  t.is(db.deadLetters().length, 1)
  t.is(db.deadLetters()[0]?.at.getTime(), 4000)
  t.is(db.metrics().relations[0]?.recordsIn, 6)
  await db.end()
  t.deepEqual(counts, [
    [2000, 2],
    [3000, 2],
    [4000, 2],
  ])
  await db.close()
})

test('a message to a stream that has ended or gone is refused in its own call', async (t) => {
  const db = await open()
  await db.exec('CREATE STREAM s (x INT); CREATE STREAM gone (x INT)')
  for (const name of ['s', 'gone']) {
    await db.insertJson(name, '{"x":1}')
    await db.insertJson(name, '{"x":2}')
  }
  await db.end('s')
  await t.throwsAsync(db.insertJson('s', '{"x":3}'), { code: 'ERR_VELO_STATE' })
  await db.exec('DROP STREAM gone')
  await t.throwsAsync(db.insertJson('gone', '{"x":3}'), { code: 'ERR_VELO_UNKNOWN_NAME' })
  await db.close()
  await t.throwsAsync(db.insertJson('s', '{"x":3}'), { code: 'ERR_VELO_CLOSED' })
})

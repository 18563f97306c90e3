import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import test, { type ExecutionContext } from 'ava'
import { open, type Query, type Velostream } from '../index.js'
import { errorOf, opened, run, turn, warnings } from './support.js'

test('an idle engine lets the process end', async (t) => {
  const { status, stdout } = await run('idle.ts')
  t.is(stdout, 'idle\n')
  t.is(status, 0)
})

test('a query with a listener keeps the process alive, until it is closed', async (t) => {
  const { status, stdout } = await run('listening.ts')
  t.is(stdout, 'change 1\nclosed\n')
  t.is(status, 0)
})

test('a pending read keeps the process alive', async (t) => {
  const { status, stdout } = await run('reading.ts')
  t.is(stdout, 'read 1\n')
  t.is(status, 0)
})

test('a listener that throws does not end the process', async (t) => {
  const { status, stdout, stderr } = await run('throwing.ts')
  t.is(stdout, 'others 2\n')
  t.regex(stderr, /a listener of query/)
  t.is(status, 0)
})

test('the process may exit with queries running', async (t) => {
  const { status } = await run('exit.ts')
  t.is(status, 3)
})

test('the package works in a worker, which may be terminated', async (t) => {
  const worker = new Worker(new URL('fixtures/worker.ts', import.meta.url))
  const [message] = await once(worker, 'message')
  t.deepEqual(message, [
    { op: 'insert', row: { k: 1, n: 1 } },
    { op: 'update', row: { k: 1, n: 2 } },
  ])
  await worker.terminate()
  const second = new Worker(new URL('fixtures/worker.ts', import.meta.url))
  await once(second, 'message')
  t.is(await second.terminate(), 1)
})

test('close is idempotent, and every call after it is refused', async (t) => {
  const db = await open()
  await db.exec('CREATE STREAM s (k INT)')
  const writer = db.stream('s')
  const processor = db.processor('SELECT k FROM s')
  t.false(db.closed)
  await Promise.all([db.close(), db.close()])
  await db.close()
  t.true(db.closed)
  const calls = [
    () => db.exec('CREATE STREAM t (k INT)'),
    () => db.query('SELECT k FROM s'),
    () => db.all('SHOW STREAMS'),
    () => db.get('SHOW STREAMS'),
    () => db.insert('s', { k: 1 }),
    () => db.delete('s', { k: 1 }),
    () => db.insertJson('s', '{}'),
    () => db.insertFrom('s', []),
    () => db.stream('s'),
    () => db.processor('SELECT k FROM s'),
    () => db.advanceTime(0),
    () => db.flush(),
    () => db.end(),
    () => db.explain('SELECT k FROM s'),
    () => db.metrics(),
    () => db.deadLetters(),
    () => writer.push({ k: 1 }),
    () => writer.drain(),
  ]
  for (const call of calls) t.is((await errorOf(call)).code, 'ERR_VELO_CLOSED', String(call))
  // A processor has its own state and lives on.
  t.is(processor.process({ k: 1 }).length, 1)
})

test('closing in the middle settles everything that waits', async (t) => {
  const db = await open({ mailboxBatches: 1, outputRows: 1 })
  await db.exec('CREATE STREAM s (k INT)')
  const unread = db.query('SELECT k FROM s')
  const read = db.query('SELECT k FROM s WHERE k < 0')
  let ended = 0
  read.on('end', () => void (ended += 1))
  const pending = read[Symbol.asyncIterator]().next()
  const inserts = Array.from({ length: 20 }, (_, k) => db.insert('s', [{ k }, { k }]))
  const flushed = db.flush()
  await turn()
  await db.close()
  t.deepEqual(await pending, { done: true, value: undefined })
  t.is(ended, 1)
  const outcomes = await Promise.allSettled([...inserts, flushed])
  const rejected = outcomes.filter((outcome) => outcome.status === 'rejected')
  t.true(rejected.length > 0)
  t.true(rejected.every(({ reason }) => reason.code === 'ERR_VELO_CLOSED'))
  t.true((await unread[Symbol.asyncIterator]().next()).done)
})

test('a listener may close the engine', async (t) => {
  const db = await open()
  await db.exec('CREATE STREAM s (k INT)')
  const query = db.query('SELECT k FROM s')
  const ended = once(query, 'end')
  let seen = 0
  query.on('change', () => {
    seen += 1
    void db.close()
  })
  await db.insert('s', [{ k: 1 }, { k: 2 }])
  await ended
  t.is(seen, 1)
})

test('an aborted engine rejects what is pending with the reason', async (t) => {
  const controller = new AbortController()
  const db = await open({ signal: controller.signal, mailboxBatches: 1, outputRows: 1 })
  await db.exec('CREATE STREAM s (k INT)')
  const query = db.query('SELECT k FROM s WHERE k < 0')
  db.query('SELECT k FROM s')
  const read = query[Symbol.asyncIterator]().next()
  const inserts = Array.from({ length: 20 }, (_, k) => db.insert('s', [{ k }, { k }]))
  await turn()
  const reason = new Error('enough')
  controller.abort(reason)
  t.is(await t.throwsAsync(read), reason)
  const outcomes = await Promise.allSettled(inserts)
  const rejected = outcomes.filter((outcome) => outcome.status === 'rejected')
  t.true(rejected.length > 0)
  t.true(rejected.every((outcome) => outcome.reason === reason))
  t.true(db.closed)
  t.is(await t.throwsAsync(open({ signal: AbortSignal.abort(reason) })), reason)
})

test('a slow reader makes insert wait, and a warning names the query', async (t) => {
  const seen = warnings(t)
  const db = await opened(t, { mailboxBatches: 1, outputRows: 10 })
  await db.exec('CREATE STREAM s (k INT)')
  const query = db.query<{ k: number }>('SELECT k FROM s', undefined, { name: 'unread' })
  let accepted = 0
  const rows = Array.from({ length: 100 }, (_, k) => ({ k }))
  const inserting = (async () => {
    for (; accepted < 20; accepted += 1) await db.insert('s', rows)
  })()
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (seen.length > 0) resolve()
      else setTimeout(look, 20)
    }
    look()
  })
  t.true(accepted < 20)
  t.regex(seen[0]?.message ?? '', /unread/)
  let read = 0
  for await (const _ of query) {
    read += 1
    if (read === 2000) break
  }
  await inserting
  t.is(accepted, 20)
})

test('a busy query gives the event loop its turns', async (t) => {
  const db = await opened(t, { maxBlockMs: 2 })
  await db.exec('CREATE STREAM s (k INT)')
  let seen = 0
  db.query('SELECT k FROM s').on('change', () => {
    seen += 1
    const until = performance.now() + 0.02
    while (performance.now() < until);
  })
  const rows = Array.from({ length: 5000 }, (_, k) => ({ k }))
  let turns = 0
  const counter = setInterval(() => (turns += 1), 1)
  await db.insert('s', rows)
  await db.flush()
  clearInterval(counter)
  t.is(seen, 5000)
  t.true(turns > 5, `${turns} turns`)
})

test('options are checked', async (t) => {
  const wrong = [
    { partitions: -1 },
    { partitions: 1.5 },
    { timestamps: 'text' },
    { bigints: 'maybe' },
    { decimals: 1 },
    { mailboxBatches: 0 },
    { memoryLimit: Number.NaN },
    { maxBlockMs: 0 },
    { defaultGrace: 'soon' },
    { clock: 5 },
    { signal: {} },
  ]
  for (const options of wrong) {
    t.is((await errorOf(() => open(options as never))).code, 'ERR_VELO_ARGUMENT', JSON.stringify(options))
  }
  const db = await opened(t, { defaultGrace: '24 hours', seed: 7, clock: () => 5 })
  t.is(
    (await errorOf(() => db.createFunction('f', { args: [], returns: 'INT' }, () => 1))).code,
    'ERR_VELO_UNSUPPORTED',
  )
})

test('the clock is the one given', async (t) => {
  const db = await opened(t, { clock: () => 86_400_000 })
  await db.exec('CREATE STREAM s (k INT)')
  const processor = db.processor<{ at: Date }>('SELECT ROWTIME AS at FROM s')
  t.deepEqual(processor.process({ k: 1 })[0]?.row.at, new Date(86_400_000))
})

test('explain tells the plan', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  t.regex(db.explain('SELECT k FROM s WHERE k > 1'), /s/)
})

test.serial('ten thousand queries come and go, and leave no thread and no file behind', async (t) => {
  const entries = (folder: string) => (existsSync(folder) ? readdirSync(folder).length : 0)
  const threads = () => entries('/proc/self/task')
  const files = () => entries('/proc/self/fd')
  const db = await opened(t, { partitions: 3 })
  await db.exec('CREATE STREAM s (k STRING)')
  const [before, filesBefore] = [threads(), files()]
  let changes = 0
  for (let cycle = 0; cycle < 10_000; cycle++) {
    const query = db.query('SELECT k, COUNT(*) AS n FROM s GROUP BY k EMIT CHANGES')
    query.on('batch', (batch) => void (changes += batch.length))
    await db.insert('s', [{ k: `k${cycle}` }])
    if (cycle % 1000 === 0) await db.flush()
    await query.close()
  }
  t.true(threads() <= before, `${before} threads before, ${threads()} after`)
  t.true(files() <= filesBefore, `${filesBefore} files before, ${files()} after`)
  t.true(changes >= 10)
  t.is(db.metrics().queries.length, 0)
  t.is(db.metrics().stateBytes, 0)
})

const QUEUED = 1_000_000

/** An engine whose one query has a million records before it, since nobody reads it. */
async function laden(partitions: number, signal?: AbortSignal): Promise<{ db: Velostream; query: Query }> {
  const db = await open({ partitions, outputRows: 1, mailboxBatches: 2000, mailboxBytes: 1 << 30, signal })
  await db.exec('CREATE STREAM s (k INT, v INT)')
  const query = db.query('SELECT k, COUNT(*) AS n FROM s GROUP BY k EMIT CHANGES', undefined, { signal })
  const rows = Array.from({ length: 1000 }, (_, at) => ({ k: at % 97, v: at }))
  // One batch more: the first is taken to see that there is no room.
  for (let taken = -rows.length; taken < QUEUED; taken += rows.length) await db.insert('s', rows)
  return { db, query }
}

async function withinASecond(t: ExecutionContext, call: () => Promise<unknown>): Promise<void> {
  const begin = performance.now()
  await call()
  const took = performance.now() - begin
  t.true(took < 1000, `${took} ms`)
}

for (const partitions of [1, 3]) {
  test.serial(
    `with a million records queued all closes within a second, partitions ${partitions}`,
    async (t) => {
      warnings(t)
      const closed = await laden(partitions)
      const [of] = closed.db.metrics().queries
      t.true((of?.outputRows ?? 0) <= 2000, 'nobody has taken the others')
      // Where three share the work, most of it waits to be merged.
      if (partitions === 1) t.true((of?.partitions[0]?.mailboxBatches ?? 0) >= QUEUED / 1000)
      const pending = errorOf(() => closed.db.flush())
      await withinASecond(t, () => closed.db.close())
      t.is((await pending).code, 'ERR_VELO_CLOSED')

      const cancelled = await laden(partitions)
      await withinASecond(t, () => cancelled.query.close())
      t.is(cancelled.db.metrics().queries.length, 0)
      await cancelled.db.close()

      const controller = new AbortController()
      const aborted = await laden(partitions, controller.signal)
      const reason = new Error('enough')
      const flushed = t.throwsAsync(aborted.db.flush())
      await withinASecond(t, async () => {
        controller.abort(reason)
        await aborted.db.close()
      })
      t.is(await flushed, reason)
    },
  )
}

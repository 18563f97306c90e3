import test from 'ava'
import { open, VelostreamError, type Change } from '../index.js'
import { collected, errorOf, listed, opened, turn, warnings } from './support.js'

const countSql = 'SELECT k, COUNT(*) AS n FROM s GROUP BY k EMIT CHANGES'

for (const partitions of [0, 1, 3]) {
  test(`changes arrive in the order of their records, partitions ${partitions}`, async (t) => {
    const db = await opened(t, { partitions })
    await db.exec('CREATE STREAM s (k INT)')
    const changes = collected(db.query<{ k: number; n: number }>(countSql))
    for (let from = 0; from < 5000; from += 500) {
      await db.insert(
        's',
        Array.from({ length: 500 }, (_, index) => ({ k: (from + index) % 3 })),
      )
    }
    await db.flush()
    t.is(changes.length, 5000)
    t.true(changes.every(({ row }, index) => row.k === index % 3 && row.n === Math.floor(index / 3) + 1))
    t.true(changes.every(({ op }, index) => op === (index < 3 ? 'insert' : 'update')))
  })

  test(`order 'key' keeps each key's order, partitions ${partitions}`, async (t) => {
    const db = await opened(t, { partitions })
    await db.exec('CREATE STREAM s (k INT)')
    const changes = collected(db.query<{ k: number; n: number }>(countSql, undefined, { order: 'key' }))
    const rows = Array.from({ length: 500 }, (_, index) => ({ k: index % 20 }))
    for (let round = 1; round <= 10; round += 1) {
      await db.insert('s', rows)
      await db.flush()
      t.is(changes.length, 500 * round)
    }
    for (let k = 0; k < 20; k += 1) {
      const counts = changes.filter(({ row }) => row.k === k).map(({ row }) => row.n)
      t.deepEqual(
        counts,
        Array.from({ length: 250 }, (_, index) => index + 1),
      )
    }
  })

  test(`dead letters are in the order of their records, partitions ${partitions}`, async (t) => {
    const db = await opened(t, { partitions })
    await db.exec('CREATE STREAM s (k INT, v INT)')
    db.query('SELECT k, SUM(12 / v) AS x FROM s GROUP BY k EMIT FINAL')
    const rows = Array.from({ length: 700 }, (_, index) => ({ k: index % 50, v: index % 7 }))
    for (let from = 0; from < rows.length; from += 100) await db.insert('s', rows.slice(from, from + 100))
    await db.flush()
    const offsets = db.deadLetters().map(({ offset }) => offset)
    t.deepEqual(
      offsets,
      Array.from({ length: 100 }, (_, index) => index * 7),
    )
  })

  test(`a query is read by for await, and ends with its input, partitions ${partitions}`, async (t) => {
    const db = await opened(t, { partitions })
    await db.exec('CREATE STREAM s (k INT)')
    const query = db.query<{ k: number }>('SELECT k FROM s')
    const seen: Change<{ k: number }>[] = []
    const reading = (async () => {
      for await (const change of query) seen.push(change)
    })()
    await db.insert('s', [{ k: 1 }, { k: 2 }])
    await turn()
    await db.insert('s', { k: 3 })
    await db.end()
    await reading
    t.deepEqual(
      seen,
      [1, 2, 3].map((k) => ({ op: 'insert', row: { k } }) as const),
    )
  })
}

test('a query knows its columns', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT NOT NULL, v DECIMAL(10, 2))')
  const query = db.query('SELECT k, v FROM s')
  t.deepEqual(query.columns, [
    { name: 'k', type: 'INT', nullable: false, key: false },
    { name: 'v', type: 'DECIMAL(10, 2)', nullable: true, key: false },
  ])
  t.false(query.updating)
  t.deepEqual(query.primaryKey, [])
  t.true(query.id.length > 0)
})

test('batches, rows, column batches and a Readable', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT, name STRING)')
  const sql = 'SELECT k, name FROM s'
  const queries = [db.query(sql), db.query(sql), db.query(sql), db.query(sql)] as const
  await db.insert('s', [{ k: 1, name: 'a' }, { k: 2 }])
  await db.end()
  const row1 = { k: 1, name: 'a' }
  const row2 = { k: 2, name: null }
  const inserts = [row1, row2].map((row) => ({ op: 'insert', row }))
  t.deepEqual((await listed(queries[0].batches())).flat(), inserts as never)
  t.deepEqual(await listed(queries[1].rows()), [row1, row2])
  const [columns] = await listed(queries[2].columnBatches())
  t.is(columns?.length, 2)
  t.deepEqual(columns?.columns['k'], Int32Array.of(1, 2))
  t.deepEqual(columns?.columns['name'], ['a', null])
  t.deepEqual([...(columns?.nulls['name'] ?? [])], [0, 1])
  t.deepEqual(await queries[3].toReadable().toArray(), inserts)
})

test('rows of an updating query are refused', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  t.is((await errorOf(() => db.query(countSql).rows())).code, 'ERR_VELO_UPDATING')
})

test('a query has one reader, or listeners', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  const read = db.query('SELECT k FROM s')
  read[Symbol.asyncIterator]()
  t.is((await errorOf(() => read.batches())).code, 'ERR_VELO_STATE')
  t.is((await errorOf(() => read.on('change', () => {}))).code, 'ERR_VELO_STATE')
  t.is(read.listenerCount('change'), 0)
  const heard = db.query('SELECT k FROM s')
  heard.on('batch', () => {}).on('change', () => {})
  t.is((await errorOf(() => heard.rows())).code, 'ERR_VELO_STATE')
})

test('a listener taken off hears no more, and the query goes on', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  const query = db.query<{ k: number }>('SELECT k FROM s')
  const first: number[] = []
  const listener = ({ row }: Change<{ k: number }>): void => void first.push(row.k)
  query.on('change', listener)
  await db.insert('s', { k: 1 })
  await db.flush()
  query.off('change', listener)
  await db.insert('s', { k: 2 })
  await db.flush()
  t.deepEqual(first, [1])
  const rest = collected(query)
  await db.flush()
  t.deepEqual(rest, [{ op: 'insert', row: { k: 2 } }])
})

test('leaving the loop closes the query', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  const query = db.query('SELECT k FROM s')
  let ended = 0
  query.on('end', () => void (ended += 1))
  await db.insert('s', [{ k: 1 }, { k: 2 }])
  for await (const _ of query) break
  t.is(ended, 1)
  t.deepEqual(db.metrics().queries, [])
  await query.close()
  t.is(ended, 1)
})

test('closing settles a pending read, and `await using` closes', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  const query = db.query('SELECT k FROM s')
  const pending = query[Symbol.asyncIterator]().next()
  await query.close()
  t.deepEqual(await pending, { done: true, value: undefined })
  {
    await using scoped = db.query('SELECT k FROM s')
    t.is(db.metrics().queries.length, 1)
    t.truthy(scoped.id)
  }
  t.is(db.metrics().queries.length, 0)
})

test('a query closed inside its loop gives no more', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  const query = db.query<{ k: number }>('SELECT k FROM s')
  await db.insert('s', [{ k: 1 }, { k: 2 }, { k: 3 }])
  await db.flush()
  const seen: number[] = []
  for await (const { row } of query) {
    seen.push(row.k)
    if (row.k === 2) await query.close()
  }
  t.deepEqual(seen, [1, 2])
})

test('several pending reads are answered in order', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  const iterator = db.query<{ k: number }>('SELECT k FROM s')[Symbol.asyncIterator]()
  const reads = [iterator.next(), iterator.next(), iterator.next()]
  await db.insert('s', [{ k: 1 }, { k: 2 }, { k: 3 }])
  t.deepEqual(
    (await Promise.all(reads)).map(({ value }) => value.row.k),
    [1, 2, 3],
  )
})

for (const kind of ['throws', 'rejects'] as const) {
  test(`a listener that ${kind} is that query's error, and no other's`, async (t) => {
    const db = await opened(t)
    await db.exec('CREATE STREAM s (k INT)')
    const failing = db.query('SELECT k FROM s')
    const other = collected(db.query('SELECT k FROM s'))
    const cause = new Error('the listener is broken')
    const failure = new Promise<VelostreamError>((resolve) => failing.on('error', resolve))
    failing.on('change', () => {
      if (kind === 'rejects') return Promise.reject(cause) as never
      throw cause
    })
    await db.insert('s', [{ k: 1 }, { k: 2 }])
    const error = await failure
    t.true(error instanceof VelostreamError)
    t.is(error.cause, cause)
    await db.insert('s', { k: 3 })
    await db.flush()
    t.is(other.length, 3)
  })
}

test('an error that nobody observes is a warning', async (t) => {
  const seen = warnings(t)
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  db.query('SELECT k FROM s').on('batch', () => {
    throw new Error('nobody hears this')
  })
  await db.insert('s', { k: 1 })
  await db.flush()
  await turn()
  t.true(seen.some(({ message }) => message.includes('nobody hears this')))
})

test('a query that fails rejects its next read', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  const query = db.query('SELECT 10 / k AS v FROM s', undefined, { onError: 'stop' })
  await db.insert('s', [{ k: 1 }, { k: 0 }, { k: 2 }])
  await db.flush()
  const iterator = query[Symbol.asyncIterator]()
  t.deepEqual((await iterator.next()).value, { op: 'insert', row: { v: 10 } })
  t.is((await errorOf(() => iterator.next())).code, 'ERR_VELO_RECORD')
  t.true((await iterator.next()).done)
})

test('a query that fails tells its error listeners', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  const query = db.query('SELECT 10 / k AS v FROM s', undefined, { onError: 'stop' })
  const failure = new Promise<VelostreamError>((resolve) => query.on('error', resolve))
  const changes = collected(query)
  await db.insert('s', [{ k: 1 }, { k: 0 }])
  t.is((await failure).code, 'ERR_VELO_RECORD')
  t.is(changes.length, 1)
})

test('a listener may insert, query and close', async (t) => {
  const db = await opened(t, { partitions: 0 })
  await db.exec('CREATE STREAM s (k INT); CREATE STREAM echo (k INT)')
  const echoed = collected(db.query<{ k: number }>('SELECT k FROM echo'))
  const query = db.query<{ k: number }>('SELECT k FROM s')
  query.on('change', ({ row }) => {
    void db.insert('echo', { k: row.k * 10 })
    if (row.k === 2) void query.close()
  })
  await db.insert('s', [{ k: 1 }, { k: 2 }, { k: 3 }])
  await db.flush()
  await db.flush()
  t.deepEqual(
    echoed.map(({ row }) => row.k),
    [10, 20],
  )
})

test('a query is refused with the place in its text', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM trades (symbol STRING)')
  const error = await errorOf(() => db.query('SELECT symbl FROM trades'))
  t.is(error.code, 'ERR_VELO_UNKNOWN_NAME')
  t.deepEqual([error.line, error.column], [1, 8])
  t.regex(error.hint ?? '', /symbol/)
  t.is((await errorOf(() => db.query(5 as never))).code, 'ERR_VELO_ARGUMENT')
  t.is((await errorOf(() => db.exec('SELEKT'))).code, 'ERR_VELO_PARSE')
})

test('an aborted query rejects with the reason', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  const controller = new AbortController()
  const query = db.query('SELECT k FROM s', undefined, { signal: controller.signal })
  const iterator = query[Symbol.asyncIterator]()
  const pending = iterator.next()
  const reason = new Error('enough')
  controller.abort(reason)
  t.is(await t.throwsAsync(pending), reason)
  t.true((await iterator.next()).done)
  t.is(
    t.throws(() => db.query('SELECT k FROM s', undefined, { signal: controller.signal })),
    reason,
  )
})

test('metrics stay readable after the end', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  const query = db.query('SELECT k FROM s', undefined, { name: 'mine' })
  t.is(query.id, 'mine')
  await db.insert('s', [{ k: 1 }, { k: 2 }])
  await db.end()
  await listed(query.batches())
  const { partitions } = query.metrics()
  t.is(partitions[0]?.recordsIn, 2)
  t.is(partitions[0]?.changesOut, 2)
})

test('engines are independent', async (t) => {
  const [one, two] = [await open(), await open()]
  await one.exec('CREATE STREAM s (k INT)')
  t.is((await errorOf(() => two.query('SELECT k FROM s'))).code, 'ERR_VELO_UNKNOWN_NAME')
  await one.close()
  await two.exec('CREATE STREAM s (k INT)')
  await two.close()
})

test('an order by key is taken, and each key keeps its order', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  const changes = collected(db.query<{ k: number; n: number }>(countSql, undefined, { order: 'key' }))
  await db.insert(
    's',
    Array.from({ length: 3000 }, (_, index) => ({ k: index % 3 })),
  )
  await db.flush()
  t.is(changes.length, 3000)
  for (const k of [0, 1, 2]) {
    const counts = changes.filter(({ row }) => row.k === k).map(({ row }) => row.n)
    t.deepEqual(
      counts,
      Array.from({ length: 1000 }, (_, index) => index + 1),
    )
  }
})

test('insertions give the event loop a turn while somebody listens', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (text STRING)')
  const changes = collected(db.query('SELECT text FROM s'))
  const rows = Array.from({ length: 100 }, () => ({ text: 'x'.repeat(1000) }))
  let inserted = 0
  while (changes.length === 0 && inserted < 100) {
    await db.insert('s', rows)
    inserted += 1
  }
  t.true(changes.length > 0, 'nothing was delivered between the insertions')
})

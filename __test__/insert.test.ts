import { Readable } from 'node:stream'
import test from 'ava'
import type { Velostream } from '../index.js'
import { collected, errorOf, listed, opened } from './support.js'

/** Keys of table or stream `s` that have arrived, in order. */
async function withStream(db: Velostream): Promise<() => Promise<unknown[]>> {
  await db.exec('CREATE STREAM s (k INT, name STRING)')
  const changes = collected(db.query<{ k: number }>('SELECT k FROM s'))
  return async () => {
    await db.flush()
    return changes.map(({ row }) => row.k)
  }
}

function keys(from: number, to: number): { k: number }[] {
  return Array.from({ length: to - from }, (_, index) => ({ k: from + index }))
}

test('one row, an array, a Set and a generator', async (t) => {
  const db = await opened(t)
  const seen = await withStream(db)
  await db.insert('s', { k: 0 })
  await db.insert('S', [{ k: 1 }])
  await db.insert('s', new Set([{ k: 2 }]))
  await db.insert(
    's',
    (function* () {
      yield { k: 3 }
      yield { k: 4 }
    })(),
  )
  await db.insert('s', [])
  t.deepEqual(await seen(), [0, 1, 2, 3, 4])
})

test('unknown properties are ignored, missing ones are NULL', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT, name STRING)')
  const query = db.query('SELECT * FROM s')
  await db.insert('s', [{ k: 1, other: {} }, { name: 'a' }, Object.assign(Object.create(null), { k: 3 })])
  await db.end()
  t.deepEqual(await listed(query.rows()), [
    { k: 1, name: null },
    { k: null, name: 'a' },
    { k: 3, name: null },
  ])
})

test('a row that does not fit: nothing of the call is taken, and the next call is', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT NOT NULL, name STRING)')
  const changes = collected(db.query<{ k: number }>('SELECT k FROM s'))
  const missing = await errorOf(() => db.insert('s', [{ k: 1 }, { name: 'b' }]))
  t.deepEqual(
    [missing.code, missing.index, missing.relation, missing.field],
    ['ERR_VELO_CONSTRAINT', 1, 's', 'k'],
  )
  const wrong = await errorOf(() => db.insert('s', [{ k: 1 }, { k: 2 }, 5 as never]))
  t.deepEqual([wrong.code, wrong.index, wrong.relation], ['ERR_VELO_TYPE', 2, 's'])
  await db.insert('s', { k: 7 })
  await db.flush()
  t.deepEqual(
    changes.map(({ row }) => row.k),
    [7],
  )
})

test('an unknown relation, and one that takes no rows', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT); CREATE STREAM d AS SELECT k FROM s')
  t.is((await errorOf(() => db.insert('nowhere', {}))).code, 'ERR_VELO_UNKNOWN_NAME')
  const made = await errorOf(() => db.insert('d', { k: 1 }))
  t.is(made.code, 'ERR_VELO_UNSUPPORTED')
  t.regex(made.message, /^d is made by its query/)
  t.is((await errorOf(() => db.insert(5 as never, {}))).code, 'ERR_VELO_ARGUMENT')
})

test('a relation that was replaced has its new columns', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE TABLE s (k INT PRIMARY KEY)')
  await db.insert('s', { k: 1 })
  await db.exec('CREATE OR REPLACE TABLE s (name STRING PRIMARY KEY)')
  await db.insert('s', { name: 'a' })
  t.deepEqual(await db.all('SELECT * FROM s'), [{ name: 'a' }])
})

test('a getter that throws rejects the call with its error', async (t) => {
  const db = await opened(t)
  const seen = await withStream(db)
  const fault = new Error('no value')
  const throwing = {
    get k(): number {
      throw fault
    },
  }
  t.is(await t.throwsAsync(db.insert('s', [{ k: 1 }, throwing])), fault)
  await db.insert('s', { k: 2 })
  t.deepEqual(await seen(), [2])
})

test('a getter may insert and change its row', async (t) => {
  const db = await opened(t)
  const seen = await withStream(db)
  const row = {
    name: 'text',
    get k(): number {
      void db.insert('s', { k: 100, name: 'inner' })
      row.name = 'changed'
      return 1
    },
  }
  await db.insert('s', [{ k: 0 }, row, { k: 2 }])
  t.deepEqual(await seen(), [100, 0, 1, 2])
})

for (const partitions of [0, 1, 3]) {
  test(`concurrent inserts keep their order, partitions ${partitions}`, async (t) => {
    const db = await opened(t, { partitions, mailboxBatches: 2, outputRows: 10 })
    const seen = await withStream(db)
    await Promise.all(
      Array.from({ length: 50 }, (_, call) => db.insert('s', keys(call * 10, call * 10 + 10))),
    )
    t.deepEqual(
      await seen(),
      keys(0, 500).map(({ k }) => k),
    )
  })
}

test('rows that have to wait are taken as they were', async (t) => {
  const db = await opened(t, { mailboxBatches: 1, outputRows: 1 })
  await db.exec('CREATE STREAM s (k INT)')
  const query = db.query<{ k: number }>('SELECT k FROM s')
  const rows = keys(0, 40)
  const inserts = rows.map((row) => db.insert('s', row))
  for (const row of rows) row.k = -1
  const seen: number[] = []
  for await (const { row } of query) {
    seen.push(row.k)
    if (seen.length === 40) break
  }
  await Promise.all(inserts)
  t.deepEqual(
    seen,
    keys(0, 40).map(({ k }) => k),
  )
})

test('tombstones delete rows by key', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE TABLE s (k INT PRIMARY KEY, v STRING NOT NULL)')
  await db.insert('s', [
    { k: 1, v: 'a' },
    { k: 2, v: 'b' },
    { k: 3, v: 'c' },
  ])
  await db.delete('s', { k: 1 })
  await db.delete('s', [{ k: 3 }, { k: 9 }])
  t.deepEqual(await db.all('SELECT * FROM s'), [{ k: 2, v: 'b' }])
  t.truthy((await errorOf(() => db.delete('s', { v: 'b' }))).code)
  await db.exec('CREATE STREAM e (k INT)')
  t.is((await errorOf(() => db.delete('e', { k: 1 }))).code, 'ERR_VELO_UNSUPPORTED')
})

test('JSON chunks may end anywhere', async (t) => {
  const text = '{"k":1,"name":"ä😀\\n"}\n{"k":2} {"k":3,\n"name":"}{"}[{"k":4},{"k":5}]'
  const bytes = Buffer.from(text)
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const db = await opened(t, { partitions: 0 })
    await db.exec('CREATE STREAM s (k INT, name STRING)')
    const query = db.query('SELECT k, name FROM s')
    await db.insertJson('s', bytes.subarray(0, cut))
    await db.insertJson('s', bytes.subarray(cut), { end: true })
    await db.end()
    t.deepEqual(
      await listed(query.rows()),
      [
        { k: 1, name: 'ä😀\n' },
        { k: 2, name: null },
        { k: 3, name: '}{' },
        { k: 4, name: null },
        { k: 5, name: null },
      ],
      `cut at ${cut}`,
    )
    await db.close()
  }
})

test('malformed JSON is a dead letter, and the records around it are taken', async (t) => {
  const db = await opened(t)
  const letters: unknown[] = []
  db.on('deadLetter', ({ relation, code }) => void letters.push([relation, code]))
  const seen = await withStream(db)
  await db.insertJson('s', '{"k":1}\n{"k":oops}\n{"k":"text"}\n{"k":2}\n', { end: true })
  t.deepEqual(await seen(), [1, 2])
  const kept = db.deadLetters()
  t.is(kept.length, 2)
  t.is(letters.length, 2)
  t.true(kept[0]?.record instanceof Uint8Array)
  t.is(Buffer.from(kept[0]?.record as Uint8Array).toString(), '{"k":oops}')
  t.true(kept[0]?.at instanceof Date)
  t.is(db.metrics().deadLettersTotal, 2)
})

test('a record that a query rejects is a dead letter with its row', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  const query = db.query('SELECT 10 / k AS v FROM s', undefined, { name: 'tenths' })
  const changes = collected(query)
  await db.insert('s', [{ k: 1 }, { k: 0 }, { k: 5 }])
  await db.flush()
  t.deepEqual(
    changes.map(({ row }) => row['v']),
    [10, 2],
  )
  const [letter] = db.deadLetters()
  t.is(letter?.query, 'tenths')
  t.is(letter?.code, 'ERR_VELO_RECORD')
  t.deepEqual(letter?.record, { k: 0 })
})

test('late records are told', async (t) => {
  const db = await opened(t)
  await db.exec("CREATE STREAM s (ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL '0' SECOND)")
  const late: unknown[] = []
  db.on('late', ({ relation, record }) => void late.push([relation, record]))
  collected(
    db.query(
      'SELECT COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY window_start EMIT FINAL',
    ),
  )
  await db.insert('s', [{ ts: 0 }, { ts: 10_000 }, { ts: 5000 }])
  await db.flush()
  t.deepEqual(late, [['s', { ts: new Date(5000) }]])
})

test('a writer pushes rows, many rows and JSON in their order', async (t) => {
  const db = await opened(t)
  const seen = await withStream(db)
  const writer = db.stream('s')
  t.deepEqual(
    writer.columns.map(({ name }) => name),
    ['k', 'name'],
  )
  t.true(writer.push({ k: 0 }))
  writer.push({ k: 1 })
  writer.pushMany([{ k: 2 }, { k: 3 }])
  writer.push({ k: 4 })
  writer.pushJson(Buffer.from('{"k":5}\n'))
  writer.push({ k: 6 })
  await db.insert('s', { k: 7 })
  writer.push({ k: 8 })
  t.deepEqual(await seen(), [0, 1, 2, 3, 4, 5, 6, 7, 8])
})

test('pushed rows reach the engine by the end of the macrotask', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  const writer = db.stream('s')
  for (let k = 0; k < 3000; k += 1) writer.push({ k })
  await new Promise((resolve) => setImmediate(resolve))
  t.is(db.metrics().relations[0]?.recordsIn, 3000)
})

test('push throws for the row that does not fit, and takes the others', async (t) => {
  const db = await opened(t)
  const seen = await withStream(db)
  const writer = db.stream('s')
  writer.push({ k: 1, name: 'x' })
  const error = await errorOf(() => writer.push({ k: 'two' }))
  t.deepEqual([error.code, error.index, error.field], ['ERR_VELO_TYPE', 0, 'k'])
  writer.push({ k: 3 })
  const many = await errorOf(() => writer.pushMany([{ k: 4 }, { k: 5.5 }]))
  t.is(many.index, 1)
  t.deepEqual(await seen(), [1, 3])
})

test('a pushed row that only the engine can judge is read once and keeps its place', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT, name STRING, price DECIMAL(10, 2), at TIMESTAMP)')
  const query = db.query('SELECT k, name, price, at FROM s')
  const writer = db.stream('s')
  let reads = 0
  writer.push({ k: 1, name: 'certain' })
  writer.push({
    k: 2,
    name: 'a name of some length',
    get price() {
      reads += 1
      return '12.50'
    },
    at: '1970-01-01T00:00:00.005Z',
  })
  writer.push({ k: 3, name: 'x'.repeat(100) })
  t.is(reads, 1)
  await db.end()
  t.deepEqual(await listed(query.rows()), [
    { k: 1, name: 'certain', price: null, at: null },
    { k: 2, name: 'a name of some length', price: '12.50', at: new Date(5) },
    { k: 3, name: 'x'.repeat(100), price: null, at: null },
  ])
})

test('push says when the engine is behind, and drain waits', async (t) => {
  const db = await opened(t, { mailboxBatches: 1, outputRows: 10 })
  await db.exec('CREATE STREAM s (k INT)')
  const query = db.query<{ k: number }>('SELECT k FROM s')
  const writer = db.stream('s')
  let k = 0
  while (writer.push({ k })) {
    k += 1
    if (k % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
    if (k > 1_000_000) return t.fail('the engine never waits')
  }
  const read: number[] = []
  const reading = (async () => {
    for await (const { row } of query) read.push(row.k)
  })()
  await writer.drain()
  await db.end()
  await reading
  t.deepEqual(
    read,
    keys(0, k + 1).map((row) => row.k),
  )
})

test('insertFrom drains arrays, generators and Readables', async (t) => {
  const db = await opened(t)
  const seen = await withStream(db)
  t.is(await db.insertFrom('s', keys(0, 3000)), 3000)
  async function* slowly(): AsyncGenerator<{ k: number }> {
    for (const row of keys(3000, 3010)) {
      await Promise.resolve()
      yield row
    }
  }
  t.is(await db.insertFrom('s', slowly()), 10)
  t.is(await db.insertFrom('s', Readable.from(keys(3010, 3020))), 10)
  const ndjson = keys(3020, 4000)
    .map((row) => JSON.stringify(row))
    .join('\n')
  const chunks = ndjson.match(/[^]{1,7}/g) ?? []
  const taken = await db.insertFrom('s', Readable.from(chunks.map((chunk) => Buffer.from(chunk))))
  t.is(taken, 980)
  t.deepEqual(
    await seen(),
    keys(0, 4000).map(({ k }) => k),
  )
})

test('insertFrom names the row of the source that does not fit', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT, price DECIMAL(10, 2))')
  const rows = [...keys(0, 1500), { k: 'x' }]
  t.is((await errorOf(() => db.insertFrom('s', rows))).index, 1500)
  const prices = [{ price: '1.5' }, { price: '2.5' }, { price: 'free' }]
  const error = await errorOf(() => db.insertFrom('s', prices))
  t.deepEqual([error.index, error.field], [2, 'price'])
  t.is((await errorOf(() => db.insertFrom('s', 5 as never))).code, 'ERR_VELO_ARGUMENT')
})

test('an error of the source rejects insertFrom', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  const fault = new Error('the source broke')
  const broken = Readable.from(
    (async function* () {
      yield { k: 1 }
      throw fault
    })(),
  )
  t.is(await t.throwsAsync(db.insertFrom('s', broken)), fault)
})

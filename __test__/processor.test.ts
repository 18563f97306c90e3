import test from 'ava'
import type { QueryProcessor, Velostream } from '../index.js'
import { errorOf, opened, turn } from './support.js'

interface Total {
  k: string
  n: number
  total: number
}

async function totals(db: Velostream): Promise<QueryProcessor<Total>> {
  await db.exec('CREATE STREAM s (k STRING, v INT)')
  return db.processor<Total>('SELECT k, COUNT(*) AS n, SUM(v) AS total FROM s GROUP BY k EMIT CHANGES')
}

test('a record gives its changes', async (t) => {
  const db = await opened(t)
  using processor = await totals(db)
  t.deepEqual(processor.primaryKey, ['k'])
  t.true(processor.updating)
  t.deepEqual(
    processor.columns.map(({ name, type, key }) => [name, type, key]),
    [
      ['k', 'STRING', true],
      ['n', 'BIGINT', false],
      ['total', 'BIGINT', false],
    ],
  )
  t.deepEqual(processor.process({ k: 'a', v: 1 }), [{ op: 'insert', row: { k: 'a', n: 1, total: 1 } }])
  t.deepEqual(processor.process('S', { k: 'a', v: 2, unknown: true }), [
    { op: 'update', row: { k: 'a', n: 2, total: 3 } },
  ])
})

test('`before` gives updates the row they replace', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k STRING)')
  const sql = 'SELECT k, COUNT(*) AS n FROM s GROUP BY k EMIT CHANGES'
  const processor = db.processor(sql, undefined, { before: true })
  processor.process({ k: 'a' })
  t.deepEqual(processor.process({ k: 'a' }), [
    { op: 'update', row: { k: 'a', n: 2 }, before: { k: 'a', n: 1 } },
  ])
})

test('a batch gives the changes of its records one by one', async (t) => {
  const db = await opened(t)
  const one = await totals(db)
  const sql = 'SELECT k, COUNT(*) AS n, SUM(v) AS total FROM s GROUP BY k EMIT CHANGES'
  const many = db.processor<Total>(sql)
  const records = Array.from({ length: 3000 }, (_, v) => ({ k: `k${v % 7}`, v }))
  const expected = records.flatMap((record) => one.process(record))
  t.deepEqual(many.processBatch(records.values()), expected)
  t.deepEqual(many.processBatch([]), [])
})

test('changes larger than the memory at hand are read again', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (text STRING)')
  const processor = db.processor<{ twice: string }>('SELECT CONCAT(text, text) AS twice FROM s')
  const text = 'x'.repeat(100_000)
  const [change] = processor.process({ text })
  t.is(change?.row.twice, text + text)
  t.is(processor.process({ text: 'y' })[0]?.row.twice, 'yy')
})

test('a record that does not fit changes nothing', async (t) => {
  const db = await opened(t)
  const processor = await totals(db)
  processor.process({ k: 'a', v: 1 })
  const error = await errorOf(() =>
    processor.processBatch('s', [
      { k: 'a', v: 1 },
      { k: 'a', v: 'no' },
    ]),
  )
  t.is(error.code, 'ERR_VELO_TYPE')
  t.deepEqual([error.relation, error.index, error.field], ['s', 1, 'v'])
  t.deepEqual(processor.process({ k: 'a', v: 1 })[0]?.row.n, 2)
})

test('a record error is thrown, with state as before', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k STRING, v INT)')
  const processor = db.processor('SELECT k, SUM(10 / v) AS total FROM s GROUP BY k EMIT CHANGES')
  processor.process({ k: 'a', v: 1 })
  t.is((await errorOf(() => processor.process({ k: 'a', v: 0 }))).code, 'ERR_VELO_RECORD')
  const error = await errorOf(() =>
    processor.processBatch([
      { k: 'a', v: 1 },
      { k: 'a', v: 0 },
    ]),
  )
  t.is(error.index, 1)
  t.deepEqual(processor.process({ k: 'a', v: 2 }), [{ op: 'update', row: { k: 'a', total: 15 } }])
})

test('begin, commit and rollback', async (t) => {
  const db = await opened(t)
  const processor = await totals(db)
  processor.process({ k: 'a', v: 1 })
  processor.begin()
  processor.process({ k: 'a', v: 10 })
  processor.process({ k: 'b', v: 10 })
  processor.rollback()
  t.deepEqual(processor.process({ k: 'a', v: 1 }), [{ op: 'update', row: { k: 'a', n: 2, total: 2 } }])
  t.deepEqual(processor.process({ k: 'b', v: 1 }), [{ op: 'insert', row: { k: 'b', n: 1, total: 1 } }])
  processor.begin()
  processor.process({ k: 'a', v: 1 })
  processor.commit()
  processor.process({ k: 'a', v: 100 })
  processor.rollback()
  t.is(processor.process({ k: 'a', v: 1 })[0]?.row.total, 4)
})

test('commit and rollback need a begin', async (t) => {
  const db = await opened(t)
  const processor = await totals(db)
  t.is((await errorOf(() => processor.commit())).code, 'ERR_VELO_STATE')
  t.is((await errorOf(() => processor.rollback())).code, 'ERR_VELO_STATE')
})

test('time and the end make windows final', async (t) => {
  const db = await opened(t)
  await db.exec("CREATE STREAM s (ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL '0' SECOND)")
  const sql =
    'SELECT window_start, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY window_start EMIT FINAL'
  const processor = db.processor<{ n: number; window_start: Date }>(sql)
  t.deepEqual(processor.process({ ts: 1000 }), [])
  t.deepEqual(processor.advanceTime(new Date(10_000)), [
    { op: 'insert', row: { window_start: new Date(0), n: 1 } },
  ])
  t.deepEqual(processor.process({ ts: 15_000 }), [])
  t.deepEqual(processor.end(), [{ op: 'insert', row: { window_start: new Date(10_000), n: 1 } }])
})

test('a tombstone deletes the row with its key', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE TABLE s (k STRING PRIMARY KEY, v INT NOT NULL)')
  const processor = db.processor('SELECT k, v FROM s EMIT CHANGES')
  t.deepEqual(processor.process({ k: 'a', v: 1 }), [{ op: 'insert', row: { k: 'a', v: 1 } }])
  t.deepEqual(processor.process({ k: 'a', v: 2 }), [{ op: 'update', row: { k: 'a', v: 2 } }])
  t.deepEqual(processor.delete('s', { k: 'a' }), [{ op: 'delete', row: { k: 'a', v: 2 } }])
  t.deepEqual(processor.delete('s', { k: 'a' }), [])
})

test('derived relations are expanded to their sources', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (v INT); CREATE STREAM big AS SELECT v FROM s WHERE v > 10')
  const processor = db.processor('SELECT v * 2 AS w FROM big')
  t.deepEqual(processor.process({ v: 5 }), [])
  t.deepEqual(processor.process('s', { v: 11 }), [{ op: 'insert', row: { w: 22 } }])
})

test('a getter may call the processor', async (t) => {
  const db = await opened(t)
  const processor = await totals(db)
  const record = {
    k: 'a',
    get v(): number {
      return processor.process({ k: 'inner', v: 5 })[0]?.row.total ?? 0
    },
  }
  t.deepEqual(processor.process(record), [{ op: 'insert', row: { k: 'a', n: 1, total: 5 } }])
  const changes = processor.processBatch([{ k: 'b', v: 1 }, record, { k: 'c', v: 3 }])
  t.deepEqual(
    changes.map(({ row }) => row.k),
    ['b', 'a', 'c'],
  )
})

test('wrong calls are refused', async (t) => {
  const db = await opened(t)
  const processor = await totals(db)
  t.is((await errorOf(() => processor.process('other', {}))).code, 'ERR_VELO_UNKNOWN_NAME')
  t.is((await errorOf(() => processor.process('s', undefined as never))).code, 'ERR_VELO_TYPE')
  t.is((await errorOf(() => processor.process(5 as never))).code, 'ERR_VELO_TYPE')
  t.is((await errorOf(() => processor.processBatch(5 as never))).code, 'ERR_VELO_ARGUMENT')
  t.is((await errorOf(() => processor.advanceTime(new Date(Number.NaN)))).code, 'ERR_VELO_ARGUMENT')
  processor.close()
  processor.close()
  t.is((await errorOf(() => processor.process({ k: 'a', v: 1 }))).code, 'ERR_VELO_CLOSED')
  t.is((await errorOf(() => processor.begin())).code, 'ERR_VELO_CLOSED')
})

test('every type crosses, NULL too, one record at a time', async (t) => {
  const db = await opened(t, { timestamps: 'number' })
  await db.exec(`CREATE STREAM s (i INT, b BIGINT, d DOUBLE, m DECIMAL(10, 2), t STRING, y BYTES, f BOOLEAN,
    dt DATE, tm TIME, ts TIMESTAMP)`)
  const processor = db.processor('SELECT * FROM s')
  const rows = [
    {
      i: -1,
      b: 9007199254740993n,
      d: 0.5,
      m: '12.50',
      t: 'a text of more than sixteen bytes, na\u00efve',
      y: new Uint8Array([1, 2]),
      f: true,
      dt: '2024-02-29',
      tm: '01:02:03',
      ts: 1500,
    },
    { i: null, b: null, d: null, m: null, t: null, y: null, f: null, dt: null, tm: null, ts: null },
    {
      i: 0,
      b: -1,
      d: -0.25,
      m: '-0.01',
      t: '',
      y: new Uint8Array(),
      f: false,
      dt: '1970-01-01',
      tm: '00:00:00',
      ts: 0,
    },
  ]
  for (const row of rows) t.deepEqual(processor.process(row), [{ op: 'insert', row }])
  t.deepEqual(
    processor.processBatch(rows),
    rows.map((row) => ({ op: 'insert', row })),
  )
})

test('a record of any size passes, and the next one after it', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k STRING)')
  const processor = db.processor<{ k: string }>("SELECT k || '!' AS k FROM s")
  for (const length of [10, 20_000, 10, 300_000, 16]) {
    const k = 'x'.repeat(length)
    t.deepEqual(processor.process({ k }), [{ op: 'insert', row: { k: `${k}!` } }])
  }
})

test('texts of one length and hash are told apart', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k STRING)')
  const processor = db.processor<{ k: string }>('SELECT k FROM s')
  for (let i = 0; i < 5000; i += 1) {
    const k = `key ${i % 3000}`
    t.is(processor.process({ k })[0]?.row.k, k)
  }
})

test('a record that fails leaves no number, no row and no time behind', async (t) => {
  const db = await opened(t)
  await db.exec("CREATE STREAM s (v INT, at TIMESTAMP) WITH (event_time = 'at')")
  const windowed = `SELECT SUM(10 / v) AS total FROM s WINDOW TUMBLING (SIZE 1 SECOND) EMIT FINAL`
  for (const sql of [
    windowed,
    'SELECT 10 / v AS total FROM s',
    'SELECT SUM(10 / v) AS total FROM s EMIT CHANGES',
  ]) {
    const [clean, failing] = [db.processor(sql), db.processor(sql)]
    for (const [v, at] of [
      [1, 100],
      [2, 200],
      [5, 1100],
    ]) {
      const error = await errorOf(() => failing.process({ v: 0, at: 5000 }))
      t.is(error.code, 'ERR_VELO_RECORD')
      t.deepEqual(failing.process({ v, at }), clean.process({ v, at }))
    }
    t.deepEqual(failing.end(), clean.end())
  }
})

test('processors that nobody closed are collected by the size of their state', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  const rows = Array.from({ length: 20_000 }, (_, k) => ({ k }))
  const collected = { processors: 0 }
  const registry = new FinalizationRegistry(() => (collected.processors += 1))
  let made = 0
  // To the collector a processor is a few bytes: of empty ones it would take hundreds.
  for (; collected.processors === 0 && made < 100; made += 1) {
    const processor = db.processor(
      'SELECT k, COUNT(*) AS n, COUNT(DISTINCT k) AS d FROM s GROUP BY k EMIT FINAL',
    )
    registry.register(processor, undefined)
    processor.processBatch(rows)
    await turn()
  }
  t.true(collected.processors > 0, `${made} processors were made`)
})

test('the clock is asked only where the answer depends on it', async (t) => {
  let asked = 0
  const clock = (): number => {
    asked += 1
    return 1000
  }
  const db = await opened(t, { clock, timestamps: 'number' })
  await db.exec('CREATE STREAM s (k INT)')
  asked = 0
  db.processor('SELECT k FROM s').process({ k: 1 })
  t.is(asked, 0)
  t.deepEqual(db.processor('SELECT ROWTIME AS at FROM s').process({ k: 1 }), [
    { op: 'insert', row: { at: 1000 } },
  ])
  t.is(asked, 1)
})

test('an order by key is taken, and the changes are the same', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  const sql = 'SELECT k, COUNT(*) AS n FROM s GROUP BY k EMIT CHANGES'
  const [byInput, byKey] = [db.processor(sql), db.processor(sql, undefined, { order: 'key' })]
  for (const k of [1, 2, 1]) t.deepEqual(byKey.process({ k }), byInput.process({ k }))
})

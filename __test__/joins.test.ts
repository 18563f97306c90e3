// Joins in a running engine: what a query begins with, snapshots, files, and that threads change nothing.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { open, type Change, type Row, type Velostream } from '../index.js'

const definitions = `
  CREATE STREAM s (k INT, v INT);
  CREATE STREAM other (k INT, w INT);
  CREATE TABLE names (k INT PRIMARY KEY, name STRING);
  CREATE TABLE counts AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;
  CREATE TABLE totals AS SELECT k, SUM(v) AS total FROM s GROUP BY k`

function collect(db: Velostream, sql: string): { found: Change<Row>[]; close: () => Promise<void> } {
  const query = db.query<Row>(sql)
  const found: Change<Row>[] = []
  query.on('change', (change) => found.push(change))
  return { found, close: () => query.close() }
}

for (const partitions of [0, 1, 3]) {
  test(`a join begins with the rows that are there, as one step (partitions ${partitions})`, async (t) => {
    const db = await open({ partitions })
    await db.exec(definitions)
    await db.insert('names', [
      { k: 1, name: 'ann' },
      { k: 2, name: 'bob' },
    ])
    await db.insert('s', [
      { k: 1, v: 5 },
      { k: 1, v: 6 },
    ])
    const { found } = collect(db, 'SELECT n.k, n.name, t.total FROM names n LEFT JOIN totals t ON n.k = t.k')
    await db.flush()
    const begun = found
      .splice(0)
      .toSorted((a, b) => String(a.row['name']).localeCompare(String(b.row['name'])))
    t.deepEqual(begun, [
      { op: 'insert', row: { k: 1, name: 'ann', total: 11 } },
      { op: 'insert', row: { k: 2, name: 'bob', total: null } },
    ])
    await db.insert('s', { k: 2, v: 7 })
    await db.flush()
    t.deepEqual(found, [{ op: 'update', row: { k: 2, name: 'bob', total: 7 } }])
    await db.close()
  })

  test(`snapshots join source tables, derived tables and files (partitions ${partitions})`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'velostream-'))
    const file = join(folder, 'cities.csv')
    writeFileSync(file, 'k,city\n1,Oslo\n2,Rome\n')
    const db = await open({ partitions })
    await db.exec(definitions)
    await db.insert('names', { k: 1, name: 'ann' })
    await db.insert('s', [
      { k: 1, v: 5 },
      { k: 2, v: 6 },
    ])
    const joined = 'SELECT c.k, c.n, t.total FROM counts c JOIN totals t ON c.k = t.k WHERE c.k = 2'
    t.deepEqual(await db.all(joined), [{ k: 2, n: 1, total: 6 }])
    t.deepEqual(await db.all('SELECT n.name, t.total FROM names n JOIN totals t ON n.k = t.k'), [
      { name: 'ann', total: 5 },
    ])
    t.deepEqual(await db.all('SELECT a.name, b.name AS other FROM names a JOIN names b ON a.k = b.k'), [
      { name: 'ann', other: 'ann' },
    ])
    t.deepEqual(await db.all(`SELECT f.city, t.total FROM '${file}' f JOIN totals t ON f.k = t.k`), [
      { city: 'Oslo', total: 5 },
      { city: 'Rome', total: 6 },
    ])
    t.deepEqual(await db.get('SELECT COUNT(*) AS n FROM names n JOIN totals t ON n.k = t.total'), { n: 0 })
    await db.close()
    rmSync(folder, { recursive: true })
  })
}

/** Numbers from a seed: Park and Miller's generator. */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
}

const queries = [
  'SELECT c.k, c.n, t.total FROM counts c FULL JOIN totals t ON c.k = t.k',
  'SELECT s.k, s.v, t.total, n.name FROM s JOIN totals t ON s.k = t.k LEFT JOIN names n ON n.k = s.v',
  'SELECT o.w, c.n FROM other o LEFT JOIN counts c ON o.k = c.k',
  'SELECT n.name, c.n, t.total FROM names n JOIN counts c ON n.k = c.k LEFT JOIN totals t ON t.total = c.n',
  'SELECT SUM(c.n - d.n) AS zero FROM counts c JOIN (SELECT k, COUNT(*) AS n FROM s GROUP BY k) d ON c.k = d.k',
]

test('threads, batches and the way of a record change nothing', async (t) => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const logs: Change<Row>[][][] = []
    for (const partitions of [0, 1, 3]) {
      const random = numbers(seed)
      const db = await open({ partitions })
      await db.exec(definitions)
      const collected = queries.map((sql) => collect(db, sql))
      for (let step = 0; step < 300; step += 1) {
        const relation = ['s', 'other', 'names', 's'][random(4)] as string
        const rows = Array.from({ length: 1 + random(4) }, () => ({
          k: random(6),
          v: random(6),
          w: step,
          name: `name ${random(3)}`,
        }))
        await db.insert(relation, rows)
        if (relation === 'names' && random(3) === 0) await db.delete('names', { k: random(6) })
        if (partitions > 0 && step % 40 === 0) await db.flush()
      }
      await db.flush()
      logs.push(collected.map(({ found }) => found))
      await db.close()
    }
    const [inline, threaded] = logs as [Change<Row>[][], Change<Row>[][]]
    for (const [at, sql] of queries.entries()) {
      t.true((inline[at] as Change<Row>[]).length > 0, sql)
      t.deepEqual(threaded[at], inline[at], `seed ${seed}: ${sql}`)
    }
    const zeros = (inline.at(-1) as Change<Row>[]).map(({ row }) => row['zero'])
    t.true(zeros.every((zero) => zero === 0))
  }
})

test('files of one query are read by event time', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'velostream-'))
  const lines = (rows: [string, number][]) => rows.map(([at, x]) => JSON.stringify({ at, x })).join('\n')
  const time = (second: number) => `2026-01-01T00:00:${String(second).padStart(2, '0')}Z`
  writeFileSync(join(folder, 'a.json'), lines([0, 3, 6, 9].map((second) => [time(second), second])))
  writeFileSync(join(folder, 'b.json'), lines([1, 2, 7, 8].map((second) => [time(second), second])))
  const db = await open()
  for (const name of ['a', 'b']) {
    await db.exec(`CREATE STREAM ${name} (at TIMESTAMP, x INT, WATERMARK FOR at AS at)
      WITH (connector = 'file', path = '${join(folder, `${name}.json`)}')`)
  }
  const rows = await db.all<{ x: number }>('SELECT x FROM a UNION ALL SELECT x FROM b')
  t.deepEqual(
    rows.map(({ x }) => x),
    [0, 1, 2, 3, 6, 7, 8, 9],
  )
  const query = db.query<{ x: number; y: number }>(
    'SELECT a.x, b.x AS y FROM a JOIN b WITHIN 1 SECOND ON a.x > 0',
  )
  const pairs: number[][] = []
  for await (const { x, y } of query.rows()) pairs.push([x, y])
  t.deepEqual(pairs, [
    [3, 2],
    [6, 7],
    [9, 8],
  ])
  await db.close()
  rmSync(folder, { recursive: true })
})

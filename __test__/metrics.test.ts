import test from 'ava'
import parse from 'parse-prometheus-text-format'
import type { PartitionMetrics, Velostream } from '../index.js'
import { collected, errorOf, opened } from './support.js'

// The OpenMetrics text, read by a parser that is not ours: it has the figures that metrics() has.

const families = (db: Velostream) => parse(db.metricsText())

/** The samples of one name, each with its labels. */
function samples(db: Velostream, name: string) {
  return families(db)
    .filter((family) => family.name === name)
    .flatMap((family) => family.metrics)
}

/** The value of the one sample of this name and of `labels`. */
function valueOf(db: Velostream, name: string, labels: Record<string, string> = {}): number | undefined {
  const own = samples(db, name).find(({ labels: given = {} }) =>
    Object.entries(labels).every(([key, value]) => given[key] === value),
  )
  return own?.value === undefined ? undefined : Number(own.value)
}

/** The sum of the samples of a query's partitions. */
function sumOf(db: Velostream, name: string, query: string): number {
  const own = samples(db, name).filter(({ labels }) => labels?.query === query)
  return own.reduce((sum, { value }) => sum + Number(value), 0)
}

const countSql = 'SELECT k, COUNT(*) AS n FROM s GROUP BY k'

async function busy(db: Velostream): Promise<void> {
  await db.exec(
    `CREATE STREAM s (k INT, ts TIMESTAMP, CHECK (k < 100), WATERMARK FOR ts AS ts - INTERVAL '0' SECOND)`,
  )
  collected(db.query(countSql, undefined, { name: 'counts' }))
  collected(db.query('SELECT 10 / k AS x FROM s', undefined, { name: 'shares' }))
  await db.insert(
    's',
    [1, 2, 1, 0].map((k, index) => ({ k, ts: 1000 * index })),
  )
  await db.insertJson('s', '{"k": 100, "ts": "1970-01-01T00:00:04Z"}', { end: true })
  await db.flush()
}

const ofPartition: Record<string, keyof PartitionMetrics> = {
  velostream_query_records_total: 'recordsIn',
  velostream_query_batches_total: 'batchesIn',
  velostream_query_changes_total: 'changesOut',
  velostream_query_late_total: 'late',
  velostream_query_dead_letters_total: 'deadLetters',
  velostream_query_mailbox_batches: 'mailboxBatches',
  velostream_query_mailbox_bytes: 'mailboxBytes',
  velostream_query_state_bytes: 'stateBytes',
  velostream_query_groups: 'groups',
}

for (const partitions of [0, 1, 3]) {
  test(`the text has the figures of metrics() with partitions ${partitions}`, async (t) => {
    const db = await opened(t, { partitions })
    await busy(db)
    const metrics = db.metrics()
    t.deepEqual(metrics.queries.map(({ id }) => id).toSorted(), ['counts', 'shares'])
    for (const { id, partitions: receivers } of metrics.queries) {
      t.is(receivers.length, Math.max(partitions, 1))
      for (const partition of receivers) {
        const labels = { query: id, partition: String(partition.partition) }
        for (const [name, field] of Object.entries(ofPartition)) {
          t.is(valueOf(db, name, labels), partition[field] as number, `${name} of ${id}`)
        }
        t.is(valueOf(db, 'velostream_query_busy_seconds_total', labels), partition.busyMs / 1000)
      }
    }
    t.is(sumOf(db, 'velostream_query_dead_letters_total', 'shares'), 1)
    t.is(sumOf(db, 'velostream_query_records_total', 'shares'), 4)
    t.is(sumOf(db, 'velostream_query_changes_total', 'counts'), 4)
    t.is(valueOf(db, 'velostream_state_bytes'), metrics.stateBytes)
    t.is(valueOf(db, 'velostream_dead_letters_total'), 2)
    t.is(valueOf(db, 'velostream_dead_letters_dropped_total'), 0)
    t.is(valueOf(db, 'velostream_late_dropped_total'), 0)
    t.is(valueOf(db, 'velostream_relation_records_total', { relation: 's' }), 4)
    t.is(valueOf(db, 'velostream_relation_watermark_seconds', { relation: 's' }), 3)
    t.is(valueOf(db, 'velostream_query_watermark_seconds', { query: 'counts' }), 3)
  })
}

test('a histogram counts every record once', async (t) => {
  const db = await opened(t)
  await busy(db)
  // Of a histogram the parser keeps one set of labels, so it is given the samples without their type.
  const untyped = parse(db.metricsText().replace(/^# TYPE .* histogram\n/m, ''))
  const own = (suffix: string) =>
    (untyped.find(({ name }) => name === `velostream_query_latency_seconds_${suffix}`)?.metrics ?? [])
      .filter(({ labels }) => labels?.query === 'counts' && labels.partition === '0')
      .map(({ labels, value }) => [labels?.le, Number(value)] as const)
  const buckets = own('bucket')
  const counts = buckets.map(([, count]) => count)
  t.is(buckets[0]?.[0], '0.000001024')
  t.deepEqual(
    counts,
    counts.toSorted((one, other) => one - other),
    'a higher bound counts no less',
  )
  t.deepEqual(buckets.at(-1), ['+Inf', 4])
  t.deepEqual(own('count'), [[undefined, 4]])
  t.true((own('sum')[0]?.[1] ?? 0) > 0)
})

test('a name and a text of any characters are one label each', async (t) => {
  const db = await opened(t)
  await db.exec('CREATE STREAM s (k INT)')
  const name = 'a "quoted"\\\nname'
  const sql = "SELECT k\nFROM s -- \\ \"x\"\nWHERE 'é' <> '\\n'"
  db.query(sql, undefined, { name })
  t.deepEqual(samples(db, 'velostream_query_info'), [{ labels: { query: name, sql }, value: '1' }])
})

test('the text is OpenMetrics: families with type and meaning, each once, and an end', async (t) => {
  const db = await opened(t)
  await busy(db)
  const lines = db.metricsText().split('\n')
  t.deepEqual(lines.slice(-2), ['# EOF', ''])
  const named = (kind: string) =>
    lines.filter((line) => line.startsWith(`# ${kind} `)).map((line) => line.split(' ')[2])
  t.deepEqual(named('TYPE'), named('HELP'))
  t.is(new Set(named('TYPE')).size, named('TYPE').length)
  for (const name of named('UNIT')) t.regex(name ?? '', /_(seconds|bytes)$/)
  for (const { name, type, help } of families(db).filter(({ metrics }) => metrics.length > 0)) {
    t.regex(name, type === 'UNTYPED' ? /_(total|info)$/ : /^velostream_/, `${name} ${help}`)
  }
})

test('a closed engine has no text', async (t) => {
  const db = await opened(t)
  await db.close()
  t.is((await errorOf(() => db.metricsText())).code, 'ERR_VELO_CLOSED')
})

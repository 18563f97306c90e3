import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'

const cwd = mkdtempSync(join(tmpdir(), 'velostream-command-'))
test.after.always(() => rmSync(cwd, { recursive: true, force: true }))

const program = [
  '--import',
  import.meta.resolve('@oxc-node/core/register'),
  new URL('../../src/cli/main.ts', import.meta.url).pathname,
]

function velostream(args: string[], input: string | Uint8Array = '') {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...program, ...args], {
    cwd,
    input,
    timeout: 20_000,
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

const file = (name: string, content: string | Uint8Array) => writeFileSync(join(cwd, name), content)
const ok = (lines: string[]) => ({ status: 0, stdout: lines.map((line) => `${line}\n`).join(''), stderr: '' })

const rows = [
  { origin: 'LAX', delay: 10 },
  { origin: 'SFO', delay: 4 },
  { origin: 'LAX', delay: 20 },
]
const ndjson = rows.map((row) => `${JSON.stringify(row)}\n`).join('')
file('flights.ndjson', ndjson)
file('flights.json', JSON.stringify(rows))
file('flights.csv', 'origin,delay\nLAX,10\nSFO,4\nLAX,20\n')

const means = (from: string, emit: string) =>
  `SELECT origin, COUNT(*) AS flights, AVG(delay) AS mean FROM ${from} GROUP BY origin EMIT ${emit}`
const finals = ['{"origin":"LAX","flights":2,"mean":15}', '{"origin":"SFO","flights":1,"mean":4}']

for (const name of ['flights.ndjson', 'flights.json', 'flights.csv']) {
  test(`columns of ${name} are inferred`, (t) => {
    t.deepEqual(velostream([means(`'${name}'`, 'FINAL')]), ok(finals))
    t.deepEqual(velostream(['query', means(`'${name}'`, 'FINAL'), '--partitions', '0']), ok(finals))
  })
}

test('standard input is a source', (t) => {
  t.deepEqual(velostream([means('stdin', 'FINAL')], ndjson), ok(finals))
})

test('an updating result prints its changes', (t) => {
  t.deepEqual(
    velostream([means("'flights.csv'", 'CHANGES')]),
    ok([
      '{"op":"insert","row":{"origin":"LAX","flights":1,"mean":10}}',
      '{"op":"insert","row":{"origin":"SFO","flights":1,"mean":4}}',
      '{"op":"update","row":{"origin":"LAX","flights":2,"mean":15}}',
    ]),
  )
})

test('formats', (t) => {
  const print = (format: string) => velostream([means("'flights.csv'", 'FINAL'), '--format', format])
  t.deepEqual(print('rows'), ok(finals))
  t.deepEqual(print('csv'), ok(['origin,flights,mean', 'LAX,2,15', 'SFO,1,4']))
  t.deepEqual(
    print('table'),
    ok(['origin  flights  mean', '------  -------  ----', 'LAX           2    15', 'SFO           1     4']),
  )
})

test('rows of an updating result are refused', (t) => {
  const { status, stdout, stderr } = velostream([means("'flights.csv'", 'CHANGES'), '--format', 'rows'])
  t.deepEqual([status, stdout], [2, ''])
  t.regex(stderr, /^velostream: this result is updated/)
})

test('a file of statements runs in order', (t) => {
  file(
    'script.sql',
    `CREATE STREAM flights (origin STRING, delay INT) WITH (connector = 'file', path = 'flights.csv', format = 'csv');
     CREATE TABLE notes (id INT PRIMARY KEY, note STRING);
     INSERT INTO notes VALUES (1, 'one; two'), (2, NULL);
     SELECT note FROM notes WHERE id = 1;
     UPDATE notes SET note = 'two' WHERE id = 2;
     SELECT delay FROM flights WHERE origin = 'LAX'; -- two rows
     SELECT COUNT(*) AS n FROM flights EMIT FINAL;
     SELECT note FROM notes;
     SHOW TABLES;`,
  )
  const { status, stdout, stderr } = velostream(['run', 'script.sql'])
  t.deepEqual([status, stderr], [0, ''])
  t.deepEqual(stdout.split('\n'), [
    '{"note":"one; two"}',
    '{"delay":10}',
    '{"delay":20}',
    '{"n":3}',
    '{"op":"insert","row":{"note":"one; two"}}',
    '{"op":"insert","row":{"note":"two"}}',
    '{"name":"notes","kind":"TABLE","definition":null}',
    '',
  ])
})

test('all statements are bound before the first runs', (t) => {
  const { status, stdout, stderr } = velostream([
    'SELECT 1 AS a; SELECT nope; CREATE TABLE t (a INT); SELECT b FROM t',
  ])
  t.deepEqual([status, stdout], [2, ''])
  t.regex(stderr, /no column "nope"[^]*no column "b"/)
})

test('a text that is too much is an error of the text', (t) => {
  const unions = Array.from({ length: 300 }, () => 'SELECT 1 AS a').join(' UNION ALL ')
  for (const text of [`SELECT ${'('.repeat(400)}1${')'.repeat(400)} AS a`, unions]) {
    const { status, stderr } = velostream([text])
    t.is(status, 2)
    t.regex(stderr, /^error\[LIMIT\]/)
  }
})

test('--stats tells what the run took', (t) => {
  const { status, stdout, stderr } = velostream([means("'flights.csv'", 'FINAL'), '--stats'])
  t.is(status, 0)
  t.is(stdout, ok(finals).stdout)
  t.regex(
    stderr,
    /^3 records in, 2 changes out, .* records\/s\nlatency p50 .*\nstate [\d,]+ bytes in \d+ groups\n0 dead letters, 0 late\n$/,
  )
})

test('an error in the text has a caret line and status 2', (t) => {
  const { status, stdout, stderr } = velostream(["SELECT orign FROM 'flights.csv'"])
  t.deepEqual([status, stdout], [2, ''])
  t.regex(
    stderr,
    /^error\[UNKNOWN_NAME\]: .*orign.*\n +--> 1:8\n +\|\n1 \| SELECT orign FROM .*\n +\| {8}\^{5} .*origin/,
  )
})

test('two errors in one text are both shown', (t) => {
  const { status, stderr } = velostream(["SELECT orign, dely FROM 'flights.csv'"])
  t.is(status, 2)
  t.deepEqual(stderr.match(/--> 1:\d+/g), ['--> 1:8', '--> 1:15'])
})

test('an error in a file of statements has its place there', (t) => {
  file('broken.sql', "SELECT 1;\n\n  SELECT orign FROM 'flights.csv'")
  const { status, stderr } = velostream(['run', 'broken.sql'])
  t.is(status, 2)
  t.true(stderr.includes('--> broken.sql:3:10'))
})

const noSuch: [string, string][] = [
  ['a file that does not exist', "SELECT * FROM 'nowhere.json'"],
  ['a directory', "SELECT * FROM '.'"],
]
for (const [name, sql] of noSuch) {
  test(`${name} is an error with its place`, (t) => {
    const { status, stdout, stderr } = velostream([sql])
    t.true(status === 1 || status === 2)
    t.is(stdout, '')
    t.regex(stderr, /^error\[(?:IO|UNKNOWN_NAME)\]: .*(?:nowhere\.json|\.)[^]*--> 1:15/)
  })
}

test('a text of SQL that does not exist, and arguments that mean nothing, have status 2', (t) => {
  t.is(velostream(['run', 'nowhere.sql']).status, 2)
  t.is(velostream(['--wrong']).status, 2)
  t.true(velostream([]).stderr.includes('usage: velostream'))
})

test('bad records are dead letters, those around them are processed, and the status is 1', (t) => {
  file('bad.ndjson', '{"a":1,"b":1}\n{"a":2,\n{"a":3,"b":0}\n{"a":"x","b":1}\n{"a":4,"b":2}\n')
  const { status, stdout, stderr } = velostream([
    `CREATE STREAM bad (a INT, b INT) WITH (connector = 'file', path = 'bad.ndjson');
     SELECT a / b AS ratio FROM bad`,
  ])
  t.is(status, 1)
  t.is(stdout, '{"ratio":1}\n{"ratio":2}\n')
  t.is(stderr.match(/^dead letter: /gm)?.length, 3)
})

test('bytes that are not UTF-8 are a dead letter', (t) => {
  file('latin1.ndjson', Buffer.from('{"name":"Zurich"}\n{"name":"Z\xfcrich"}\n{"name":"Bern"}\n', 'latin1'))
  const { status, stdout, stderr } = velostream(["SELECT name FROM 'latin1.ndjson'"])
  t.deepEqual([status, stdout], [1, '{"name":"Zurich"}\n{"name":"Bern"}\n'])
  t.regex(stderr, /^dead letter: /)
})

test('only the first dead letters are shown, and all are counted', (t) => {
  file('zeros.csv', `a,b\n${'1,0\n'.repeat(8)}`)
  const { status, stderr } = velostream(["SELECT a / b AS ratio FROM 'zeros.csv'"])
  t.is(status, 1)
  t.is(stderr.match(/^dead letter: /gm)?.length, 5)
  t.true(stderr.endsWith('3 more dead letters\n'))
})

test('a reader that goes away ends the run quietly', async (t) => {
  file('many.csv', `n\n${Array.from({ length: 200_000 }, (_, n) => n).join('\n')}\n`)
  const child = spawn(process.execPath, [...program, "SELECT n FROM 'many.csv'"], { cwd })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  child.stdout.once('data', () => child.stdout.destroy())
  const status = await new Promise((done) => child.on('close', done))
  t.deepEqual([status, stderr], [0, ''])
})

test('an interrupt ends an endless run cleanly', async (t) => {
  const child = spawn(process.execPath, [...program, 'SELECT a FROM stdin'], { cwd })
  let stdout = ''
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    child.kill('SIGINT')
  })
  child.stdin.write('{"a":1}\n')
  const status = await new Promise((done) => child.on('close', done))
  t.deepEqual([status, stdout, stderr], [0, '{"a":1}\n', ''])
})

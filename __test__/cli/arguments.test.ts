import test from 'ava'
import { parseCommand } from '../../src/cli/arguments.js'

const defaults = { format: undefined, stats: false, progress: true, partitions: undefined }

test('the text is an argument, or a file', (t) => {
  t.deepEqual(parseCommand(['SELECT 1']), { kind: 'query', sql: 'SELECT 1', options: defaults })
  t.deepEqual(parseCommand(['query', 'SELECT 1']), { kind: 'query', sql: 'SELECT 1', options: defaults })
  t.deepEqual(parseCommand(['run', 'a.sql']), { kind: 'file', path: 'a.sql', options: defaults })
})

test('options stand before or after the text', (t) => {
  const options = { format: 'csv', stats: true, progress: false, partitions: 2 }
  t.like(parseCommand(['--stats', 'SELECT 1', '--format', 'csv', '--partitions=2', '--quiet']), { options })
  t.like(parseCommand(['--no-progress', 'SELECT 1']), { options: { progress: false } })
})

test('help and version need no text', (t) => {
  t.deepEqual(parseCommand(['--help']), { kind: 'help' })
  t.deepEqual(parseCommand(['--version']), { kind: 'version' })
})

const refused: [string[], string][] = [
  [[], 'SQL is missing'],
  [['query'], 'SQL is missing'],
  [['run'], 'a file of SQL is missing'],
  [['SELECT', '1'], 'there is more than one SQL text; put it in quotes'],
  [['SELECT 1', '--format', 'xml'], 'no format xml: it is one of ndjson, table, csv, rows'],
  [['SELECT 1', '--partitions', 'two'], '--partitions takes a whole number, not two'],
  [['SELECT 1', '--fast'], "Unknown option '--fast'"],
]
for (const [args, message] of refused) {
  test(`refused: velostream ${args.join(' ')}`, (t) => {
    t.throws(() => parseCommand(args), { message })
  })
}

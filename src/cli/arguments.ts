/** The command line's grammar: arguments in, a command or one sentence about what is wrong out. */

import { parseArgs } from 'node:util'
import { formats, type Format } from './render.js'

export interface RunOptions {
  /** Left out: a table on a terminal, NDJSON elsewhere. */
  format: Format | undefined
  stats: boolean
  progress: boolean
  partitions: number | undefined
}

export type Command =
  | { kind: 'help' }
  | { kind: 'version' }
  | { kind: 'query'; sql: string; options: RunOptions }
  | { kind: 'file'; path: string; options: RunOptions }

/** Arguments that make no command. */
export class UsageError extends Error {}

export const usage = `usage: velostream [query] SQL
       velostream run FILE.sql

Runs SQL over files, standard input and streams, and prints the rows or, where a result is updated, its
changes. It ends when its inputs end.

  velostream "SELECT origin, COUNT(*) AS flights FROM 'flights.json' GROUP BY origin EMIT FINAL"

  --format FORMAT   ndjson (the default when piped), table (on a terminal), csv, or rows: the row objects
                    of a result that is not updated
  --stats           records, changes, rate, latency and state size at the end, on standard error
  --partitions N    threads per query, by default as many as can work at once, at most 8; 0 runs on the calling
                    thread
  --no-progress, --quiet
                    no progress line while a file is read on a terminal
  --help, --version

Exit status: 0, 1 for an error in the data or at run time, 2 for an error in the text or the arguments.
`

const options = {
  format: { type: 'string' },
  stats: { type: 'boolean', default: false },
  partitions: { type: 'string' },
  quiet: { type: 'boolean', short: 'q', default: false },
  'no-progress': { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
  version: { type: 'boolean', short: 'v', default: false },
} as const

/** Reads the arguments behind the program's name. Throws a UsageError. */
export function parseCommand(args: string[]): Command {
  const { values, positionals } = parse(args)
  if (values.help) return { kind: 'help' }
  if (values.version) return { kind: 'version' }
  const run: RunOptions = {
    format: values.format === undefined ? undefined : formatOf(values.format),
    stats: values.stats,
    progress: !values.quiet && !values['no-progress'],
    partitions: values.partitions === undefined ? undefined : partitionsOf(values.partitions),
  }
  const [first, second] = positionals
  const named = first === 'query' || first === 'run'
  const text = named ? second : first
  if (text === undefined)
    throw new UsageError(first === 'run' ? 'a file of SQL is missing' : 'SQL is missing')
  if (positionals.length > (named ? 2 : 1)) {
    throw new UsageError('there is more than one SQL text; put it in quotes')
  }
  return first === 'run'
    ? { kind: 'file', path: text, options: run }
    : { kind: 'query', sql: text, options: run }
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, options, allowPositionals: true })
  } catch (error) {
    // The first sentence names the option; the rest is advice about positional arguments.
    throw new UsageError(String((error as Error).message).replace(/\. .*$/s, ''), { cause: error })
  }
}

function formatOf(name: string): Format {
  const found = formats.find((format) => format === name)
  if (found === undefined) throw new UsageError(`no format ${name}: it is one of ${formats.join(', ')}`)
  return found
}

function partitionsOf(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new UsageError(`--partitions takes a whole number, not ${text}`)
  return Number(text)
}

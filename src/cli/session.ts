/** One run of the command line: statements in their order, results on standard output, the rest beside it. */

import type { Writable } from 'node:stream'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { open, type Change, type DeadLetter, type Query, type Row, type Velostream } from '../../index.js'
import { UsageError, type RunOptions } from './arguments.js'
import { Progress, summary, total } from './progress.js'
import { renderer, type Format, type Renderer } from './render.js'
import { splitStatements, type Statement } from './statements.js'

/** Dead letters shown in full; the rest are counted. */
const lettersShownMax = 5

export interface Streams {
  stdout: Writable & { isTTY?: boolean }
  stderr: NodeJS.WriteStream
}

/** As many as can work at once; what merges their changes gains little from more. */
const partitionsByDefault = (): number => Math.min(availableParallelism(), 8)

/** Runs `text` to the end of its inputs, or until `signal`; resolves to the number of dead letters. */
export async function runText(
  text: string,
  options: RunOptions,
  streams: Streams,
  signal: AbortSignal,
): Promise<number> {
  const db = await open({ partitions: options.partitions ?? partitionsByDefault() })
  const session = new Session(db, options, streams, signal)
  try {
    db.check(text)
    for (const statement of splitStatements(text)) {
      if (signal.aborted) break
      await session.run(statement)
    }
    return session.closeLetters()
  } finally {
    await db.close()
  }
}

class Session {
  readonly #db: Velostream
  readonly #options: RunOptions
  readonly #streams: Streams
  readonly #signal: AbortSignal
  readonly #format: Format
  #progress: Progress | undefined
  #letters = 0

  constructor(db: Velostream, options: RunOptions, streams: Streams, signal: AbortSignal) {
    this.#db = db
    this.#options = options
    this.#streams = streams
    this.#signal = signal
    this.#format = options.format ?? (streams.stdout.isTTY ? 'table' : 'ndjson')
    db.on('deadLetter', (letter) => this.#show(letter))
  }

  async run({ sql, kind }: Statement): Promise<void> {
    if (kind === 'command') return this.#db.exec(sql)
    if (kind === 'query') return this.#stream(sql)
    const rows = await this.#db.all(sql)
    const columns = Object.entries(rows[0] ?? {}).map(([name, value]) => ({
      name,
      type: typeof value === 'number' ? 'DOUBLE' : 'STRING',
    }))
    const printer = renderer(this.#format, { columns, updating: false })
    await this.#write(printer.header() + printer.lines(rows.map((row) => ({ op: 'insert', row }))))
  }

  /** Says how many dead letters were not shown; returns how many there were. */
  closeLetters(): number {
    const more = this.#letters - lettersShownMax
    if (more > 0) this.#note(`${more} more dead letters`)
    return this.#letters
  }

  async #stream(sql: string): Promise<void> {
    const started = performance.now()
    const query = this.#db.query(sql)
    if (this.#format === 'rows' && query.updating) {
      await query.close()
      throw new UsageError(
        'this result is updated, so rows alone would not say it: EMIT FINAL, or another --format',
      )
    }
    const close = () => void query.close()
    this.#signal.addEventListener('abort', close, { once: true })
    const { stderr } = this.#streams
    if (this.#options.progress && stderr.isTTY) {
      this.#progress = new Progress(stderr, () => total(query.metrics().partitions))
    }
    try {
      await this.#print(query)
    } finally {
      this.#signal.removeEventListener('abort', close)
      this.#progress?.stop()
      this.#progress = undefined
    }
    const { partitions } = query.metrics()
    if (this.#options.stats) this.#note(summary(partitions, (performance.now() - started) / 1000))
    await query.close()
  }

  async #print(query: Query<Row>): Promise<void> {
    const format = this.#format
    const isJson = format === 'ndjson' || format === 'rows'
    const pieces = isJson ? query.ndjson() : printed(query.batches(), renderer(format, query))
    // Whatever writes rows has run: what is not a file has ended, and says so while the changes are read.
    const ended = this.#db.end()
    await Promise.all([ended, this.#copy(pieces)])
  }

  async #copy(pieces: AsyncIterable<string | Uint8Array>): Promise<void> {
    for await (const piece of pieces) await this.#write(piece)
  }

  /** Waits while the reader of standard output is behind, and so makes the engine wait. */
  async #write(piece: string | Uint8Array): Promise<void> {
    if (piece.length === 0 || this.#signal.aborted) return
    const { stdout } = this.#streams
    if (stdout.isTTY) this.#progress?.clear()
    if (stdout.write(piece)) return
    try {
      await once(stdout, 'drain', { signal: this.#signal })
    } catch (error) {
      if (!this.#signal.aborted) throw error
    }
  }

  #note(text: string): void {
    this.#progress?.clear()
    this.#streams.stderr.write(`${text}\n`)
  }

  #show({ relation, offset, code, message }: DeadLetter): void {
    this.#letters += 1
    if (this.#letters > lettersShownMax) return
    const place = relation === '' ? '' : `${relation}, record ${offset}: `
    this.#note(`dead letter: ${place}${code.replace('ERR_VELO_', '')}: ${message}`)
  }
}

async function* printed(changes: AsyncIterable<Change<Row>[]>, printer: Renderer): AsyncGenerator<string> {
  yield printer.header()
  for await (const batch of changes) yield printer.lines(batch)
}

/** What the tests of the facade share. */

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { ExecutionContext } from 'ava'
import {
  open,
  type Change,
  type OpenOptions,
  type Query,
  type Velostream,
  VelostreamError,
} from '../index.js'

/** An engine that is closed when the test ends. */
export async function opened(t: ExecutionContext, options: OpenOptions = {}): Promise<Velostream> {
  const db = await open(options)
  t.teardown(() => db.close())
  return db
}

/** Collects a query's changes from here on. */
export function collected<T>(query: Query<T>): Change<T>[] {
  const changes: Change<T>[] = []
  query.on('change', (change) => void changes.push(change))
  return changes
}

/** The error that `call` throws or rejects with. */
export async function errorOf(call: () => unknown): Promise<VelostreamError> {
  try {
    await call()
  } catch (error) {
    if (error instanceof VelostreamError) return error
    throw error
  }
  throw new Error('no error was thrown')
}

/** Resolves after everything that is due now has run. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** The warnings of this process from here on. */
export function warnings(t: ExecutionContext): Error[] {
  const seen: Error[] = []
  const listener = (warning: Error): void => void seen.push(warning)
  process.on('warning', listener)
  t.teardown(() => process.off('warning', listener))
  return seen
}

export interface Ended {
  status: number
  stdout: string
  stderr: string
}

/** Runs a file of `fixtures` in a process of its own, to its end. */
export function run(fixture: string, nodeArguments: string[] = []): Promise<Ended> {
  const file = fileURLToPath(new URL(`fixtures/${fixture}`, import.meta.url))
  const argv = ['--import', '@oxc-node/core/register', ...nodeArguments, file]
  return new Promise((resolve) => {
    execFile(process.execPath, argv, { timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({
        status: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1,
        stdout,
        stderr,
      })
    })
  })
}

/** Everything that an async iterable gives. */
export async function listed<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of source) items.push(item)
  return items
}

#!/usr/bin/env node
/** The command `velostream`: a user of the public API, with exit status 0, 1 (data) or 2 (text, arguments). */

import { readFileSync } from 'node:fs'
import { version, VelostreamError } from '../../index.js'
import { parseCommand, usage, UsageError, type Command } from './arguments.js'
import { diagnose, isOfTheText } from './diagnose.js'
import { runText } from './session.js'

const exitCodes = { done: 0, failed: 1, refused: 2 } as const

async function main(args: string[]): Promise<number> {
  let command: Command
  try {
    command = parseCommand(args)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`velostream: ${error.message}\n\n${usage}`)
    return exitCodes.refused
  }
  switch (command.kind) {
    case 'help':
      process.stdout.write(usage)
      return exitCodes.done
    case 'version':
      process.stdout.write(`${version()}\n`)
      return exitCodes.done
    case 'query':
      return runCommand(command.sql, undefined, command)
    case 'file':
      return runFile(command)
  }
}

async function runFile(command: Extract<Command, { kind: 'file' }>): Promise<number> {
  let text: string
  try {
    text = readFileSync(command.path, 'utf8')
  } catch (error) {
    process.stderr.write(`velostream: cannot read ${command.path}: ${(error as Error).message}\n`)
    return exitCodes.refused
  }
  return runCommand(text, command.path, command)
}

async function runCommand(
  text: string,
  source: string | undefined,
  { options }: Extract<Command, { kind: 'query' | 'file' }>,
): Promise<number> {
  const interrupted = new AbortController()
  const interrupt = () => interrupted.abort()
  process.once('SIGINT', interrupt)
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // A reader that has seen enough, such as head, is no error.
    if (error.code !== 'EPIPE') throw error
    interrupt()
  })
  try {
    const deadLetters = await runText(text, options, process, interrupted.signal)
    return deadLetters === 0 ? exitCodes.done : exitCodes.failed
  } catch (error) {
    return report(error, text, source)
  } finally {
    process.off('SIGINT', interrupt)
  }
}

function report(error: unknown, text: string, source: string | undefined): number {
  if (error instanceof UsageError) {
    process.stderr.write(`velostream: ${error.message}\n`)
    return exitCodes.refused
  }
  if (!(error instanceof VelostreamError)) throw error
  process.stderr.write(`${diagnose(error, text, source)}\n`)
  return isOfTheText(error) ? exitCodes.refused : exitCodes.failed
}

process.exitCode = await main(process.argv.slice(2))

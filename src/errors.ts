/** The one error class of the package, and how the addon's errors become it. */

export type ErrorCode =
  | 'ERR_VELO_PARSE'
  | 'ERR_VELO_UNKNOWN_NAME'
  | 'ERR_VELO_TYPE'
  | 'ERR_VELO_UNSUPPORTED'
  | 'ERR_VELO_EXISTS'
  | 'ERR_VELO_IN_USE'
  | 'ERR_VELO_ARGUMENT'
  | 'ERR_VELO_RECORD'
  | 'ERR_VELO_CONSTRAINT'
  | 'ERR_VELO_UPDATING'
  | 'ERR_VELO_LIMIT'
  | 'ERR_VELO_CLOSED'
  | 'ERR_VELO_STATE'
  | 'ERR_VELO_IO'
  | 'ERR_VELO_INTERNAL'

/** One of several errors in a text. */
export interface Diagnostic {
  code: ErrorCode
  message: string
  hint?: string | null
  line: number
  column: number
  endLine: number
  endColumn: number
}

/** What is known of an error beside its code and message. */
export interface ErrorDetails {
  hint?: string
  line?: number
  column?: number
  endLine?: number
  endColumn?: number
  index?: number
  relation?: string
  field?: string
  rendered?: string
  diagnostics?: Diagnostic[]
  cause?: unknown
}

/** Whatever goes wrong: a stable `code`, a sentence, and the place in the text or in the data. */
export class VelostreamError extends Error {
  override readonly name = 'VelostreamError'
  readonly code: ErrorCode
  /** What to do about it. */
  declare readonly hint?: string
  /** Place in the SQL text, from 1; `endColumn` is behind the last character. */
  declare readonly line?: number
  declare readonly column?: number
  declare readonly endLine?: number
  declare readonly endColumn?: number
  /** Place in the data: position among the rows of the call, relation and column. */
  declare readonly index?: number
  declare readonly relation?: string
  declare readonly field?: string
  /** All errors of a text, each with its line and carets, as a terminal shows them. */
  declare readonly rendered?: string
  declare readonly diagnostics?: Diagnostic[]

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    const { cause, ...places } = details
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    Object.assign(this, places)
  }
}

/** The error for a call with a wrong argument. */
export function badArgument(message: string): VelostreamError {
  return new VelostreamError('ERR_VELO_ARGUMENT', message)
}

/** The error for a call on something closed. */
export function closedError(what: string): VelostreamError {
  return new VelostreamError('ERR_VELO_CLOSED', `the ${what} is closed`)
}

/**
 * The addon's errors carry their fields as JSON in the message; anything else it throws (a panic, an
 * argument it cannot convert) is a fault of the package.
 */
export function fromNative(error: unknown): unknown {
  if (error instanceof VelostreamError || !(error instanceof Error)) return error
  if (error.message.startsWith('{"')) {
    const { code, message, ...details } = JSON.parse(error.message) as ErrorDetails & {
      code: ErrorCode
      message: string
    }
    return new VelostreamError(code, message, details)
  }
  return new VelostreamError('ERR_VELO_INTERNAL', error.message, { cause: error })
}

/** Runs `call` and throws its error as a `VelostreamError`. */
export function guarded<R>(call: () => R): R {
  try {
    return call()
  } catch (error) {
    throw fromNative(error)
  }
}

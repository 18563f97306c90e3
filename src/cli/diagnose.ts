/** Errors as people read them: code, message, the line of the text with a caret under the place, a hint. */

import type { VelostreamError } from '../errors.js'

const prefix = 'ERR_VELO_'

/** Codes that blame the text or the arguments rather than the data. */
const ofTheText = new Set(
  ['PARSE', 'UNKNOWN_NAME', 'TYPE', 'UNSUPPORTED', 'EXISTS', 'IN_USE', 'ARGUMENT', 'UPDATING'].map(
    (name) => prefix + name,
  ),
)

/** Whether the text is to blame, rather than the data; a limit is the text's where it has a place there. */
export function isOfTheText({ code, line }: Pick<VelostreamError, 'code' | 'line'>): boolean {
  return ofTheText.has(code) || (code === `${prefix}LIMIT` && line !== undefined)
}

/** What one of the errors of a text, or an error without a text, says. */
type Fault = Pick<VelostreamError, 'code' | 'message' | 'line' | 'column' | 'endLine' | 'endColumn'> & {
  hint?: string | null
}

/** All errors that `error` carries. @param source where the text came from, if from a file. */
export function diagnose(error: VelostreamError, text: string, source?: string): string {
  const faults: Fault[] = error.diagnostics?.length ? error.diagnostics : [error]
  return faults.map((fault) => show(fault, text, source)).join('\n')
}

function show(fault: Fault, text: string, source: string | undefined): string {
  const { line = 0, column = 0, hint } = fault
  const title = `error[${fault.code.replace(prefix, '')}]: ${fault.message}`
  const shown = text.split('\n')[line - 1]?.replace(/\r$/, '')
  if (shown === undefined) return hint ? `${title}\n  hint: ${hint}` : title
  const gutter = ' '.repeat(String(line).length)
  // Columns count characters; a tab before the place is repeated so that the carets stand under it.
  const characters = [...shown]
  const indent = characters
    .slice(0, column - 1)
    .map((character) => (character === '\t' ? '\t' : ' '))
    .join('')
  const end = fault.endLine === line ? (fault.endColumn ?? column) : characters.length + 1
  const carets = '^'.repeat(Math.max(1, end - column))
  return [
    title,
    `${gutter} --> ${source === undefined ? '' : `${source}:`}${line}:${column}`,
    `${gutter} |`,
    `${line} | ${shown}`,
    `${gutter} | ${indent}${carets}${hint ? ` ${hint}` : ''}`,
  ].join('\n')
}

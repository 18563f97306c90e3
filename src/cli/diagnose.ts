/** Errors as people read them: code, message, the line of the text with a caret under the place, a hint. */

import type { VelostreamError } from '../errors.js'

const prefix = 'ERR_VELO_'

/** Codes that blame the text or the arguments rather than the data. */
const ofTheText = new Set(
  ['PARSE', 'UNKNOWN_NAME', 'TYPE', 'UNSUPPORTED', 'EXISTS', 'IN_USE', 'ARGUMENT', 'UPDATING'].map(
    (name) => prefix + name,
  ),
)

export function isOfTheText(code: string): boolean {
  return ofTheText.has(code)
}

/** @param source where the text came from, if from a file. */
export function diagnose(error: VelostreamError, text: string, source?: string): string {
  const title = `error[${error.code.replace(prefix, '')}]: ${error.message}`
  const line = error.line === undefined ? undefined : text.split('\n')[error.line - 1]?.replace(/\r$/, '')
  if (error.line === undefined || error.column === undefined || line === undefined) {
    return error.hint === undefined ? title : `${title}\n  hint: ${error.hint}`
  }
  const number = String(error.line)
  const gutter = ' '.repeat(number.length)
  const place = `${source === undefined ? '' : `${source}:`}${error.line}:${error.column}`
  // Columns count characters; a tab before the place is repeated so that the caret stands under it.
  const before = [...line].slice(0, error.column - 1).join('')
  const indent = before.replace(/[^\t]/gu, ' ')
  const carets = '^'.repeat(tokenLength(line.slice(before.length)))
  return [
    title,
    `${gutter} --> ${place}`,
    `${gutter} |`,
    `${number} | ${line}`,
    `${gutter} | ${indent}${carets}${error.hint === undefined ? '' : ` ${error.hint}`}`,
  ].join('\n')
}

/** Characters of the word, number, quoted text or sign at the start of `rest`; at least 1. */
function tokenLength(rest: string): number {
  const token = /^(?:'[^']*'|"[^"]*"|`[^`]*`|[\p{L}\p{N}_]+|.)/u.exec(rest)?.[0] ?? ' '
  return [...token].length
}

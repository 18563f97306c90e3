/**
 * The runnable examples of a document: each code block of `js`, `sql` or `sh` that a `text` block follows.
 * The `text` block is what the example prints.
 */

import { readFileSync } from 'node:fs'

export interface Example {
  language: 'js' | 'sql' | 'sh'
  code: string
  output: string
  /** Where the block begins, for the test's name. */
  line: number
}

const block = /^```(js|sql|sh)\n((?:(?!```).*\n)*)```\n\n?(?:[^\n`]*:\n\n)?```text\n((?:(?!```).*\n)*)```$/gm

export function examplesOf(path: string): Example[] {
  const document = readFileSync(path, 'utf8')
  return [...document.matchAll(block)].map(({ 1: language, 2: code = '', 3: output = '', index }) => ({
    language: language as Example['language'],
    code,
    output,
    line: document.slice(0, index).split('\n').length,
  }))
}

import test from 'ava'
import { diagnose, isOfTheText } from '../../src/cli/diagnose.js'
import type { VelostreamError } from '../../src/errors.js'

const error = (fields: Partial<VelostreamError>) =>
  ({ code: 'ERR_VELO_UNKNOWN_NAME', message: 'no column "symbl" in trades', ...fields }) as VelostreamError

test('the place is underlined and the hint stands behind the carets', (t) => {
  const text = 'SELECT symbl, COUNT(*) FROM trades GROUP BY symbl'
  t.is(
    diagnose(error({ line: 1, column: 8, endLine: 1, endColumn: 13, hint: 'did you mean symbol?' }), text),
    `error[UNKNOWN_NAME]: no column "symbl" in trades
  --> 1:8
  |
1 | SELECT symbl, COUNT(*) FROM trades GROUP BY symbl
  |        ^^^^^ did you mean symbol?`,
  )
})

test('lines of a file carry its name, and numbers align', (t) => {
  const text = `${'\n'.repeat(9)}\tSELECT '😀', "a b"\r\nFROM t`
  t.is(
    diagnose(error({ line: 10, column: 14, endLine: 10, endColumn: 19 }), text, 'q.sql'),
    `error[UNKNOWN_NAME]: no column "symbl" in trades
   --> q.sql:10:14
   |
10 | \tSELECT '😀', "a b"
   | \t            ^^^^^`,
  )
})

test('all errors of a text are shown', (t) => {
  const place = { line: 1, column: 1, endLine: 1, endColumn: 2 }
  const diagnostics = ['first', 'second'].map((message) => ({
    code: 'ERR_VELO_TYPE' as const,
    message,
    ...place,
  }))
  t.deepEqual(diagnose(error({ diagnostics }), 'x').match(/^error.*/gm), [
    'error[TYPE]: first',
    'error[TYPE]: second',
  ])
})

test('a place over several lines is underlined to the end of its first', (t) => {
  t.true(
    diagnose(error({ line: 1, column: 2, endLine: 2, endColumn: 3 }), 'abcd\nefgh').endsWith('\n  |  ^^^'),
  )
})

test('a place at the end of the text has one caret', (t) => {
  t.true(diagnose(error({ line: 1, column: 7, endLine: 1, endColumn: 7 }), 'SELECT').endsWith('|       ^'))
})

test('an error without place is one line, and a hint', (t) => {
  t.is(diagnose(error({}), ''), 'error[UNKNOWN_NAME]: no column "symbl" in trades')
  t.true(diagnose(error({ hint: 'try' }), '').endsWith('\n  hint: try'))
  t.is(diagnose(error({ line: 99, column: 1 }), 'x').split('\n').length, 1)
})

test('data and text are told apart', (t) => {
  t.true(isOfTheText({ code: 'ERR_VELO_PARSE' }))
  t.false(isOfTheText({ code: 'ERR_VELO_RECORD' }))
  t.true(isOfTheText({ code: 'ERR_VELO_LIMIT', line: 1 }))
  t.false(isOfTheText({ code: 'ERR_VELO_LIMIT' }))
})

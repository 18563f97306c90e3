import { readFileSync } from 'node:fs'
import test from 'ava'
import { version } from '../index.js'

test('the engine and the package have one version', (t) => {
  t.is(version(), JSON.parse(readFileSync('package.json', 'utf8')).version)
})

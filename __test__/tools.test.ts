import { spawnSync } from 'node:child_process'
import test from 'ava'

// What a build cannot do without is named in one sentence, with what to install.

function build(env: NodeJS.ProcessEnv) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/build.mjs'], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  return { status, stdout, stderr }
}

test('no cargo', (t) => {
  const { status, stdout, stderr } = build({ PATH: '/nonexistent' })
  t.is(status, 1)
  t.is(stdout, '')
  t.regex(
    stderr,
    /^Velostream is built with cargo [\d.]+ or newer and found none: install Rust from https:\/\/rustup\.rs\.\n$/,
  )
})

test('no C compiler', (t) => {
  const { status, stdout, stderr } = build({ CC: 'no-such-compiler' })
  t.is(status, 1)
  t.is(stdout, '')
  t.regex(
    stderr,
    /^Velostream is built with a C compiler and found none named no-such-compiler: install gcc .*\n$/,
  )
})

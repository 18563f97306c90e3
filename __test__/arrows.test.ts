import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'

// Dependencies point one way: sql <- engine <- runtime <- node. The core is pure.

interface Package {
  name: string
  dependencies: { name: string; kind: string | null }[]
}

const command = ['metadata', '--no-deps', '--format-version', '1', '--offline']
const { packages } = JSON.parse(
  execFileSync('cargo', command, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 }),
) as { packages: Package[] }

/** What each crate may build on, of our own crates; tests may use more. */
const arrows: Record<string, string[]> = {
  'velostream-sql': [],
  'velostream-engine': ['velostream-sql'],
  'velostream-runtime': ['velostream-sql', 'velostream-engine'],
  'velostream-node': ['velostream-engine', 'velostream-runtime'],
  'velostream-testkit': ['velostream-sql', 'velostream-engine', 'velostream-runtime'],
}

test('every crate has its arrows', (t) => {
  t.deepEqual(packages.map(({ name }) => name).toSorted(), Object.keys(arrows).toSorted())
})

for (const { name, dependencies } of packages) {
  test(`${name} builds on nothing above it`, (t) => {
    const ours = dependencies
      .filter((dependency) => dependency.kind === null && dependency.name.startsWith('velostream-'))
      .map((dependency) => dependency.name)
    t.deepEqual(
      ours.filter((dependency) => !arrows[name]?.includes(dependency)),
      [],
    )
  })
}

/** Paths that a crate's sources do not name; comments may. */
const forbidden: Record<string, RegExp> = {
  'velostream-sql':
    /\bstd::(?:thread|fs|net|env|process|time::(?:Instant|SystemTime))\b|\bvelostream_(?:engine|runtime)\b/,
  'velostream-engine':
    /\bstd::(?:thread|fs|net|env|process|time::(?:Instant|SystemTime))\b|\bvelostream_runtime\b/,
  'velostream-runtime': /\bnapi\w*::|\bsqlparser::/,
  'velostream-node': /\bvelostream_sql\b|\bsqlparser\b/,
}

for (const [name, pattern] of Object.entries(forbidden)) {
  test(`${name} names nothing it does not know`, (t) => {
    const source = join('crates', name, 'src')
    const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.rs'),
    )
    const found = files.flatMap((file) =>
      readFileSync(join(source, file), 'utf8')
        .split('\n')
        .map((line, index) => ({ place: `${file}:${index + 1}`, line }))
        .filter(({ line }) => pattern.test(line.replace(/\/\/.*/, ''))),
    )
    t.true(files.length > 0)
    t.deepEqual(found, [])
  })
}

test('of the runtime, one file knows tokio, awaits or is asynchronous', (t) => {
  const source = join('crates', 'velostream-runtime', 'src')
  const all = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.rs'),
  )
  const files = all.filter((file) =>
    /\btokio::|\.await\b|\basync fn\b/.test(
      readFileSync(join(source, file), 'utf8').replaceAll(/\/\/.*/g, ''),
    ),
  )
  t.deepEqual(files, [join('record', 'output.rs')])
})

// That none is taken in what these call is counted, in crates/velostream-runtime/tests/allocations.rs.
test('the synchronous path of a record names no lock', (t) => {
  const source = join('crates', 'velostream-runtime', 'src')
  const records = readdirSync(join(source, 'record')).filter((file) => file !== 'output.rs')
  for (const file of [
    'processor.rs',
    'kernel.rs',
    join('processor', 'records.rs'),
    ...records.map((name) => join('record', name)),
  ]) {
    t.notRegex(readFileSync(join(source, file), 'utf8'), /\bMutex\b|\bRwLock\b|\.lock\(\)/, file)
  }
})

test('the core waits for nothing: it is not asynchronous and shares nothing', (t) => {
  for (const name of ['velostream-sql', 'velostream-engine']) {
    const source = join('crates', name, 'src')
    const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.rs'),
    )
    const waits = files.filter((file) =>
      /\.await\b|\basync\b|\bMutex\b|\bRwLock\b|\bCondvar\b|\bmpsc\b/.test(
        readFileSync(join(source, file), 'utf8').replaceAll(/\/\/.*/g, ''),
      ),
    )
    t.deepEqual(waits, [])
  }
})

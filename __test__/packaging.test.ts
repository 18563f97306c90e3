import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import test from 'ava'
import { examplesOf } from './support/examples.js'

// What would be published is packed, installed into an empty folder, and used there without cargo.

const work = mkdtempSync(join(tmpdir(), 'velostream-packaging-'))
const generated = join('.tmp', 'packaging', 'npm')
test.after.always(() => {
  rmSync(work, { recursive: true, force: true })
  rmSync(dirname(generated), { recursive: true, force: true })
})

function npm(args: string[], cwd = '.'): string {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Packs the package in `folder`; returns the tarball's path. */
function pack(folder: string): string {
  const [packed] = JSON.parse(
    npm(['pack', '--json', '--ignore-scripts', '--pack-destination', work], folder),
  ) as {
    filename: string
  }[]
  return join(work, packed?.filename ?? '')
}

test.serial('the platform packages are as napi generates them', (t) => {
  execFileSync(resolve('node_modules', '.bin', 'napi'), ['create-npm-dirs', '--npm-dir', generated], {
    stdio: 'ignore',
  })
  const read = (root: string) =>
    readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('package.json'))
      .toSorted()
      .map((file) => [file, JSON.parse(readFileSync(join(root, file), 'utf8'))])
  t.is(read('npm').length, 7)
  t.deepEqual(read('npm'), read(generated), 'run: npm run npm-dirs')
})

test.serial('packed, installed and used without cargo, by import and by require', (t) => {
  const addon = readdirSync('.').find((file) => /^velostream\..*\.node$/.test(file)) ?? ''
  const platform = join(generated, addon.split('.')[1] ?? '')
  cpSync(addon, join(platform, addon))
  const tarballs = [pack('.'), pack(platform)]
  writeFileSync(join(work, 'package.json'), '{ "private": true }')
  npm(['install', '--offline', '--no-audit', '--no-fund', ...tarballs], work)

  const [example] = examplesOf('README.md').filter(({ language }) => language === 'js')
  t.truthy(example)
  const { code, output } = example ?? { code: '', output: '' }
  writeFileSync(join(work, 'example.mjs'), code)
  writeFileSync(join(work, 'example.cjs'), asCommonJs(code))
  const env = { PATH: [dirname(process.execPath), '/usr/bin', '/bin'].join(delimiter) }
  for (const file of ['example.mjs', 'example.cjs']) {
    t.is(execFileSync(process.execPath, [file], { cwd: work, encoding: 'utf8', env }), output, file)
  }
  const use =
    "import { Velostream, open, type Query } from 'velostream'\nexport const all: [typeof Velostream, typeof open, Query?] = [Velostream, open]\n"
  for (const file of ['types.mts', 'types.cts']) writeFileSync(join(work, file), use)
  const compiler = resolve('node_modules', 'typescript', 'bin', 'tsc')
  const types = [
    '--noEmit',
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2023',
    '--lib',
    'es2023,esnext.disposable',
  ]
  const here = ['--typeRoots', resolve('node_modules', '@types'), '--types', 'node', 'types.mts', 'types.cts']
  t.notThrows(() =>
    execFileSync(process.execPath, [compiler, ...types, ...here], {
      cwd: work,
      stdio: 'pipe',
      encoding: 'utf8',
    }),
  )
  writeFileSync(join(work, 'same.mjs'), asked)
  t.is(execFileSync(process.execPath, ['same.mjs'], { cwd: work, encoding: 'utf8', env }), 'true\n')
  const velostream = join(work, 'node_modules', '.bin', 'velostream')
  const version = JSON.parse(readFileSync('package.json', 'utf8')).version
  t.is(execFileSync(velostream, ['--version'], { encoding: 'utf8', env }), `${version}\n`)
  // Where the usual names do not count, the loader that napi generates has its turn and says what is wrong.
  const elsewhere = { ...env, NAPI_RS_NATIVE_LIBRARY_PATH: join(work, 'nowhere.node') }
  const { status, stderr } = spawnSync(velostream, ['--version'], { encoding: 'utf8', env: elsewhere })
  t.is(status, 1)
  t.regex(stderr, /Cannot find native binding.*nowhere\.node/su)
})

/** Whether import and require give the same classes. */
const asked = `
  import { createRequire } from 'node:module'
  import * as imported from 'velostream'
  const required = createRequire(import.meta.url)('velostream')
  const names = Object.keys(required)
  const isSame = names.every((name) => imported[name] === required[name])
  console.log(isSame && names.includes('VelostreamError') && Object.keys(imported).length === names.length)
`

/** The same example for a reader who uses require, and so has no await outside of functions. */
function asCommonJs(code: string): string {
  const imports = /^import (\{.*?\}) from '(.*?)'$/gm
  const head = [...code.matchAll(imports)].map(([, names, from]) => `const ${names} = require('${from}')\n`)
  return `${head.join('')}void (async () => {\n${code.replace(imports, '')}})()\n`
}

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import test from 'ava'
import { examplesOf, type Example } from './support/examples.js'

// Every example of the documents that shows its output is run, and prints exactly that. They run beside
// the files of docs/examples, over the package as it is built.

mkdirSync('.tmp', { recursive: true })
const work = mkdtempSync(join('.tmp', 'documents-'))
test.after.always(() => rmSync(work, { recursive: true, force: true }))

const cwd = join('docs', 'examples')
const commandLine = resolve('dist', 'src', 'cli', 'main.js')
const node = (args: string[]) =>
  execFileSync(process.execPath, args, { cwd, encoding: 'utf8', timeout: 30_000 })

function run({ language, code, line }: Example): string {
  const file = resolve(work, `example-${line}.${language === 'js' ? 'mjs' : language}`)
  if (language === 'sh') {
    // The command stands for itself: what the shell would find is the built command line.
    const script = code.replaceAll(/(^|\| )velostream /gm, `$1"${process.execPath}" "${commandLine}" `)
    return execFileSync('sh', ['-c', script], { cwd, encoding: 'utf8', timeout: 30_000 })
  }
  writeFileSync(file, code)
  return language === 'js' ? node([file]) : node([commandLine, 'run', file])
}

const documents = readdirSync('docs').filter((name) => name.endsWith('.md'))
for (const document of ['README.md', ...documents.map((name) => join('docs', name))]) {
  for (const example of examplesOf(document)) {
    test(`${document}:${example.line}`, (t) => t.is(run(example), example.output))
  }
}

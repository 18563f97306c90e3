// The same work in JavaScript: idiomatic, and tuned for its one query. Over ready objects, over the bytes of
// NDJSON chunks, and over one Buffer per record.

import { relationsOf, secondsSince } from './contender.js'
import type { Contender } from './contender.js'
import type { Form, Input } from './input.js'
import { scanner } from './scanner.js'
import type { Rival, Scenario, Tally, Values } from './scenarios.js'

function overBytes(
  name: string,
  reads: Form,
  work: (scenario: Scenario, input: Input, tally: Tally) => void,
): Contender {
  return {
    name,
    reads,
    compared: 'tally',
    async run(scenario, input, _take, tally) {
      const started = performance.now()
      work(scenario, input, tally)
      return secondsSince(started)
    },
  }
}

function overObjects(name: string, start: (scenario: Scenario) => Rival): Contender {
  return {
    name,
    reads: 'objects',
    compared: 'tally',
    async run(scenario, input, _take, tally) {
      const rival = start(scenario)
      const relations = relationsOf(scenario).length
      // An array, gone over by its index: an iterator costs a third of such a loop.
      const records = Array.isArray(input.records) ? (input.records as Values[]) : [...input.records]
      const started = performance.now()
      for (let i = 0; i < records.length; i++) rival.process(records[i] as Values, tally, i % relations)
      rival.end(tally)
      return secondsSince(started)
    },
  }
}

const idiomaticJson = overBytes('idiomatic, JSON', 'chunks', (scenario, { chunks }, tally) => {
  const rival = scenario.idiomatic()
  const rests = relationsOf(scenario).map(() => '')
  for (const { source, content } of chunks) {
    const lines = ((rests[source] as string) + content.toString('latin1')).split('\n')
    rests[source] = lines.pop() ?? ''
    for (const line of lines) rival.process(JSON.parse(line) as Values, tally, source)
  }
  rival.end(tally)
})

/** A byte scanner for each relation, whose records go to the rival. */
function scannersOf(scenario: Scenario, rival: Rival, tally: Tally) {
  return relationsOf(scenario).map((_, source) =>
    scanner(scenario.record(source), (record) => rival.process(record, tally, source)),
  )
}

const tunedJson = overBytes('tuned, JSON', 'chunks', (scenario, { chunks }, tally) => {
  const rival = scenario.tuned()
  const scanners = scannersOf(scenario, rival, tally)
  for (const { source, content } of chunks) scanners[source]?.chunk(content)
  rival.end(tally)
})

const idiomaticMessages = overBytes('idiomatic, message', 'messages', (scenario, { messages }, tally) => {
  const rival = scenario.idiomatic()
  for (const { source, content } of messages)
    rival.process(JSON.parse(content.toString()) as Values, tally, source)
  rival.end(tally)
})

const tunedMessages = overBytes('tuned, message', 'messages', (scenario, { messages }, tally) => {
  const rival = scenario.tuned()
  const scanners = scannersOf(scenario, rival, tally)
  for (const { source, content } of messages) scanners[source]?.message(content)
  rival.end(tally)
})

export const rivals: readonly Contender[] = [
  overObjects('idiomatic', (scenario) => scenario.idiomatic()),
  overObjects('tuned', (scenario) => scenario.tuned()),
  idiomaticJson,
  tunedJson,
  idiomaticMessages,
  tunedMessages,
]

/** The rivals that do a door's work from the same input: idiomatic, tuned. */
export function peersOf(scenario: Scenario, door: string): readonly [string, string] {
  const input = inputOf(scenario, door)
  return input === undefined ? ['idiomatic', 'tuned'] : [`idiomatic, ${input}`, `tuned, ${input}`]
}

/** What else than objects a door reads. */
function inputOf({ fileOptions }: Scenario, door: string): string | undefined {
  if (door === 'js/message') return 'message'
  if (door === 'js/json') return 'JSON'
  if (!door.startsWith('file') && !door.startsWith('DuckDB')) return undefined
  return fileOptions === undefined ? 'JSON' : 'text'
}

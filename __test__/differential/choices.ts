// Every random decision is a number drawn from a tape, so that a case can be replayed and shrunk.
//
// A tape that is fresh draws from its seed and remembers; a given tape gives its numbers, then zeros. What
// draws must take 0 for the simplest choice: then a shorter tape with smaller numbers makes a simpler case.

/** A generator of 32-bit words: a Weyl sequence through a mixer with constants of the hash-prospector project. */
function words(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x9e3779b9) >>> 0
    let word = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    word = Math.imul(word ^ (word >>> 15), 0x735a2d97)
    return (word ^ (word >>> 15)) >>> 0
  }
}

/** The seed of case `index` of a run. */
export function caseSeed(runSeed: number, index: number): number {
  return words(runSeed + Math.imul(index, 0x01000193))()
}

export class Choices {
  readonly #next: () => number
  readonly #drawn: number[] = []

  private constructor(next: () => number) {
    this.#next = next
  }

  static fromSeed(seed: number): Choices {
    return new Choices(words(seed))
  }

  static fromTape(tape: readonly number[]): Choices {
    let at = 0
    return new Choices(() => tape[at++] ?? 0)
  }

  /** What was drawn so far: the tape of the same decisions. */
  get tape(): number[] {
    return [...this.#drawn]
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    const value = this.#next() % limit
    this.#drawn.push(value)
    return value
  }

  between(least: number, most: number): number {
    return least + this.below(most - least + 1)
  }

  /** True in so many of a hundred cases; false is the simple one. */
  chance(percent: number): boolean {
    return this.below(100) >= 100 - percent
  }

  pick<T>(options: readonly T[]): T {
    const option = options[this.below(options.length)]
    if (option === undefined) throw new RangeError('nothing to choose from')
    return option
  }

  /** As many options as drawn, at least `least`, in their order. */
  some<T>(options: readonly T[], least: number, most: number): T[] {
    const wanted = this.between(Math.min(least, options.length), Math.min(most, options.length))
    const left = [...options]
    const chosen: T[] = []
    while (chosen.length < wanted) chosen.push(...left.splice(this.below(left.length), 1))
    return chosen
  }
}

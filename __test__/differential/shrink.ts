// Makes a failing case smaller: fewer records, then a simpler query, as long as it fails in the same way.

/** Lists without one of their parts: halves first, single items last. */
function* without<T>(list: readonly T[]): Generator<T[]> {
  for (let size = list.length >> 1 || 1; size >= 1; size >>= 1) {
    for (let at = 0; at + size <= list.length; at += size)
      yield [...list.slice(0, at), ...list.slice(at + size)]
    if (size === 1) return
  }
}

/** Tapes with one number made smaller. */
function* smaller(tape: readonly number[]): Generator<number[]> {
  for (const [at, value] of tape.entries()) {
    for (const less of new Set([0, value >> 1, value - 1])) {
      if (less >= 0 && less < value) yield tape.with(at, less)
    }
  }
}

export interface Budget {
  attempts: number
}

/** The smallest list that still fails, as far as the budget goes; `variants` proposes, the first that fails is next. */
async function reduce<T>(
  list: readonly T[],
  variants: (list: readonly T[]) => Generator<T[]>,
  fails: (list: T[]) => Promise<boolean>,
  budget: Budget,
): Promise<readonly T[]> {
  let best = list
  for (let progress = true; progress;) {
    progress = false
    for (const candidate of variants(best)) {
      if (budget.attempts-- <= 0) return best
      if (!(await fails(candidate))) continue
      best = candidate
      progress = true
      break
    }
  }
  return best
}

export function fewer<T>(
  list: readonly T[],
  fails: (list: T[]) => Promise<boolean>,
  budget: Budget,
): Promise<readonly T[]> {
  return reduce(list, without, fails, budget)
}

export async function simpler(
  tape: readonly number[],
  fails: (tape: number[]) => Promise<boolean>,
  budget: Budget,
): Promise<readonly number[]> {
  const short = await reduce(tape, without, fails, budget)
  return reduce(short, smaller, fails, budget)
}

/**
 * The order in which calls enter the engine.
 *
 * A call is made at once while nobody waits; once one finds no room, it and all after it wait in line, and are
 * tried again at each wake. So rows enter in the order of the calls, whoever awaits what.
 */

import { fromNative } from './errors.js'
import type { KeepAlive } from './keep-alive.js'

interface Waiting {
  /** True when the call was taken, false when there is no room. */
  attempt: () => boolean
  resolve: () => void
  reject: (error: unknown) => void
}

export class Door {
  readonly #keepAlive: KeepAlive
  #line: Waiting[] = []
  #since = 0

  constructor(keepAlive: KeepAlive) {
    this.#keepAlive = keepAlive
  }

  get isBlocked(): boolean {
    return this.#line.length > 0
  }

  /** When the first in line began to wait, by `performance.now()`; undefined when nobody waits. */
  get blockedSince(): number | undefined {
    return this.isBlocked ? this.#since : undefined
  }

  /** Makes the call, now or in its turn. */
  enter(attempt: () => boolean): Promise<void> {
    if (this.isBlocked) return this.wait(attempt)
    try {
      return attempt() ? Promise.resolve() : this.wait(attempt)
    } catch (error) {
      return Promise.reject(fromNative(error))
    }
  }

  /** Stands in line without a first attempt. */
  wait(attempt: () => boolean): Promise<void> {
    if (!this.isBlocked) this.#since = performance.now()
    return new Promise((resolve, reject) => {
      this.#keepAlive.acquire()
      this.#line.push({ attempt, resolve, reject })
    })
  }

  /** Tries those in line until one finds no room. */
  retry(): void {
    while (this.isBlocked) {
      const first = this.#line[0] as Waiting
      try {
        if (!first.attempt()) return
        first.resolve()
      } catch (error) {
        first.reject(fromNative(error))
      }
      // Closed by a call made meanwhile: the line is another one.
      if (this.#line[0] !== first) return
      this.#line.shift()
      this.#since = performance.now()
      this.#keepAlive.release()
    }
  }

  /** Sends everybody away. */
  close(reason: unknown): void {
    const line = this.#line
    this.#line = []
    for (const { reject } of line) {
      this.#keepAlive.release()
      reject(reason)
    }
  }
}

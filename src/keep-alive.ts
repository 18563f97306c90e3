/**
 * Keeps the process alive while something is pending: the addon's own waker never does.
 *
 * All engines of a thread share one timer, which lets the process go while nothing is pending. The first engine makes it:
 * the first timer of a process takes a third of a millisecond, which is not for the first query to wait for.
 */

/** The longest delay that a timer takes. */
const longestMs = 2 ** 31 - 1

let timer: NodeJS.Timeout | undefined
let pending = 0

export class KeepAlive {
  readonly #timer = (timer ??= setInterval(() => {}, longestMs).unref())

  /** From here on the process stays, until as many releases. */
  acquire(): void {
    pending += 1
    if (pending === 1) this.#timer.ref()
  }

  release(): void {
    pending -= 1
    if (pending === 0) this.#timer.unref()
  }
}

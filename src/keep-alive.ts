/** Keeps the process alive while something is pending: the addon's own waker never does. */

/** The longest delay that a timer takes. */
const longestMs = 2 ** 31 - 1

export class KeepAlive {
  #timer: NodeJS.Timeout | undefined
  #count = 0

  /** From here on the process stays, until as many releases. */
  acquire(): void {
    this.#count += 1
    this.#timer ??= setInterval(() => {}, longestMs)
    this.#timer.ref()
  }

  release(): void {
    this.#count -= 1
    if (this.#count > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

// Waiting, which ends when there is no reason for it any more.

/**
 * Wait, but for no longer than until the signal.
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function wait(milliseconds, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done);
  });
}

const MIN_DELAY_MILLISECONDS = 1000;
const MAX_DELAY_MILLISECONDS = 30_000;

/** How long to wait between attempts: twice as long each time, until one of them has held for a second. */
export class Backoff {
  /** How many in a row have not. */
  failures = 0;
  #openedAt = Infinity;

  /** Note that the attempt has got through; which is nothing yet, as a server may end each at once. */
  opened() {
    this.#openedAt = Math.min(this.#openedAt, performance.now());
  }

  /** Note that the attempt is over. */
  closed() {
    if (performance.now() - this.#openedAt >= MIN_DELAY_MILLISECONDS) this.failures = 0;
    this.#openedAt = Infinity;
  }

  /** Milliseconds until the next attempt. @param {number} first what the server asks for, after one that held */
  next(first) {
    const shortest = this.failures === 0 ? first : Math.max(first, MIN_DELAY_MILLISECONDS / 2);
    return Math.min(MAX_DELAY_MILLISECONDS, shortest * 2 ** this.failures++);
  }
}

/** Aborts what it watches, with a reason, unless it is put off in time. */
export class Watchdog {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #controller = new AbortController();
  /** @type {unknown} why it has aborted; undefined if it was the signal from outside */
  reason;

  /** @param {AbortSignal} outside which aborts too */
  constructor(outside) {
    const { signal } = this.#controller;
    if (outside.aborted) this.#controller.abort();
    outside.addEventListener("abort", () => this.#controller.abort(), { once: true, signal });
  }

  get signal() {
    return this.#controller.signal;
  }

  /**
   * Abort after so many seconds without another call of this.
   * @param {number} seconds
   * @param {() => unknown} reason
   */
  within(seconds, reason) {
    clearTimeout(this.#timer);
    if (!Number.isFinite(seconds)) return;
    this.#timer = setTimeout(() => {
      this.reason = reason();
      this.#controller.abort();
    }, 1000 * seconds);
  }

  /** Abort, if that has not happened, and forget the signal from outside. */
  end() {
    clearTimeout(this.#timer);
    this.#controller.abort();
  }
}

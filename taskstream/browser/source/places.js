// The connections of a page that streams may take: of six to a host, a question and Cancel need one each.

/** Places for streams; who gets none is told when one is free. */
export class Places {
  /** @type {Set<object>} */
  #holders = new Set();
  /** @type {Map<object, () => void>} */
  #waiting = new Map();

  /** @param {number} count */
  constructor(count) {
    this.count = count;
  }

  /** Whether it has been told that there is none. @param {object} channel */
  isWaiting(channel) {
    return this.#waiting.has(channel);
  }

  /** Whether one is free for somebody who waits for it. @param {object} channel */
  isFreeFor(channel) {
    return this.isWaiting(channel) && this.#holders.size < this.count;
  }

  /**
   * Take one, if there is one; whether it has been had.
   * @param {object} channel
   * @param {() => void} onFree
   */
  take(channel, onFree) {
    const isTaken = this.#holders.has(channel) || this.#holders.size < this.count;
    if (isTaken) this.#holders.add(channel);
    if (isTaken) this.#waiting.delete(channel);
    else this.#waiting.set(channel, onFree);
    return isTaken;
  }

  /** Give it back, or wait no longer. @param {object} channel */
  leave(channel) {
    this.#waiting.delete(channel);
    if (this.#holders.delete(channel)) for (const onFree of [...this.#waiting.values()]) onFree();
  }
}

/** @type {Promise<unknown>} */
let last = Promise.resolve();

/** A turn on the one connection that is shared by whoever has no place for a stream. */
export class Turn {
  /** @type {(() => void) | null} lets the next one have its turn; null unless this has, or waits for, one */
  #pass = null;

  /** Wait until those before have left theirs, unless this has one. */
  async take() {
    if (this.#pass) return;
    const before = last;
    const left = new Promise((resolve) => (this.#pass = () => resolve(undefined)));
    last = before.then(() => left);
    await before;
  }

  leave() {
    this.#pass?.();
    this.#pass = null;
  }
}

// The connections that streams of an origin may take: of six to a host, a question and Cancel need one each.
// The browser's locks count them for all its pages, and are free again when a page is closed or crashes.

/** Locks of this page alone, where the browser gives it none: over plain HTTP, or in a sandbox. */
class PageLocks {
  /** @type {Map<string, Promise<unknown>>} the last of those who hold each, or wait for it */
  #last = new Map();

  /**
   * As that of `navigator.locks`.
   * @param {string} name
   * @param {LockOptions} how
   * @param {(lock: object | null) => unknown} callback
   */
  async request(name, { ifAvailable, signal }, callback) {
    const before = this.#last.get(name);
    if (before && ifAvailable) return callback(null);
    const held = Promise.resolve(before).then(() => signal?.aborted || callback({ name }));
    this.#last.set(name, held);
    await held;
    if (this.#last.get(name) === held) this.#last.delete(name);
  }
}

const ofPage = new PageLocks();
const ofOrigin = globalThis.navigator?.locks ?? ofPage;

/**
 * Hold the first of these locks that is free, until the signal; whether it has been had before that.
 * @param {string[]} names
 * @param {AbortSignal} until
 * @param {LockOptions} [how] whether to give up if none is free
 * @returns {Promise<boolean>}
 */
export function hold(names, until, { ifAvailable } = {}) {
  return new Promise((resolve) => {
    if (until.aborted) return resolve(false);
    const waiting = new AbortController();
    const left = new Promise((release) => until.addEventListener("abort", release));
    left.then(() => waiting.abort()).then(() => resolve(false));
    const take = (/** @type {object | null} */ lock) => {
      if (waiting.signal.aborted) return; // another one has been had
      resolve(lock !== null);
      waiting.abort();
      return lock && left;
    };
    const how = ifAvailable ? { ifAvailable } : { signal: waiting.signal };
    for (const name of names) {
      const request = ofOrigin.request(`taskstream ${name}`, how, take);
      request.catch((error) => error.name === "AbortError" || ofPage.request(name, how, take));
    }
  });
}

/** A place for a stream: there are two of each kind. */
export class Place {
  /** Whether it has been had; undefined until that is known. @type {boolean | undefined} */
  isHad;
  /** @type {AbortController | null} */
  #wanted = null;
  #names;

  /** @param {"bars" | "output"} kind */
  constructor(kind) {
    this.#names = [`${kind} 1`, `${kind} 2`];
  }

  /** Take one as soon as one is free. @param {() => void} onChange called when `isHad` changes */
  async take(onChange) {
    if (this.#wanted) return;
    const { signal } = (this.#wanted = new AbortController());
    const tell = (/** @type {boolean} */ isHad) => {
      if (signal.aborted) return;
      this.isHad = isHad;
      onChange();
    };
    for (const name of this.#names) if (await hold([name], signal, { ifAvailable: true })) return tell(true);
    tell(false);
    tell(await hold(this.#names, signal));
  }

  /** Give it back, or wait no longer. */
  leave() {
    this.#wanted?.abort();
    this.#wanted = null;
    this.isHad = undefined;
  }
}

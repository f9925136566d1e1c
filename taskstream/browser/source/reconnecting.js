// A stream that is kept up: after a cut, a failure or silence it is asked for again, after longer and longer.

import { TaskSourceError } from "./errors.js";
import { readStream } from "./stream.js";
import { Backoff, wait } from "./waiting.js";

/** @typedef {import("./parser.js").StreamEvent} StreamEvent */

/**
 * @typedef {object} Handlers
 * @property {() => void} onOpen a stream has got through
 * @property {(event: StreamEvent) => void} onEvent
 * @property {() => boolean} isDone whether there is no need for another connection
 * @property {(error: TaskSourceError, failures: number) => void} onTrouble there will be another one
 * @property {(error: TaskSourceError) => void} onFatal there won't
 * @property {() => void} onOver nothing will follow, says the server (204)
 */

export class Reconnecting {
  #cursor = { lastEventId: "", retryMilliseconds: 1000 };
  #backoff = new Backoff();
  /** @type {AbortController | null} ends the stream */
  #running = null;
  /** Ends the time until the next attempt. */
  #waiting = new AbortController();

  /**
   * @param {import("./requests.js").Requests} requests
   * @param {import("./stream.js").Limits} limits
   * @param {Handlers} handlers
   */
  constructor(requests, limits, handlers) {
    this.requests = requests;
    this.limits = limits;
    this.handlers = handlers;
  }

  get isRunning() {
    return this.#running !== null;
  }

  /** Follow this stream instead of the one before. @param {string} url @param {boolean} resume */
  start(url, resume) {
    this.#running?.abort();
    this.#running = new AbortController();
    // A new object: the stream before may still hold the one that was.
    this.#cursor = { ...this.#cursor, ...(resume ? {} : { lastEventId: "" }) };
    this.#follow(url, this.#cursor, this.#running.signal);
  }

  stop() {
    this.#running?.abort();
    this.#running = null;
    this.#backoff = new Backoff();
  }

  /** Try again now, if that was to happen later. */
  hasten() {
    this.#waiting.abort();
  }

  /** @param {string} url @param {import("./stream.js").Cursor} cursor @param {AbortSignal} signal */
  async #follow(url, cursor, signal) {
    while (!signal.aborted) {
      const error = await this.#connect(url, cursor, signal);
      if (signal.aborted) return;
      if (error === null || error.fatal) this.#running = null;
      if (error === null) return;
      if (error.fatal) return this.handlers.onFatal(error);
      this.#backoff.closed();
      this.handlers.onTrouble(error, this.#backoff.failures);
      if (signal.aborted) return;
      this.#waiting = new AbortController();
      const { signal: until } = this.#waiting;
      signal.addEventListener("abort", () => this.hasten(), { once: true, signal: until });
      await wait(this.#delay(error, cursor), until);
      this.hasten(); // which forgets the listener
    }
  }

  /**
   * One connection; what has ended it, or null if there is no need for another.
   * @param {string} url @param {import("./stream.js").Cursor} cursor @param {AbortSignal} signal
   */
  async #connect(url, cursor, signal) {
    const { requests, limits, handlers } = this;
    const onOpen = () => {
      if (signal.aborted) return;
      this.#backoff.opened();
      handlers.onOpen();
    };
    const onEvent = (/** @type {StreamEvent} */ event) => !signal.aborted && handlers.onEvent(event);
    try {
      const over = await readStream(url, { requests, cursor, limits, signal, onOpen, onEvent });
      if (signal.aborted || handlers.isDone()) return null;
      if (!over) return new TaskSourceError("cut", "The server has ended the stream.");
      this.#running = null;
      handlers.onOver();
      return null;
    } catch (error) {
      if (error instanceof TaskSourceError) return handlers.isDone() ? null : error;
      return new TaskSourceError("not-a-stream", "The stream can’t be understood.", { cause: error });
    }
  }

  /**
   * Milliseconds until the next attempt, less up to half of them: not every page at the same moment.
   * @param {TaskSourceError} error @param {import("./stream.js").Cursor} cursor
   */
  #delay({ code, retryAfterSeconds = 0 }, { retryMilliseconds }) {
    const isFirst = this.#backoff.failures === 0;
    const longest = this.#backoff.next(retryMilliseconds);
    if (code === "cut" && isFirst) return longest; // which the server has spread already
    return Math.max(longest * (1 - Math.random() / 2), 1000 * retryAfterSeconds);
  }
}

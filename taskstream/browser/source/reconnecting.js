// A stream that is kept up: after a cut, a failure or silence it is asked for again, after longer and longer.
// Where a proxy holds it back, or the page has no place for it, it is asked for piece by piece.

import { TaskSourceError } from "./errors.js";
import { readStream } from "./stream.js";
import { Backoff, wait } from "./waiting.js";

/** @typedef {import("./address.js").StreamRequest} StreamRequest */
/** @typedef {import("./parser.js").StreamEvent} StreamEvent */

/**
 * @typedef {object} Handlers
 * @property {(isStream: boolean) => void} onOpen a stream has got through, or a piece of it
 * @property {(event: StreamEvent) => void} onEvent
 * @property {() => boolean} isDone whether there is no need for another connection
 * @property {(error: TaskSourceError, failures: number) => void} onTrouble there will be another one
 * @property {(error: TaskSourceError) => void} onFatal there won't
 * @property {() => void} onOver nothing will follow, says the server (204), or none of it is needed
 */

/** How long the server may wait for the first event of a piece; proxies have patience for 30 s and more. */
const WAIT_SECONDS = 10;

/** So many pieces later it is tried again whether a stream gets through. */
const PIECES = 15;

export class Reconnecting {
  #cursor = { lastEventId: "", retryMilliseconds: 1000 };
  #backoff = new Backoff();
  /** @type {AbortController | null} ends the stream */
  #running = null;
  /** Ends the time until the next attempt. */
  #waiting = new AbortController();
  /** How many more pieces to ask for, as streams are held back. */
  #pieces = 0;
  /** Whether it may keep a connection. */
  hasPlace = true;

  /**
   * @param {import("./requests.js").Requests} requests
   * @param {import("./stream.js").Limits & { pollSeconds: number }} limits
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

  /** Whether its connection has got through. */
  get isOpen() {
    return this.#backoff.isOpen;
  }

  /**
   * Follow this stream instead of the one before.
   * @param {() => StreamRequest} request asked for each connection
   * @param {{ resume: boolean, hasPlace: boolean }} how `hasPlace`: whether it may keep a connection
   */
  start(request, { resume, hasPlace }) {
    this.#running?.abort();
    this.#backoff.closed();
    this.#running = new AbortController();
    this.hasPlace = hasPlace;
    // A new object: the stream before may still hold the one that was.
    this.#cursor = { ...this.#cursor, ...(resume ? {} : { lastEventId: "" }) };
    this.#follow(request, this.#cursor, this.#running.signal);
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

  /** @param {() => StreamRequest} request @param {import("./stream.js").Cursor} cursor @param {AbortSignal} signal */
  async #follow(request, cursor, signal) {
    while (!signal.aborted) {
      const outcome = await this.#connect(request(), cursor, signal);
      if (signal.aborted) return;
      if (outcome === "over" || (outcome !== "piece" && outcome.fatal)) this.#running = null;
      if (outcome === "over") return this.handlers.onOver();
      if (outcome === "piece") {
        this.#backoff = new Backoff();
        await this.#pause(1000 * this.limits.pollSeconds, signal);
        continue;
      }
      if (outcome.fatal) return this.handlers.onFatal(outcome);
      this.#backoff.closed();
      this.handlers.onTrouble(outcome, this.#backoff.failures);
      if (!signal.aborted) await this.#pause(this.#delay(outcome, cursor), signal);
    }
  }

  /** @param {number} milliseconds @param {AbortSignal} signal */
  async #pause(milliseconds, signal) {
    this.#waiting = new AbortController();
    const { signal: until } = this.#waiting;
    signal.addEventListener("abort", () => this.hasten(), { once: true, signal: until });
    await wait(milliseconds, until);
    this.hasten(); // which forgets the listener
  }

  /**
   * One connection; what has ended it: an error, the end of a piece, or that there is no need for another.
   * @param {StreamRequest} request @param {import("./stream.js").Cursor} cursor @param {AbortSignal} signal
   * @returns {Promise<TaskSourceError | "piece" | "over">}
   */
  async #connect(request, cursor, signal) {
    const { requests, limits, handlers } = this;
    const waitSeconds = !this.hasPlace ? 0 : this.#pieces > 0 ? WAIT_SECONDS : undefined;
    const isPiece = waitSeconds !== undefined;
    const onOpen = () => {
      if (signal.aborted || this.isOpen) return;
      this.#backoff.opened();
      handlers.onOpen(!isPiece);
    };
    const onEvent = (/** @type {StreamEvent} */ event) => !signal.aborted && handlers.onEvent(event);
    const how = { requests, cursor, limits, waitSeconds, inTurn: !this.hasPlace, signal, onOpen, onEvent };
    try {
      const isOver = await readStream(request, how);
      this.#pieces = Math.max(0, this.#pieces - 1);
      if (isOver || handlers.isDone()) return "over";
      return isPiece ? "piece" : new TaskSourceError("cut", "The server has ended the stream.");
    } catch (error) {
      if (!(error instanceof TaskSourceError)) {
        return new TaskSourceError("not-a-stream", "The stream can’t be understood.", { cause: error });
      }
      if (error.code === "buffered") this.#pieces = isPiece ? 0 : PIECES;
      return handlers.isDone() ? "over" : error;
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

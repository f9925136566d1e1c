// Waiting, which ends when there is no reason for it any more.

import { hold } from "./places.js";

const MAX_TIMER_MILLISECONDS = 2 ** 31 - 1; // a longer one is over at once

/** Call back later; never after more than 24 days. @param {() => void} callback @param {number} milliseconds */
const later = (callback, milliseconds) =>
  milliseconds <= MAX_TIMER_MILLISECONDS ? setTimeout(callback, milliseconds) : undefined;

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
    const timer = later(done, milliseconds);
    signal.addEventListener("abort", done);
  });
}

/**
 * What a promise gives, unless the signal comes first.
 * @template Value
 * @param {Promise<Value>} promise
 * @param {AbortSignal} signal
 * @returns {Promise<Value>}
 */
export function unlessAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    promise.then(resolve, reject);
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

const MIN_DELAY_MILLISECONDS = 1000;
const MAX_DELAY_MILLISECONDS = 30_000;

/** How long to wait between attempts: twice as long each time, until one of them has held for a second. */
export class Backoff {
  /** How many in a row have not. */
  failures = 0;
  #openedAt = Infinity;

  /** Whether the attempt has got through. */
  get isOpen() {
    return this.#openedAt < Infinity;
  }

  /** Note that it has; which is nothing yet, as a server may end each at once. */
  opened() {
    this.#openedAt = performance.now();
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

/** Aborts the request that it watches, with a reason, unless it is put off in time. */
export class Watchdog {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #controller = new AbortController();
  /** @type {AbortController | null} null unless the request has its turn, or waits for it */
  #turn = null;
  #inTurn;
  #seconds;
  #late;
  /** @type {unknown} why it has aborted; undefined if it was the signal from outside */
  reason;

  /**
   * @param {AbortSignal | undefined} outside which aborts too
   * @param {boolean} inTurn whether the request waits for its turn on the connection that is shared
   * @param {number} seconds for the request, which begin with it
   * @param {() => unknown} late the reason with which to abort after them
   */
  constructor(outside, inTurn, seconds, late) {
    this.#inTurn = inTurn;
    this.#seconds = seconds;
    this.#late = late;
    const { signal } = this.#controller;
    signal.addEventListener("abort", () => this.leave());
    if (outside?.aborted) this.#controller.abort();
    outside?.addEventListener("abort", () => this.#controller.abort(), { once: true, signal });
  }

  get signal() {
    return this.#controller.signal;
  }

  /** Wait until it is the request's turn; no time passes until it begins. */
  async take() {
    clearTimeout(this.#timer);
    if (!this.#inTurn || this.#turn) return;
    this.#turn = new AbortController();
    await hold(["turn"], this.#turn.signal);
  }

  /** Let others have their turn. */
  leave() {
    this.#turn?.abort();
    this.#turn = null;
  }

  /** Begin, when it is the request's turn. */
  async begin() {
    await this.take();
    this.within(this.#seconds, this.#late);
  }

  /**
   * Abort after so many seconds without another call of this.
   * @param {number} seconds
   * @param {() => unknown} reason
   */
  within(seconds, reason) {
    clearTimeout(this.#timer);
    this.#timer = later(() => {
      this.reason = reason();
      this.#controller.abort();
    }, 1000 * seconds);
  }

  /** Abort, if that has not happened, and forget the signal from outside. */
  end() {
    clearTimeout(this.#timer);
    this.leave();
    this.#controller.abort();
  }
}

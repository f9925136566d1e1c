// Requests that carry the application's own headers.

import { TaskSourceError, refusal } from "./errors.js";
import { Watchdog, unlessAborted } from "./waiting.js";

const SILENT = "The server does not answer.";

/** How long others wait for their turn while headers are asked for: somebody may have to sign in. */
const PATIENCE_MILLISECONDS = 1000;

/**
 * Headers, or a function that is asked for them before each request; `renew` is true if the server has
 * refused those that it gave before.
 * @typedef {(details: { renew: boolean }) => HeadersInit | Promise<HeadersInit>} AskForHeaders
 * @typedef {HeadersInit | AskForHeaders} HeadersOption
 */

/**
 * The time that a request has, and its turn; no time passes while headers are asked for.
 * @typedef {object} Time
 * @property {AbortSignal} signal
 * @property {() => Promise<void>} take
 * @property {() => void} leave
 * @property {() => Promise<void>} begin
 */

/** @type {WeakMap<Function, Promise<HeadersInit>>} one renewal for all requests that wait for it */
const renewals = new WeakMap();

/** @type {WeakMap<Function, number>} */
const numbers = new WeakMap();
let count = 0;

/** Names and values of what `fetch` takes for headers. @type {(headers: HeadersInit) => [string, string][]} */
const pairsOf = (headers) =>
  Symbol.iterator in Object(headers) ? [.../** @type {any} */ (headers)] : Object.entries(headers);

/**
 * What tells headers apart: functions by what they are, others by what they say.
 * @param {HeadersOption} headers
 */
export function keyOf(headers) {
  if (typeof headers !== "function") return JSON.stringify(pairsOf(headers).sort());
  const number = numbers.get(headers) ?? ++count;
  numbers.set(headers, number);
  return String(number);
}

/** @param {AskForHeaders} headers @param {boolean} renew */
const call = async (headers, renew) => headers({ renew });

/** @param {AskForHeaders} headers */
function renewed(headers) {
  const renewal = renewals.get(headers) ?? call(headers, true).finally(() => renewals.delete(headers));
  renewals.set(headers, renewal);
  return renewal;
}

/**
 * The application's headers, and ours, for a request. Throws a TaskSourceError if they can't be sent.
 * @param {HeadersInit} own
 * @param {Record<string, string>} ours
 */
function allHeaders(own, ours) {
  try {
    const headers = new Headers(own);
    for (const [name, value] of Object.entries(ours)) headers.set(name, value);
    return headers;
  } catch (cause) {
    const { message } = /** @type {TypeError} */ (cause);
    throw new TaskSourceError("refused", `These headers can’t be sent: ${message}`, { cause });
  }
}

/** Asks the server, with headers that are renewed once when it answers 401. */
export class Requests {
  /**
   * @param {HeadersOption} headers
   * @param {RequestCredentials} credentials
   */
  constructor(headers, credentials) {
    this.headers = typeof headers === "function" ? headers : pairsOf(headers);
    this.credentials = credentials;
  }

  /**
   * The answer, of whatever status but 401. Throws a TaskSourceError if there is none.
   * @param {string} url
   * @param {RequestInit & { headers?: Record<string, string> }} init
   * @param {Time} time
   */
  async send(url, init, time) {
    const response = await this.#send(url, init, await this.#ask(false, time), time);
    if (response.status !== 401) return response;
    const refused = await refusal(response);
    if (typeof this.headers !== "function") throw refused;
    const again = await this.#send(url, init, await this.#ask(true, time), time);
    if (again.status === 401) throw await refusal(again);
    return again;
  }

  /**
   * The snapshot that the server answers; to a POST whatever JSON it does, null for none. Throws a
   * TaskSourceError if it doesn't, within so many seconds.
   * @param {string} url
   * @param {number} seconds
   * @param {{ method?: "POST", signal?: AbortSignal, inTurn?: boolean }} [how]
   * @returns {Promise<any>}
   */
  async json(url, seconds, { method, signal, inTurn = false } = {}) {
    const watchdog = new Watchdog(signal, inTurn, seconds, () => new TaskSourceError("unreachable", SILENT));
    try {
      const headers = { Accept: "application/json" };
      const response = await this.send(url, { method, headers }, watchdog);
      if (!response.ok) throw await refusal(response);
      const answer = JSON.parse((await response.text()) || "null");
      if (method !== "POST" && !(answer instanceof Object)) throw new TypeError("Expected a snapshot.");
      return answer;
    } catch (cause) {
      if (watchdog.reason || cause instanceof TaskSourceError) throw watchdog.reason ?? cause;
      throw new TaskSourceError("unavailable", "The answer is not the server’s: is a proxy in between?", {
        cause,
      });
    } finally {
      watchdog.end();
    }
  }

  /**
   * Headers as they are when it is the request's turn, which others may have if that takes long.
   * @param {boolean} renew
   * @param {Time} time
   */
  async #ask(renew, time) {
    const { headers } = this;
    if (typeof headers !== "function") return headers;
    await time.take();
    time.signal.throwIfAborted();
    const timer = setTimeout(() => time.leave(), PATIENCE_MILLISECONDS);
    try {
      return await unlessAborted(renew ? renewed(headers) : call(headers, false), time.signal);
    } catch (cause) {
      if (renew && time.signal.aborted) renewals.delete(headers); // it may never come: the next asks anew
      throw new TaskSourceError("unavailable", "The headers of the request could not be had.", { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * @param {string} url
   * @param {RequestInit & { headers?: Record<string, string> }} init
   * @param {HeadersInit} own
   * @param {Time} time
   */
  async #send(url, init, own, time) {
    await time.begin();
    const { credentials } = this;
    const { signal } = time;
    const headers = allHeaders(own ?? {}, init.headers ?? {});
    try {
      return await fetch(url, { cache: "no-store", credentials, ...init, headers, signal });
    } catch (cause) {
      signal.throwIfAborted();
      throw new TaskSourceError("unreachable", "The server can’t be reached.", { cause });
    }
  }
}

// Requests that carry the application's own headers.

import { TaskSourceError, refusal } from "./errors.js";

/** @typedef {Record<string, string>} HeadersObject */

/**
 * Headers, or a function that is asked for them before each request; `renew` is true if the server has
 * refused those that it gave before.
 * @typedef {(details: { renew: boolean }) => HeadersObject | Promise<HeadersObject>} AskForHeaders
 * @typedef {HeadersObject | AskForHeaders} HeadersOption
 */

/** @type {WeakMap<Function, number>} */
const numbers = new WeakMap();
let count = 0;

/**
 * What tells headers apart: functions by what they are, objects by what they say.
 * @param {HeadersOption} headers
 */
export function keyOf(headers) {
  if (typeof headers !== "function") return JSON.stringify(Object.entries(headers).sort());
  const number = numbers.get(headers) ?? ++count;
  numbers.set(headers, number);
  return String(number);
}

/** Asks the server, with headers that are renewed once when it answers 401. */
export class Requests {
  /** @type {Promise<HeadersObject> | null} one renewal for all requests that wait for it */
  #renewal = null;

  /**
   * @param {HeadersOption} headers
   * @param {RequestCredentials} credentials
   */
  constructor(headers, credentials) {
    this.headers = typeof headers === "function" ? headers : { ...headers };
    this.credentials = credentials;
  }

  /**
   * The answer, of whatever status but 401. Throws a TaskSourceError if there is none.
   * @param {string} url
   * @param {RequestInit & { headers?: HeadersObject }} init
   */
  async send(url, init) {
    const response = await this.#send(url, init, await this.#ask(false));
    if (response.status !== 401) return response;
    const refused = await refusal(response);
    if (typeof this.headers !== "function") throw refused;
    this.#renewal ??= this.#ask(true).finally(() => (this.#renewal = null));
    const again = await this.#send(url, init, await this.#renewal);
    if (again.status === 401) throw await refusal(again);
    return again;
  }

  /**
   * The JSON that the server answers. Throws a TaskSourceError if it doesn't.
   * @param {string} url
   * @param {RequestInit & { headers?: HeadersObject }} init
   * @returns {Promise<any>}
   */
  async json(url, init) {
    const response = await this.send(url, { ...init, headers: { Accept: "application/json" } });
    if (!response.ok) throw await refusal(response);
    try {
      return await response.json();
    } catch (cause) {
      init.signal?.throwIfAborted();
      throw new TaskSourceError("unavailable", "The answer is not the server’s: is a proxy in between?", {
        cause,
      });
    }
  }

  /** @param {boolean} renew */
  async #ask(renew) {
    if (typeof this.headers !== "function") return this.headers;
    try {
      return await this.headers({ renew });
    } catch (cause) {
      throw new TaskSourceError("unavailable", "The headers of the request could not be had.", { cause });
    }
  }

  /**
   * @type {(url: string, init: RequestInit & { headers?: HeadersObject }, own: HeadersObject) => Promise<Response>}
   */
  async #send(url, init, own) {
    const { credentials } = this;
    try {
      return await fetch(url, {
        cache: "no-store",
        credentials,
        ...init,
        headers: { ...own, ...init.headers },
      });
    } catch (cause) {
      init.signal?.throwIfAborted();
      throw new TaskSourceError("unreachable", "The server can’t be reached.", { cause });
    }
  }
}

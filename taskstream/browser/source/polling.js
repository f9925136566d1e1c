// Asking for the status of tasks, one after the other, while there is no stream or nobody looks.

import { TaskSourceError } from "./errors.js";
import { hasEnded } from "./snapshot.js";
import { wait } from "./waiting.js";

/** @typedef {import("./snapshot.js").Snapshot} Snapshot */

const TIMEOUT_SECONDS = 10;
const MAX_DELAY_MILLISECONDS = 30_000;

/**
 * @typedef {object} Handlers
 * @property {(id: string, snapshot: Snapshot) => void} onSnapshot
 * @property {(id: string, error: TaskSourceError) => void} onError of all tasks, unless it is "not-found"
 */

export class Polling {
  /** @type {AbortController | null} */
  #running = null;
  #seconds = 0;

  /**
   * @param {import("./requests.js").Requests} requests
   * @param {ReadonlyMap<string, import("./channel.js").Task>} tasks which may come and go meanwhile
   * @param {Handlers} handlers
   */
  constructor(requests, tasks, handlers) {
    this.requests = requests;
    this.tasks = tasks;
    this.handlers = handlers;
  }

  /**
   * Ask every so many seconds, unless that is being done, or more often.
   * @param {number} seconds
   * @param {number} firstSeconds
   */
  start(seconds, firstSeconds) {
    if (this.#running && this.#seconds <= seconds) return;
    this.stop();
    this.#seconds = seconds;
    this.#running = new AbortController();
    this.#run(seconds, firstSeconds, this.#running.signal);
  }

  stop() {
    this.#running?.abort();
    this.#running = null;
  }

  /** @param {number} seconds @param {number} firstSeconds @param {AbortSignal} signal */
  async #run(seconds, firstSeconds, signal) {
    let failures = 0;
    await wait(1000 * firstSeconds, signal);
    while (!signal.aborted) {
      failures = (await this.#askForAll(signal)) ? 0 : failures + 1;
      const longer = Math.min(MAX_DELAY_MILLISECONDS, 1000 * seconds * 2 ** failures);
      await wait(Math.max(1000 * seconds, longer), signal);
    }
  }

  /** Whether there were answers. @param {AbortSignal} signal */
  async #askForAll(signal) {
    for (const [id, { address, snapshot }] of this.tasks) {
      if (hasEnded(snapshot)) continue;
      /** @type {Snapshot | TaskSourceError} */
      const answer = await this.requests
        .json(address.status, TIMEOUT_SECONDS, { signal, inTurn: true })
        .catch((error) => error);
      if (signal.aborted) return true;
      if (!(answer instanceof TaskSourceError)) {
        this.handlers.onSnapshot(id, answer);
        continue;
      }
      this.handlers.onError(id, answer);
      if (answer.code !== "not-found") return false;
    }
    return true;
  }
}

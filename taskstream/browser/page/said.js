// Whether a task has said anything: the stream that the cards share leaves output out.

import { Requests } from "../source/requests.js";
import { readStream } from "../source/stream.js";

const requests = new Requests({}, "same-origin");
const limits = { firstByteSeconds: 5, muteSeconds: 45 };

export class Said {
  #cursor = { lastEventId: "", retryMilliseconds: 1000 };

  /** @param {string} address of the task */
  constructor(address) {
    this.request = { url: `${address}/stream` };
  }

  /** Whether it has since the last time; null if the server can't tell at the moment. */
  async ask() {
    const found = new AbortController();
    const onEvent = (/** @type {import("../source/parser.js").StreamEvent} */ { type }) => {
      if (type === "output") found.abort();
    };
    const how = { requests, limits, cursor: this.#cursor, waitSeconds: 0, inTurn: true, signal: found.signal };
    const reading = readStream(this.request, { ...how, onEvent, onOpen: () => undefined });
    const error = await reading.then(() => null, (error) => error);
    if (found.signal.aborted) return true;
    return error && !error.fatal ? null : false;
  }
}

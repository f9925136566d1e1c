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

  /** Whether it has since the last time, as far as the server can tell. */
  async ask() {
    const found = new AbortController();
    const onEvent = (/** @type {import("../source/parser.js").StreamEvent} */ { type }) => {
      if (type === "output") found.abort();
    };
    const how = { requests, limits, cursor: this.#cursor, waitSeconds: 0, inTurn: true, signal: found.signal };
    await readStream(this.request, { ...how, onEvent, onOpen: () => undefined }).catch(() => undefined);
    return found.signal.aborted;
  }
}

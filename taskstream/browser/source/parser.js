// The parser of the WHATWG's event streams, from bytes to events.
// https://html.spec.whatwg.org/multipage/server-sent-events.html

/**
 * One event, in the standard's words.
 * @typedef {{ type: string, data: string, lastEventId: string }} StreamEvent
 */

const LINE_END = /\r\n|\r|\n/;

/** A day: the standard sets no limit, but a timer can't count further than to 2^31. */
const MAX_RETRY_MILLISECONDS = 86_400_000;

/** An endless event must not fill the memory: the standard sets no limit to this either. */
const MAX_EVENT_BYTES = 16 * 1024 * 1024;

/** Makes events of bytes, wherever they are split. One that is incomplete at the end is discarded. */
export class Parser {
  /** @type {number | null} what the last `retry` field has asked for */
  retryMilliseconds = null;

  // It drops one leading BOM, and makes U+FFFD of what is not UTF-8: the standard's "UTF-8 decode".
  #decoder = new TextDecoder();
  #line = "";
  #afterCarriageReturn = false;
  #eventBytes = 0;
  #id;
  #type = "";
  /** @type {string[]} */
  #data = [];

  /** @param {string} [lastEventId] */
  constructor(lastEventId = "") {
    this.lastEventId = lastEventId;
    this.#id = lastEventId;
  }

  /**
   * The events that are complete with this chunk. Throws a RangeError for one that is too large.
   * @param {Uint8Array} chunk
   * @returns {StreamEvent[]}
   */
  feed(chunk) {
    this.#eventBytes += chunk.length;
    /** @type {StreamEvent[]} */
    const events = [];
    for (const line of this.#lines(this.#decoder.decode(chunk, { stream: true }))) {
      if (line === "") this.#dispatch(events);
      else this.#parse(line);
    }
    if (this.#eventBytes > MAX_EVENT_BYTES) {
      throw new RangeError(`Expected events of at most ${MAX_EVENT_BYTES} bytes, got more.`);
    }
    return events;
  }

  /**
   * The lines that are complete with this text; each is there with the first character of its end.
   * @param {string} text
   */
  #lines(text) {
    if (text === "") return [];
    // A CR LF that was split in two: the CR has ended the line.
    const rest = this.#afterCarriageReturn && text.startsWith("\n") ? text.slice(1) : text;
    this.#afterCarriageReturn = rest === "" ? false : rest.endsWith("\r");
    const lines = (this.#line + rest).split(LINE_END);
    this.#line = /** @type {string} */ (lines.pop());
    return lines;
  }

  /** @param {string} line */
  #parse(line) {
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#type = value;
    if (field === "data") this.#data.push(value);
    if (field === "id" && !value.includes("\0")) this.#id = value;
    if (field === "retry" && /^[0-9]+$/.test(value)) {
      this.retryMilliseconds = Math.min(Number(value), MAX_RETRY_MILLISECONDS);
    }
  }

  /** @param {StreamEvent[]} events */
  #dispatch(events) {
    this.#eventBytes = 0;
    this.lastEventId = this.#id; // even without data: an id alone moves the cursor
    if (this.#data.length > 0) {
      const type = this.#type || "message";
      events.push({ type, data: this.#data.join("\n"), lastEventId: this.lastEventId });
    }
    this.#type = "";
    this.#data = [];
  }
}

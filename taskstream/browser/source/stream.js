// One connection: from the request to what has ended it.

import { withQuery } from "./address.js";
import { TaskSourceError, refusal } from "./errors.js";
import { mimeType } from "./mime-type.js";
import { Parser } from "./parser.js";
import { Watchdog } from "./waiting.js";

/** @typedef {import("./parser.js").StreamEvent} StreamEvent */

/**
 * How far one has come in a stream; it outlives the connections.
 * @typedef {{ lastEventId: string, retryMilliseconds: number }} Cursor
 */

/**
 * How long to wait for bytes.
 * @typedef {object} Limits
 * @property {number} firstByteSeconds after the request: a proxy that buffers holds even the head back
 * @property {number} muteSeconds after the last byte: the server sends a heartbeat three times as often
 */

/** What to say of a stream, or of an answer, of which nothing comes. */
export const heldBack = () => new TaskSourceError("buffered", BUFFERED);

const MIME_TYPE = "text/event-stream";
const BUFFERED = "No stream gets through: a proxy holds it back.";
const MUTE = "The connection has gone silent.";

/**
 * Read a stream until it ends; whether that was the end for good (204). Throws a TaskSourceError.
 *
 * With `waitSeconds` it ends with the first events, or after so many seconds without: proxies that hand over
 * only what is finished let such an answer through.
 * @param {import("./address.js").StreamRequest} request
 * @param {object} how
 * @param {import("./requests.js").Requests} how.requests
 * @param {Cursor} how.cursor
 * @param {Limits} how.limits
 * @param {number} [how.waitSeconds]
 * @param {boolean} how.inTurn
 * @param {AbortSignal} how.signal
 * @param {() => void} how.onOpen called with the first byte, or with the head of an answer
 * @param {(event: StreamEvent) => void} how.onEvent
 */
export async function readStream(request, how) {
  const { requests, cursor, limits, waitSeconds, inTurn, signal, onOpen, onEvent } = how;
  const watchdog = new Watchdog(signal, inTurn, limits.firstByteSeconds + (waitSeconds ?? 0), heldBack);
  const isAnswer = waitSeconds !== undefined;
  let hasBegun = false;
  try {
    const { url, headers } = addressed(request, cursor, waitSeconds);
    const response = await requests.send(url, { ...request, headers }, watchdog);
    if (response.status === 204) return true;
    await check(response);
    if (isAnswer) onOpen(); // it may be empty
    const heard = () => {
      hasBegun = true;
      if (!isAnswer) watchdog.within(limits.muteSeconds, () => new TaskSourceError("mute", MUTE));
      onOpen();
    };
    for await (const events of eventsOf(response, cursor, heard)) events.forEach(onEvent);
    return false;
  } catch (error) {
    if (isAnswer && hasBegun && watchdog.reason) return false; // of a server that doesn't know `wait`
    throw watchdog.reason ?? error;
  } finally {
    watchdog.end();
  }
}

/**
 * The address with its query, and the headers: for another origin only those that need no preflight.
 * @param {import("./address.js").StreamRequest} request @param {Cursor} cursor @param {number} [waitSeconds]
 */
function addressed({ url, body }, { lastEventId }, waitSeconds) {
  /** @type {Record<string, string>} */
  const headers = { Accept: MIME_TYPE };
  const parameters = waitSeconds === undefined ? [] : [["wait", String(waitSeconds)]];
  const isForeign = globalThis.origin && new URL(url, globalThis.location?.href).origin !== globalThis.origin;
  if (body && !isForeign) headers["Content-Type"] = "application/json";
  // A header is bytes; fetch takes one character for each.
  const inBytes = String.fromCharCode(...new TextEncoder().encode(lastEventId));
  if (lastEventId && isForeign) parameters.push(["last_event_id", lastEventId]);
  else if (lastEventId) headers["Last-Event-ID"] = inBytes;
  return { url: parameters.length > 0 ? withQuery(url, parameters) : url, headers };
}

/** @param {Response} response */
async function check(response) {
  if (response.status !== 200) throw await refusal(response);
  const type = mimeType(response);
  if (type === MIME_TYPE) return;
  throw new TaskSourceError(
    "not-a-stream",
    `The answer is no stream but ${type || "of no type"}: is a proxy in between?`,
  );
}

/**
 * The events of each chunk; the cursor moves with them.
 * @param {Response} response
 * @param {Cursor} cursor
 * @param {() => void} onChunk
 */
async function* eventsOf(response, cursor, onChunk) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const parser = new Parser(cursor.lastEventId);
  for (;;) {
    const { done, value } = await reader.read().catch((cause) => {
      throw new TaskSourceError("cut", "The connection was lost.", { cause });
    });
    if (done) return;
    onChunk();
    const events = parser.feed(value);
    cursor.retryMilliseconds = parser.retryMilliseconds ?? cursor.retryMilliseconds;
    yield events;
    cursor.lastEventId = parser.lastEventId; // not before: what was not handed over has to come again
  }
}

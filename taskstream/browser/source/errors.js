// What a source reports when it can't go on, or can't go on for now.

import { mimeType } from "./mime-type.js";

/** Whoever is sent away for longer comes back after this all the same. */
const MAX_RETRY_AFTER_SECONDS = 300;

/** A failure in words for people. */
export class TaskSourceError extends Error {
  /**
   * @param {"not-found" | "unauthorized" | "refused" | "unreachable" | "unavailable" | "not-a-stream"
   *   | "mute" | "buffered" | "cut"} code
   * @param {string} message one sentence
   * @param {object} [details]
   * @param {number} [details.status] the HTTP status, if there was an answer
   * @param {number} [details.retryAfterSeconds] when the server wants to be asked again
   * @param {unknown} [details.cause]
   */
  constructor(code, message, { status, retryAfterSeconds, cause } = {}) {
    super(message, { cause });
    this.name = "TaskSourceError";
    this.code = code;
    /** @type {string | undefined} the task that it is about */
    this.taskId = undefined;
    this.status = status;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  /** Whether asking again is of no use. */
  get fatal() {
    return ["not-found", "unauthorized", "refused"].includes(this.code);
  }
}

const NOT_FOUND =
  "The server does not know this task: it has never existed, or was forgotten after it ended.";

/** For a task that is not known, in the server's words if it has some. @param {string | null} [detail] */
export function notFound(detail) {
  const words = detail && detail !== "Not Found" ? detail : NOT_FOUND; // which is said where no route is
  return new TaskSourceError("not-found", words, { status: 404 });
}

/**
 * What an answer that is no success means. Its connection is free afterwards.
 * @param {Response} response
 */
export async function refusal(response) {
  const { status } = response;
  const detail = await readDetail(response);
  const seconds = Number(response.headers.get("Retry-After")) || 0; // a date is as good as nothing
  const details = { status, retryAfterSeconds: Math.min(seconds, MAX_RETRY_AFTER_SECONDS) };
  if (status === 404) return notFound(detail);
  if (status === 401) {
    return new TaskSourceError("unauthorized", "The server wants to know who asks: sign in again.", details);
  }
  if (status === 408 || status === 429 || status >= 500) {
    const words = detail ?? `The server is not available at the moment (${status}).`;
    return new TaskSourceError("unavailable", words, details);
  }
  return new TaskSourceError("refused", detail ?? `The server refuses this request (${status}).`, details);
}

/** The sentence in an answer of the server's own; others come from a proxy. @param {Response} response */
async function readDetail(response) {
  if (mimeType(response) !== "application/json") {
    await response.body?.cancel().catch(() => undefined); // or its connection would stay taken
    return null;
  }
  const detail = await response.json().then(
    ({ detail }) => detail,
    () => null,
  );
  return typeof detail === "string" ? detail : null;
}

// Requests to the server, which answers in JSON, or says in one sentence why not.

/** What is wrong when there is no answer at all. */
export const UNREACHABLE = "The server can’t be reached: is it running?";

/**
 * The answer to a request. Throws an Error whose message is for people.
 * @param {string} url
 * @param {RequestInit} [init]
 * @returns {Promise<any>}
 */
export async function ask(url, init) {
  let response;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(30_000), ...init });
  } catch {
    throw new Error(UNREACHABLE);
  }
  const answer = await response.json().catch(() => null); // a proxy answers in HTML
  if (response.ok && answer) return answer;
  if (response.ok) throw new Error("The answer is not the server’s: is it time to sign in again?");
  const detail = answer?.detail;
  if (Array.isArray(detail?.[0]?.loc)) throw new Error(inWords(detail[0]));
  throw new Error(typeof detail === "string" ? detail : `The server answered ${response.status}: try again.`);
}

/**
 * An error in one field, whose path is written as the server does: `items.0`.
 * @param {{ loc: (string | number)[], msg: string }} error
 */
function inWords({ loc, msg }) {
  const [, ...path] = loc;
  return path.length > 0 ? `${path.join(".")}: ${msg}.` : `${msg}.`;
}

/** @param {string} url @param {string} body JSON */
export function post(url, body) {
  const headers = { "Content-Type": "application/json" };
  return ask(url, { method: "POST", headers, body });
}

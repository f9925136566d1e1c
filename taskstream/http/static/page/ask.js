// Requests to the server, which answers in JSON, or says in one sentence why not.

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
    throw new Error("The server can’t be reached: is it running?");
  }
  const answer = await response.json().catch(() => null); // a proxy answers in HTML
  if (response.ok && answer) return answer;
  const detail = answer?.detail;
  if (Array.isArray(detail)) throw new Error(`${detail[0].loc.at(-1)}: ${detail[0].msg}.`);
  throw new Error(typeof detail === "string" ? detail : `The server answered ${response.status}: try again.`);
}

/** @param {string} url @param {object} body */
export function post(url, body) {
  const headers = { "Content-Type": "application/json" };
  return ask(url, { method: "POST", headers, body: JSON.stringify(body) });
}

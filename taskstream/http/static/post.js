// POST to the server, which answers in JSON, or says in one sentence why not.

/** Returns the answer. Throws an Error whose message is for people. */
export async function post(url, body) {
  const headers = { "Content-Type": "application/json" };
  const signal = AbortSignal.timeout(30_000);
  let response;
  try {
    response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body), signal });
  } catch {
    throw new Error("The server can’t be reached: is it running?");
  }
  const answer = await response.json().catch(() => null); // a proxy answers in HTML
  if (response.ok && answer) return answer;
  const detail = answer?.detail;
  if (Array.isArray(detail)) throw new Error(`${detail[0].loc.at(-1)}: ${detail[0].msg}.`);
  throw new Error(typeof detail === "string" ? detail : `The server answered ${response.status}: try again.`);
}

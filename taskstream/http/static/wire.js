// The pane "On the wire": the bytes of one task's stream as they arrive, read with fetch. It reconnects
// as EventSource does: after the delay that `retry:` asked for, with the last id that it has seen.

const KEPT_CHARACTERS = 64 * 1024;
const SHOWN_HEADERS = ["content-type", "cache-control", "x-accel-buffering", "retry-after"];
const FIELD = /^(id:|retry:|event:|data:|:)/m;
const REARRANGING = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g; // marks that turn text around

const pane = document.getElementById("wire");
const heading = document.getElementById("wire-heading");
const bytes = document.getElementById("wire-bytes");
const cutButton = document.getElementById("wire-cut");

export class Wire {
  #url = "";
  #lastEventId = "";
  #retryMilliseconds = 1000;
  #failures = 0;
  #ended = true;
  /** @type {HTMLElement | null} */
  #opener = null;
  /** Ends a connection and all that would follow. */
  #stopped = new AbortController();
  /** Ends a connection only. */
  #cut = new AbortController();

  constructor() {
    cutButton.addEventListener("click", () => this.#cut.abort());
    document.getElementById("wire-close").addEventListener("click", () => this.close());
  }

  open(card, opener) {
    this.#stopped.abort();
    this.#url = `task-progress/${encodeURIComponent(card.id)}`;
    this.#lastEventId = "";
    this.#ended = false;
    this.#opener = opener;
    document.getElementById("wire-name").textContent = card.name;
    bytes.replaceChildren();
    pane.hidden = false;
    heading.focus();
    this.resume();
  }

  close() {
    this.#stopped.abort();
    this.#ended = true;
    pane.hidden = true;
    this.#opener.focus();
  }

  /** Let go of the connection, because nobody can see the pane. */
  pause() {
    if (this.#ended || this.#stopped.signal.aborted) return;
    this.#stopped.abort();
    print("note", "Paused while this tab is hidden.");
  }

  /** Connect, again and again, until the end. */
  async resume() {
    if (this.#ended || !this.#stopped.signal.aborted) return;
    this.#stopped = new AbortController();
    this.#failures = 0;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      const what = await this.#connect(signal);
      if (signal.aborted) return;
      cutButton.ariaDisabled = "true";
      if (this.#ended) return print("note", what);
      const milliseconds = Math.min(30_000, this.#retryMilliseconds * 2 ** this.#failures++);
      print("note", `${what} Reconnecting after ${(milliseconds / 1000).toFixed(1)} s.`);
      await delay(milliseconds, signal);
    }
  }

  /** One connection, from the request on; what has ended it, in a sentence. */
  async #connect(stopped) {
    this.#cut = new AbortController();
    const signal = AbortSignal.any([stopped, this.#cut.signal]);
    const headers = { Accept: "text/event-stream" };
    if (this.#lastEventId) headers["Last-Event-ID"] = this.#lastEventId;
    print("request", `GET ${new URL(this.#url, location.href).pathname}\n${lines(Object.entries(headers))}`);
    cutButton.ariaDisabled = "false";
    try {
      const response = await fetch(this.#url, { headers, signal, cache: "no-store" });
      const shown = [...response.headers].filter(([name]) => SHOWN_HEADERS.includes(name));
      print("response", `${response.status} ${response.statusText}\n${lines(shown)}`);
      if (response.status === 200) {
        this.#failures = 0;
        return await this.#read(response);
      }
      print("bytes", await response.text());
      return this.#explain(response.status);
    } catch {
      return this.#cut.signal.aborted ? "You cut the connection." : "The connection was lost.";
    }
  }

  async #read(response) {
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    let id = this.#lastEventId;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return "The server has ended the stream.";
      const text = decoder.decode(value, { stream: true });
      print("bytes", text);
      const complete = (rest + text).split("\n");
      rest = complete.pop();
      for (const line of complete) {
        if (line.startsWith("id: ")) id = line.slice(4);
        if (line.startsWith("retry: ")) this.#retryMilliseconds = Number(line.slice(7));
        if (line === "") this.#lastEventId = id; // not before: a cut event has to come again
      }
    }
  }

  /** What an answer without a stream means. */
  #explain(status) {
    if (status >= 500) return "EventSource would give up for good: a page has to open a new one.";
    this.#ended = true;
    if (status === 204) return "204: nothing follows the event with this id. EventSource stops for good.";
    return "The server does not know this task (any more). EventSource stops for good.";
  }
}

const lines = (headers) => headers.map(([name, value]) => `${name}: ${value}\n`).join("");

/** Wait, but not for longer than until the signal. */
function delay(milliseconds, signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", resolve);
  });
}

/** Remove so many characters from the top of the pane, if the number is positive. */
function forget(excess) {
  while (excess > 0) {
    const oldest = bytes.firstChild;
    const { length } = oldest.textContent;
    if (length > excess) oldest.textContent = oldest.textContent.slice(excess);
    else oldest.remove();
    excess -= length;
  }
}

/** Append to the pane, and keep its end in sight unless the reader has scrolled up. */
function print(kind, text) {
  const following = bytes.scrollHeight - bytes.scrollTop - bytes.clientHeight < 40;
  const parts = kind === "bytes" ? text.split(FIELD) : [text];
  parts.forEach((part, index) => {
    const span = document.createElement("span");
    span.className = index % 2 ? "field" : kind;
    span.textContent = part.replace(REARRANGING, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, 0)}`);
    bytes.append(span);
  });
  forget(bytes.textContent.length - KEPT_CHARACTERS);
  if (following) bytes.scrollTop = bytes.scrollHeight;
}

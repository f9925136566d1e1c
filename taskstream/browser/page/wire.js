// The pane "On the wire": the bytes of one task's stream as they arrive, read with fetch. It reconnects
// as EventSource does: after the delay that `retry:` asked for, with the last id that it has seen.

import { isHidden, onChange } from "../source/page-life.js";
import { Backoff, wait } from "../source/waiting.js";
import { Bytes } from "./bytes.js";

/** @typedef {import("./card.js").Card} Card */

const SHOWN_HEADERS = ["content-type", "cache-control", "x-accel-buffering", "retry-after"];

/** Where the pane is beside the list; elsewhere it opens under its card. */
const beside = matchMedia("(min-width: 60rem)");

export class Wire {
  /** @type {Card | null} whose stream is shown */
  card = null;

  #url = "";
  #lastEventId = "";
  #retryMilliseconds = 1000;
  #backoff = new Backoff();
  #ended = true;
  /** @type {HTMLElement | null} */
  #opener = null;
  /** Ends a connection and all that would follow. */
  #stopped = new AbortController();
  /** Ends a connection only. */
  #cut = new AbortController();
  #bytes;

  /** @param {HTMLElement} pane */
  constructor(pane) {
    this.pane = pane;
    this.home = /** @type {HTMLElement} */ (pane.parentElement);
    this.#bytes = new Bytes(this.#find("wire-bytes"));
    this.#find("wire-cut").addEventListener("click", () => this.#cutByHand());
    this.#find("wire-close").addEventListener("click", () => this.close());
    beside.addEventListener("change", () => this.#place());
    onChange(() => (isHidden() ? this.#pause() : this.#resume()));
  }

  /** @param {Card} card @param {HTMLElement} opener */
  open(card, opener) {
    this.card?.mark(false);
    this.#stopped.abort();
    this.#url = `task-progress/${encodeURIComponent(card.id)}`;
    this.#lastEventId = "";
    this.#ended = false;
    this.#opener = opener;
    this.card = card;
    card.mark(true);
    this.#find("wire-name").textContent = card.name;
    this.#bytes.clear();
    this.pane.hidden = false;
    this.#place();
    this.#find("wire-heading").focus({ preventScroll: true });
    this.pane.scrollIntoView({ block: "nearest" });
    this.#resume();
  }

  close() {
    this.#stopped.abort();
    this.#ended = true;
    this.card?.mark(false);
    this.card = null;
    this.pane.hidden = true;
    this.home.append(this.pane); // its card may go
    this.#opener?.focus();
  }

  /** @param {string} id */
  #find(id) {
    return /** @type {HTMLElement} */ (this.pane.querySelector(`#${id}`));
  }

  /** Beside the list, or under its card. */
  #place() {
    (beside.matches ? this.home : (this.card?.element ?? this.home)).append(this.pane);
  }

  #cutByHand() {
    this.#cut.abort();
    this.#bytes.showEnd();
  }

  /** Let go of the connection, because nobody can see the pane. */
  #pause() {
    if (this.#ended || this.#stopped.signal.aborted) return;
    this.#stopped.abort();
    this.#bytes.print("note", "Paused while this tab is hidden.");
  }

  /** Connect, again and again, until the end. */
  async #resume() {
    if (this.#ended || !this.#stopped.signal.aborted) return;
    this.#stopped = new AbortController();
    this.#backoff = new Backoff();
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      const what = await this.#connect(signal);
      if (signal.aborted) return;
      this.#find("wire-cut").ariaDisabled = "true";
      if (this.#ended) return this.#bytes.print("note", what);
      this.#backoff.closed();
      const milliseconds = this.#backoff.next(this.#retryMilliseconds);
      this.#bytes.print("note", `${what} Reconnecting after ${(milliseconds / 1000).toFixed(1)} s.`);
      await wait(milliseconds, signal);
    }
  }

  /** One connection, from the request on; what has ended it, in a sentence. @param {AbortSignal} stopped */
  async #connect(stopped) {
    this.#cut = new AbortController();
    const signal = AbortSignal.any([stopped, this.#cut.signal]);
    /** @type {Record<string, string>} */
    const headers = { Accept: "text/event-stream" };
    if (this.#lastEventId) headers["Last-Event-ID"] = this.#lastEventId;
    const path = new URL(this.#url, location.href).pathname;
    this.#bytes.print("request", `GET ${path}\n${lines(Object.entries(headers))}`);
    this.#find("wire-cut").ariaDisabled = "false";
    try {
      const response = await fetch(this.#url, { headers, signal, cache: "no-store" });
      const shown = [...response.headers].filter(([name]) => SHOWN_HEADERS.includes(name));
      this.#bytes.print("response", `${response.status} ${response.statusText}\n${lines(shown)}`);
      if (response.status === 200) {
        this.#backoff.opened();
        return await this.#read(response);
      }
      this.#bytes.print("bytes", await response.text());
      return this.#explain(response.status);
    } catch {
      return this.#cut.signal.aborted ? "You cut the connection." : "The connection was lost.";
    }
  }

  /** @param {Response} response */
  async #read(response) {
    const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
    const decoder = new TextDecoder();
    let rest = "";
    let id = this.#lastEventId;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return "The server has ended the stream.";
      const text = decoder.decode(value, { stream: true });
      this.#bytes.print("bytes", text);
      const complete = (rest + text).split("\n");
      rest = complete.pop() ?? "";
      for (const line of complete) {
        if (line.startsWith("id: ")) id = line.slice(4);
        if (/^retry: [0-9]+$/.test(line)) this.#retryMilliseconds = Number(line.slice(7));
        if (line === "") this.#lastEventId = id; // not before: a cut event has to come again
      }
    }
  }

  /** What an answer without a stream means. @param {number} status */
  #explain(status) {
    if (status >= 500) return "EventSource would give up for good: a page has to open a new one.";
    this.#ended = true;
    if (status === 204) return "204: nothing follows the event with this id. EventSource stops for good.";
    if (status !== 404) return `${status}: the server refuses this request. EventSource stops for good.`;
    return "The server does not know this task (any more). EventSource stops for good.";
  }
}

/** @param {[string, string][]} headers */
const lines = (headers) => headers.map(([name, value]) => `${name}: ${value}\n`).join("");

// The hook for React: const { snapshot, output, state, problem, error, cancel } = useTask(url, options)

import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { keyOf } from "./source/requests.js";
import { TaskSource, TaskSourceError } from "./task-source.js";

export { TaskSourceError };

/** @typedef {import("./task-source.js").Snapshot} Snapshot */
/** @typedef {import("./task-source.js").TaskSourceOptions} TaskSourceOptions */
/** @typedef {Extract<TaskSourceOptions["headers"], Function>} AskForHeaders */

/**
 * What a component shows.
 * @typedef {object} TaskView
 * @property {Snapshot | null} snapshot the latest
 * @property {string} output all text so far; empty without the option `output`
 * @property {import("./source/events.js").State | "idle"} state "idle" without an address
 * @property {string} problem what is wrong, in a sentence; empty if nothing is
 * @property {TaskSourceError | null} error why nothing more will come
 */

/** @type {TaskView} */
const IDLE = Object.freeze({ snapshot: null, output: "", state: "idle", problem: "", error: null });
/** @type {TaskView} */
const CONNECTING = Object.freeze({ ...IDLE, state: "connecting" });

/**
 * Watch a task for as long as the component is there. Without an address (null) it waits for one.
 *
 * Components that give the same headers share a connection: an object that says the same, or a function that
 * is the same in each render. One that is made anew in each render works as well, on a connection of its own.
 * @param {string | null | undefined} url the address of the task, `…/tasks/ID`
 * @param {Omit<TaskSourceOptions, "signal">} [options]
 * @returns {TaskView & { cancel: () => Promise<Snapshot> }} `cancel` throws a TaskSourceError
 */
export function useTask(url, options = {}) {
  const headers = useStableHeaders(options.headers);
  const { headers: _, ...others } = options;
  const key = JSON.stringify(others);
  // Without the headers: when those change, what is known stays.
  const task = useMemo(() => new WatchedTask(url, others, headers), [url, key]);
  const view = useSyncExternalStore(task.subscribe, task.view, () => (url ? CONNECTING : IDLE));
  useEffect(() => task.use(headers), [task, headers]);
  const cancel = useCallback(() => task.cancel(), [task]);
  return { ...view, cancel };
}

/** One task as a store: it is watched while somebody has subscribed. */
class WatchedTask {
  /** @type {TaskSource | null} */
  #source = null;
  /** @type {Set<() => void>} */
  #listeners = new Set();

  /**
   * @param {string | null | undefined} url
   * @param {TaskSourceOptions} options
   * @param {TaskSourceOptions["headers"]} headers
   */
  constructor(url, options, headers) {
    this.url = url;
    this.options = { ...options, headers };
    /** @type {TaskView} */
    this.current = url ? CONNECTING : IDLE;
  }

  view = () => this.current;

  /** Go on with these headers. @param {TaskSourceOptions["headers"]} headers */
  use(headers) {
    if (headers === this.options.headers) return;
    this.options = { ...this.options, headers };
    if (this.#source && this.url) this.#open(this.url);
  }

  /** @param {() => void} listener */
  subscribe = (listener) => {
    this.#listeners.add(listener);
    if (!this.#source && this.url) this.#open(this.url);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      const source = this.#source;
      this.#source = null; // first: that it closes is no news
      source?.close();
    };
  };

  async cancel() {
    if (!this.url) throw new TypeError("There is no task to cancel yet.");
    if (this.#source) return this.#source.cancel();
    const source = new TaskSource(this.url, this.options);
    return source.cancel().finally(() => source.close());
  }

  /** @param {string} url */
  #open(url) {
    if (this.current.state === "ended") return; // it may be forgotten by now
    const former = this.#source;
    let source;
    try {
      source = new TaskSource(url, this.options);
    } catch (cause) {
      const { message } = /** @type {TypeError} */ (cause); // an effect that throws would take the whole tree
      const error = new TaskSourceError("refused", message, { cause });
      this.current = { ...this.current, state: "failed", problem: message, error };
      return;
    }
    this.#source = source;
    former?.close();
    // The output comes again from its beginning.
    this.current = { ...this.current, state: source.state, problem: "", error: null, output: "" };
    source.addEventListener("snapshot", ({ detail }) => this.#change({ snapshot: detail }, source));
    source.addEventListener("output", ({ detail }) =>
      this.#change({ output: this.current.output + detail.text }, source),
    );
    source.addEventListener("error", ({ detail }) => this.#change({ error: detail }, source));
    source.addEventListener("state", ({ detail }) => this.#change(detail, source));
  }

  /** @param {Partial<TaskView>} change @param {TaskSource} source */
  #change(change, source) {
    if (source !== this.#source) return;
    this.current = { ...this.current, ...change };
    for (const listener of [...this.#listeners]) listener();
  }
}

/**
 * Headers that are the same for as long as they mean the same. A function that changes from render to render
 * is replaced by one that calls the latest.
 * @param {TaskSourceOptions["headers"]} headers
 * @returns {TaskSourceOptions["headers"]}
 */
function useStableHeaders(headers) {
  const [first, setFirst] = useState(() => headers);
  const [changes, setChanges] = useState(false);
  const latest = useRef(headers);
  useEffect(() => {
    latest.current = headers;
  });
  const callLatest = useCallback((/** @type {{ renew: boolean }} */ details) => {
    const { current = {} } = latest;
    return typeof current === "function" ? current(details) : current;
  }, []);
  const key = typeof headers === "function" ? "" : keyOf(headers ?? {});
  const object = useMemo(() => (key ? JSON.parse(key) : undefined), [key]);
  if (typeof headers !== "function") return object;
  if (typeof first !== "function") setFirst(() => headers);
  else if (first !== headers && !changes) setChanges(true);
  return changes ? callLatest : headers;
}

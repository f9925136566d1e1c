// Snapshots of tasks as they change, over fetch: with headers, heartbeats, back-off, and polling in need.
//
//     const source = new TaskSource("/jobs/tasks/3f2a…", { headers: async () => ({ Authorization: … }) });
//     for await (const snapshot of source) console.log(snapshot.progress, snapshot.message);

import { Address } from "./source/address.js";
import { channelFor } from "./source/channels.js";
import { TaskSourceError } from "./source/errors.js";
import { TaskEvents } from "./source/events.js";
import { Requests } from "./source/requests.js";
import { complete, hasEnded } from "./source/snapshot.js";

export { TaskSourceError, hasEnded };

/** @typedef {import("./source/snapshot.js").Snapshot} Snapshot */
/** @typedef {import("./source/requests.js").HeadersOption} HeadersOption */

/** @import { Entry, Watcher } from "./source/channel.js" */
/** @typedef {import("./source/events.js").State} State */
/** @typedef {import("./source/events.js").TaskSourceEvents} TaskSourceEvents */

/**
 * @typedef {object} TaskSourceOptions
 * @property {HeadersOption} [headers] of every request; a function is asked before each, and again, with
 *   `{ renew: true }`, after a 401
 * @property {RequestCredentials} [credentials] as for fetch; "same-origin" unless told otherwise
 * @property {AbortSignal} [signal] closes the source
 * @property {boolean} [output] whether to read each snapshot of the one task, and its output, on a connection
 *   of its own; without it sources share a connection, and the latest snapshot wins
 * @property {number} [firstByteSeconds] after which a stream of which nothing has come is held back (5)
 * @property {number} [muteSeconds] after which a silent connection is dead: three heartbeats (45)
 * @property {number} [pollSeconds] between two questions while no stream gets through (2)
 * @property {number} [hiddenPollSeconds] between two questions while the page is hidden; 0 for none (0)
 */

const CANCEL_SECONDS = 30;

/** Those of connections, the worst first. */
const STATES = /** @type {const} */ (["reconnecting", "polling", "connecting", "paused", "live"]);

/** A source of the snapshots of one task, or of many. */
export class TaskSource extends TaskEvents {
  /** @type {State} */
  state = "connecting";
  /** What is wrong, in a sentence; empty if nothing is. */
  problem = "";

  /** @type {Map<string, Entry>} by the address of the status */
  #entries = new Map();
  #options;
  #onAbort = () => this.close();

  /**
   * @param {string | URL | Iterable<string | URL>} urls the address of a task, such as `…/tasks/ID`, or several
   * @param {TaskSourceOptions} [options]
   */
  constructor(urls, options = {}) {
    super();
    const several = typeof urls === "string" || urls instanceof URL ? [urls] : [...urls];
    if (options.output && several.length !== 1) {
      throw new TypeError("Output can be read of one task at a time.");
    }
    this.#options = options;
    for (const url of several) this.#add(String(url));
    this.#renderState(); // a connection that others have may be live already
    options.signal?.addEventListener("abort", this.#onAbort);
    if (options.signal?.aborted) this.close();
  }

  /** The latest snapshot; of several tasks, that of the first. @returns {Snapshot | null} */
  get snapshot() {
    return this.snapshots[0] ?? null;
  }

  /** The latest snapshots, as far as there are any. */
  get snapshots() {
    return [...this.#entries.values()].flatMap(({ snapshot }) => snapshot ?? []);
  }

  /** Let go: the last event says that the state is "closed". */
  close() {
    if (this.#isOver) return;
    for (const { channel, address, watcher } of this.#entries.values()) channel.remove(address, watcher);
    this.#finish("closed");
  }

  /**
   * Ask a task, or the one that there is, to stop; its snapshot, or whatever else the server answers.
   * Throws a TaskSourceError that says why that could not be asked for.
   * @param {string} [url]
   * @returns {Promise<Snapshot>}
   */
  async cancel(url) {
    const [first] = this.#entries.values();
    const entry = url === undefined ? first : this.#entries.get(new Address(url).status);
    if (!entry) throw new TypeError(`This source has no task ${url ?? ""}.`);
    const requests = new Requests(this.#options.headers ?? {}, this.#options.credentials ?? "same-origin");
    const answer = await requests.json(entry.address.cancel, CANCEL_SECONDS, { method: "POST" });
    if (!answer?.status) return answer; // as an application's own may be
    const snapshot = complete(answer);
    if (!entry.over) entry.channel.tell(entry.address.id, snapshot);
    return snapshot;
  }

  /**
   * The snapshots, up to the last; one that is slow gets the latest of each task. Leaving the loop closes
   * the source. Throws a TaskSourceError if the source fails.
   * @returns {AsyncGenerator<Snapshot, void, undefined>}
   */
  async *[Symbol.asyncIterator]() {
    /** @type {Map<string, Snapshot>} */
    const waiting = new Map(this.snapshots.map((each) => [each.task_id, each]));
    let wake = () => undefined;
    const note = (/** @type {CustomEvent<Snapshot>} */ { detail }) => {
      waiting.set(detail.task_id, detail);
      wake();
    };
    const noteState = () => wake();
    this.addEventListener("snapshot", note);
    this.addEventListener("state", noteState);
    try {
      for (;;) {
        for (const [id, snapshot] of waiting) {
          waiting.delete(id);
          yield snapshot;
        }
        if (waiting.size > 0) continue;
        if (this.#isOver) break;
        await new Promise((resolve) => (wake = () => void resolve(undefined)));
      }
      if (this.state === "failed") throw [...this.#entries.values()].find(({ error }) => error)?.error;
    } finally {
      this.removeEventListener("snapshot", note);
      this.removeEventListener("state", noteState);
      this.close();
    }
  }

  get #isOver() {
    return ["ended", "failed", "closed"].includes(this.state);
  }

  /** @param {string} url */
  #add(url) {
    const address = new Address(url);
    if (this.#entries.has(address.status)) return;
    const channel = this.#channelFor(address);
    /** @type {Entry} */
    const entry = {
      address,
      channel,
      watcher: this.#watcher(() => entry),
      snapshot: null,
      error: null,
      over: false,
    };
    this.#entries.set(address.status, entry);
    channel.add(address, entry.watcher);
  }

  /** @param {Address} address */
  #channelFor(address) {
    const { headers, credentials } = this.#options;
    return channelFor(address, headers ?? {}, credentials ?? "same-origin", channelOptions(this.#options));
  }

  /** @param {() => Entry} entry @returns {Watcher} */
  #watcher(entry) {
    return {
      onSnapshot: (snapshot) => this.#take(entry(), snapshot),
      onOver: () => this.#end(entry()),
      onError: (error) => this.#lose(entry(), error),
      onAlone: () => this.#leaveMany(entry()),
      onEvent: ({ type, data }) => this.#pass(type, data),
      onState: () => this.#renderState(),
      hiddenPollSeconds: this.#options.hiddenPollSeconds ?? 0,
    };
  }

  /** @param {Entry} entry @param {Snapshot} snapshot */
  #take(entry, snapshot) {
    entry.snapshot = snapshot;
    this.#dispatch("snapshot", snapshot);
    if (hasEnded(snapshot) && !this.#isOver) this.#end(entry); // whoever was told may have closed it
  }

  /** @param {Entry} entry */
  #end(entry) {
    this.#leave(entry);
    this.#dispatch("end", entry.snapshot);
    this.#renderState();
  }

  /** @param {Entry} entry @param {TaskSourceError} error */
  #lose(entry, { code, message, status }) {
    entry.error = new TaskSourceError(code, message, { status });
    entry.error.taskId = entry.address.id;
    this.#leave(entry);
    this.#dispatch("error", entry.error);
    this.#renderState();
  }

  /** @param {Entry} entry */
  #leave(entry) {
    entry.over = true;
    entry.channel.remove(entry.address, entry.watcher);
  }

  /** Go on with the task's own stream. @param {Entry} entry */
  #leaveMany(entry) {
    entry.channel.remove(entry.address, entry.watcher);
    entry.address.many = undefined;
    entry.channel = this.#channelFor(entry.address);
    entry.channel.add(entry.address, entry.watcher);
  }

  /** @param {string} type @param {string} data */
  #pass(type, data) {
    if (type === "output" || type === "lost") this.#dispatch(type, JSON.parse(data));
  }

  #renderState() {
    if (this.#isOver) return;
    const entries = [...this.#entries.values()];
    const open = entries.filter(({ over }) => !over).map(({ channel }) => channel);
    const failed = entries.filter(({ error }) => error);
    if (open.length === 0) {
      return this.#finish(failed.length > 0 && failed.length === entries.length ? "failed" : "ended");
    }
    const worst = STATES.find((state) => open.some((channel) => channel.state === state)) ?? "connecting";
    this.#setState(worst, open.find(({ state }) => state === worst)?.problem?.message ?? "");
  }

  /** @param {"ended" | "failed" | "closed"} state */
  #finish(state) {
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    const errors = [...this.#entries.values()].flatMap(({ error }) => error?.message ?? []);
    this.#setState(state, state === "failed" ? errors[0] : "");
  }

  /** @param {State} state */
  #setState(state, problem = "") {
    if (this.state === state && this.problem === problem) return;
    this.state = state;
    this.problem = problem;
    this.#dispatch("state", { state, problem });
  }

  /**
   * @template {keyof TaskSourceEvents} Type
   * @param {Type} type
   * @param {TaskSourceEvents[Type]} detail
   */
  #dispatch(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** @type {(options: TaskSourceOptions) => import("./source/channel.js").ChannelOptions} */
function channelOptions(options) {
  const { output = false, firstByteSeconds = 5, muteSeconds = 45, pollSeconds = 2 } = options;
  return { output, firstByteSeconds, muteSeconds, pollSeconds };
}

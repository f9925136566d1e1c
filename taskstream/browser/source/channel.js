// A channel: one connection for up to 1,000 tasks, or for one task, with its output if that is wanted.

import { requestForMany } from "./address.js";
import { notFound } from "./errors.js";
import { isHidden, onChange } from "./page-life.js";
import { Place } from "./places.js";
import { Polling } from "./polling.js";
import { Reconnecting } from "./reconnecting.js";
import { complete, hasEnded, isNews } from "./snapshot.js";
import { heldBack } from "./stream.js";

/** @typedef {import("./address.js").Address} Address */
/** @typedef {import("./snapshot.js").Snapshot} Snapshot */
/** @typedef {import("./parser.js").StreamEvent} StreamEvent */
/** @typedef {import("./errors.js").TaskSourceError} TaskSourceError */

/** @typedef {"idle" | "connecting" | "live" | "polling" | "reconnecting" | "paused"} ChannelState */

/**
 * Who wants to know about a task.
 * @typedef {object} Watcher
 * @property {(snapshot: Snapshot) => void} onSnapshot
 * @property {() => void} onOver nothing will follow, though no last snapshot was seen
 * @property {(error: TaskSourceError) => void} onError nothing will follow
 * @property {() => void} onAlone there is no stream of many tasks: one of its own has to be asked for
 * @property {(event: StreamEvent) => void} onEvent an event with another name, of a stream of the task's own
 * @property {() => void} onState
 * @property {number} hiddenPollSeconds how often to ask while the page is hidden; 0 for never
 */

/**
 * One of the tasks of a source.
 * @typedef {object} Entry
 * @property {Address} address
 * @property {Channel} channel
 * @property {Watcher} watcher
 * @property {Snapshot | null} snapshot
 * @property {TaskSourceError | null} error
 * @property {boolean} over
 */

/**
 * @typedef {object} ChannelOptions
 * @property {boolean} output whether to read the stream of one task, with each snapshot and its output
 * @property {number} firstByteSeconds
 * @property {number} muteSeconds
 * @property {number} pollSeconds
 */

/** @typedef {{ address: Address, snapshot: Snapshot | null, watchers: Set<Watcher> }} Task */

const GATHER_MILLISECONDS = 50;

export class Channel {
  /** @type {ChannelState} */
  state = "idle";
  /** @type {TaskSourceError | null} what is wrong */
  problem = null;

  /** @type {Map<string, Task>} */
  #tasks = new Map();
  /** @type {string[]} the ids that the stream is about */
  #streamed = [];
  /** Whether only the rest is read of a task that has ended, also where nobody looks. */
  #isRest = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #place;
  #stream;
  #polling;
  #unlisten;

  /**
   * @param {{ many?: string, stream: string }} addresses of the stream of many tasks, or else of one task's own
   * @param {import("./requests.js").Requests} requests
   * @param {ChannelOptions} options
   * @param {() => void} onEmpty called when nobody watches any more
   */
  constructor({ many, stream }, requests, options, onEmpty) {
    this.many = many;
    this.stream = stream;
    this.options = options;
    this.onEmpty = onEmpty;
    this.limits = { ...options };
    this.#place = new Place(options.output ? "output" : "bars");
    this.#unlisten = onChange(() => this.#pageChanged());
    this.#stream = new Reconnecting(requests, this.limits, {
      onOpen: (isStream) => this.#opened(isStream),
      onEvent: (event) => this.#receive(event),
      isDone: () => this.#streamed.every((id) => !this.#isUnfinished(id)),
      onTrouble: (error, failures) => this.#trouble(error, failures),
      onFatal: (error) => this.#failed(error),
      onOver: () => this.#over(),
    });
    this.#polling = new Polling(requests, this.#tasks, {
      onSnapshot: (id, snapshot) => this.#polled(id, snapshot),
      onError: (id, error) => this.#pollingFailed(id, error),
    });
  }

  /** How many of its tasks have not ended. */
  get size() {
    return this.#unfinished().length;
  }

  /** @param {string} id */
  has(id) {
    return this.#tasks.has(id);
  }

  /** @param {Address} address @param {Watcher} watcher */
  add(address, watcher) {
    const task = this.#tasks.get(address.id) ?? this.#create(address);
    task.watchers.add(watcher);
    const { snapshot } = task;
    if (snapshot) queueMicrotask(() => task.watchers.has(watcher) && watcher.onSnapshot(snapshot));
    if (this.problem?.code === "unreachable") this.#stream.hasten(); // who has started a task has reached it
    this.#schedule();
  }

  /** @param {Address} address @param {Watcher} watcher */
  remove({ id }, watcher) {
    this.#tasks.get(id)?.watchers.delete(watcher);
    if (this.#isWatched()) return this.#schedule();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#update(), 0); // another watcher may come first
  }

  /**
   * Take in a snapshot that was the answer to a request. Where output is read, its rest comes before the end.
   * @param {string} id @param {Snapshot} snapshot
   */
  tell(id, snapshot) {
    if (!this.options.output || !hasEnded(snapshot)) return this.#take(id, snapshot, true);
    if (this.#isRest) return;
    this.#isRest = true;
    this.limits.firstByteSeconds = this.limits.muteSeconds; // no proxy holds it back: that stream ends at once
    this.#stop("connecting");
    this.#update();
  }

  // ---- What is to be streamed.

  /** @param {string} id */
  #isUnfinished(id) {
    const task = this.#tasks.get(id);
    return task !== undefined && !hasEnded(task.snapshot);
  }

  #unfinished() {
    return [...this.#tasks.keys()].filter((id) => this.#isUnfinished(id));
  }

  /** Look soon at what is to be streamed: tasks come, go and move many at a time. */
  #schedule() {
    this.#timer ??= setTimeout(() => this.#update(), this.#stream.isRunning ? GATHER_MILLISECONDS : 0);
  }

  #isWatched() {
    return [...this.#tasks.values()].some(({ watchers }) => watchers.size > 0);
  }

  /** @param {Address} address */
  #create(address) {
    /** @type {Task} */
    const task = { address, snapshot: null, watchers: new Set() };
    this.#tasks.set(address.id, task);
    // The stream may have told of its end, and been forgotten: only another one tells again.
    this.#streamed = this.#streamed.filter((each) => each !== address.id);
    return task;
  }

  #update() {
    this.#timer = undefined;
    for (const [id, { watchers }] of this.#tasks) if (watchers.size === 0) this.#tasks.delete(id);
    const { isRunning, hasPlace } = this.#stream;
    if (this.size === 0) this.#stop("idle");
    else if (isHidden() && !this.#isRest) this.#pause();
    else if (!isRunning || this.#place.isHad !== hasPlace || this.#isMore()) this.#start();
    if (this.#tasks.size > 0) return;
    this.#unlisten();
    this.onEmpty();
  }

  /** Whether the open stream lacks a task; one that isn't open yet asks for those of its moment. */
  #isMore() {
    const streamed = new Set(this.#streamed);
    return this.#stream.isOpen && this.#unfinished().some((id) => !streamed.has(id));
  }

  #start() {
    if (this.state === "paused") this.#polling.stop();
    // With a longer list, a live connection stays live: it would only flicker.
    if (this.state === "idle" || this.state === "paused") this.#setState("connecting");
    this.#place.take(() => this.#schedule());
    const hasPlace = this.#place.isHad;
    if (hasPlace === undefined) return;
    if (!hasPlace) this.#setState("polling");
    const isAskable = this.many || this.options.output; // a stream of the application's own may not know `wait`
    if (!hasPlace && !isAskable) return this.#polling.start(this.options.pollSeconds, 0);
    this.#stream.start(() => this.#request(), { resume: !this.many, hasPlace });
  }

  /** What asks for all that is to be streamed at the moment. */
  #request() {
    this.#streamed = this.#unfinished();
    return this.many ? requestForMany(this.many, this.#streamed) : { url: this.stream };
  }

  /** @param {ChannelState} state */
  #stop(state) {
    this.#place.leave();
    this.#stream.stop();
    this.#polling.stop();
    this.#setState(state);
  }

  #pause() {
    if (this.state !== "paused") this.#stop("paused");
    const seconds = Math.min(...this.#watchers().map(({ hiddenPollSeconds }) => hiddenPollSeconds || Infinity));
    this.#polling.start(seconds, seconds);
  }

  #pageChanged() {
    this.#isRest = false; // a page that is left lets go of that, too
    if (isHidden()) this.#update(); // at once: a page that is left is frozen with what it holds
    else if (this.state === "paused") this.#schedule();
    else this.#stream.hasten(); // the network may be back
  }

  // ---- What the stream and the polling tell.

  /** @param {boolean} isStream or a piece of one */
  #opened(isStream) {
    this.#polling.stop();
    const isHeldBack = !isStream && this.#stream.hasPlace;
    this.#setState(isStream ? "live" : "polling", isHeldBack ? heldBack() : null);
    if (this.#isMore()) this.#schedule(); // they came while it was asked for
  }

  /** @param {StreamEvent} event */
  #receive(event) {
    if (event.type === "message") this.#told(JSON.parse(event.data));
    else if (event.type === "unknown") {
      const { task_id, detail } = JSON.parse(event.data);
      this.#lose(task_id, notFound(detail));
    } else if (this.options.output) this.#watchers().forEach((watcher) => watcher.onEvent(event));
  }

  /** @param {TaskSourceError} error @param {number} failures how many there have been in a row */
  #trouble(error, failures) {
    const isUnreachable = error.code === "unreachable"; // while polling, too
    if (this.state !== "polling" || isUnreachable) this.#setState("reconnecting", error);
    const isAway = ["unavailable", "not-a-stream"].includes(error.code) && failures > 0;
    const isHeldBack = ["buffered", "mute"].includes(error.code);
    if (isAway || isHeldBack) this.#polling.start(this.options.pollSeconds, 0);
  }

  /** @param {Snapshot} snapshot */
  #told(snapshot) {
    const [own = ""] = this.#streamed; // whose snapshots may call it otherwise
    this.#take(this.many ? snapshot.task_id : own, snapshot, false);
  }

  /** @param {TaskSourceError} error */
  #failed(error) {
    if (!this.many || ![404, 405].includes(error.status ?? 0)) return this.#streamed.forEach((id) => this.#lose(id, error));
    for (const watcher of this.#watchers()) watcher.onAlone();
  }

  #over() {
    this.#streamed.forEach((id) => this.#end(id));
    this.#schedule(); // others may have come while it was asked for
  }

  /** @param {string} id @param {Snapshot} snapshot */
  #polled(id, snapshot) {
    if (this.state === "reconnecting") this.#setState("polling", this.problem);
    this.tell(id, snapshot);
  }

  /** @param {string} id @param {TaskSourceError} error */
  #pollingFailed(id, error) {
    if (error.code === "not-found") this.#lose(id, error);
    else if (error.fatal) this.#unfinished().forEach((each) => this.#lose(each, error));
    else if (this.state === "polling") this.#setState("reconnecting", error);
  }

  // ---- What becomes known of a task.

  /** @param {string} id @param {Snapshot} snapshot @param {boolean} asked */
  #take(id, snapshot, asked) {
    const task = this.#tasks.get(id);
    if (!task || !isNews(complete(snapshot), task.snapshot, asked)) return;
    task.snapshot = snapshot;
    for (const watcher of [...task.watchers]) watcher.onSnapshot(snapshot);
    if (hasEnded(snapshot)) this.#schedule();
  }

  /** @param {string} id @param {TaskSourceError} error */
  #lose(id, error) {
    for (const watcher of this.#forget(id)) watcher.onError(error);
  }

  /** @param {string} id */
  #end(id) {
    for (const watcher of this.#forget(id)) watcher.onOver();
  }

  /** Who watched a task that has not been seen to end. @param {string} id */
  #forget(id) {
    const task = this.#tasks.get(id);
    if (!task || hasEnded(task.snapshot)) return [];
    this.#tasks.delete(id);
    this.#schedule();
    return [...task.watchers];
  }

  #watchers() {
    return [...this.#tasks.values()].flatMap(({ watchers }) => [...watchers]);
  }

  /** @param {ChannelState} state @param {TaskSourceError | null} [problem] */
  #setState(state, problem = null) {
    if (this.state === state && this.problem?.message === problem?.message) return;
    this.state = state;
    this.problem = problem;
    for (const watcher of this.#watchers()) watcher.onState();
  }
}

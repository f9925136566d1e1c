// <task-progress src="/jobs/tasks/3f2a…"></task-progress>: how far a task is, in any page.
/// <reference path="./element/tag.d.ts" preserve="true" />

import { inOneWord, noteTime } from "./element/words.js";
import { View, statusOf } from "./element/view.js";
import { keyOf } from "./source/requests.js";
import { complete, isNews } from "./source/snapshot.js";
import { TaskSource, TaskSourceError, hasEnded } from "./task-source.js";

/** @typedef {import("./task-source.js").Snapshot} Snapshot */
/** @typedef {import("./task-source.js").TaskSourceOptions} TaskSourceOptions */
/** @import { Listening } from "./source/events.js" */

/** @type {Set<TaskProgress>} those whose time passes */
const running = new Set();
/** @type {ReturnType<typeof setInterval> | undefined} one for all of them */
let clock;

/** The trouble that one of the elements has announced, which goes for all. */
let trouble = "";

/**
 * The detail of each event.
 * @typedef {object} TaskProgressEvents
 * @property {Snapshot} progress a new one
 * @property {Snapshot | null} end the last one; null if nothing was said of the task
 * @property {TaskSourceError} error why nothing more will come
 */

/** @type {new () => Listening<TaskProgressEvents> & HTMLElement} so that a server can import this too */
const Base = /** @type {any} */ (globalThis.HTMLElement ?? class {});

/**
 * Shows a task. Attributes: `src`, and `output` to show that as well. Events: `progress` and `end`, with the
 * snapshot in their detail, and `error`, with a TaskSourceError. The attribute `status` says how the task is.
 */
export class TaskProgress extends Base {
  static observedAttributes = ["src", "output", "status"];

  /** @type {View | null} */
  #view = null;
  /** @type {TaskSource | null} */
  #source = null;
  /** @type {TaskSourceOptions["headers"]} */
  #headers;
  /** @type {Omit<TaskSourceOptions, "headers" | "output">} */
  #options = {};
  #callsLatest = false;
  #isStale = false;
  #isOver = false;
  #isOutputOver = false;
  #server = "";
  /** @type {Snapshot | null} */
  #snapshot = null;
  /** @type {TaskSourceError | null} */
  #error = null;
  /** @type {Error | null} why the task could not be cancelled */
  #refusal = null;
  /** @type {Promise<Snapshot> | null} what has been asked for, and not answered */
  #cancelling = null;

  /**
   * Headers of each request, or a function that gives them; see `TaskSource`.
   * @returns {TaskSourceOptions["headers"]}
   */
  get headers() {
    return this.#headers;
  }

  /** @param {TaskSourceOptions["headers"] | null} headers */
  set headers(headers) {
    const before = this.#headers;
    this.#headers = headers ?? undefined;
    if (keyOf(before ?? {}) === keyOf(headers ?? {})) return;
    const isRepeated = typeof before === "function" && typeof headers === "function" && !this.#error;
    if (isRepeated && this.#callsLatest) return;
    this.#callsLatest ||= isRepeated; // one that is made anew in each render must not connect anew
    this.#reopen();
  }

  /** The other options of `TaskSource`. */
  get options() {
    return this.#options;
  }

  set options(options) {
    const isSame = JSON.stringify(this.#options) === JSON.stringify(options);
    this.#options = options;
    if (!isSame) this.#reopen();
  }

  /** The address of the task; null takes it away. @returns {string} */
  get src() {
    return this.getAttribute("src") ?? "";
  }

  /** @param {string | null | undefined} src */
  set src(src) {
    if (src == null) this.removeAttribute("src");
    else this.setAttribute("src", src);
  }

  /** Whether what the task says is shown, too. */
  get output() {
    return this.hasAttribute("output");
  }

  set output(isShown) {
    this.toggleAttribute("output", Boolean(isShown)); // which would take undefined for a toggle
  }

  /** The latest snapshot. One that is known already may be set, after `src`. @returns {Snapshot | null} */
  get snapshot() {
    return this.#snapshot;
  }

  /** @param {Snapshot | null | undefined} snapshot */
  set snapshot(snapshot) {
    this.#snapshot = snapshot ? complete({ ...snapshot }) : null;
    this.#render();
  }

  connectedCallback() {
    for (const name of /** @type {const} */ (["src", "output", "headers", "options", "snapshot"])) this.#upgrade(name);
    if (!this.#view) {
      this.#view = new View(this.shadowRoot ?? this.attachShadow({ mode: "open" }));
      this.#view.cancel.addEventListener("click", () => this.cancel());
    }
    this.#render();
    this.#reopen(!this.#source);
  }

  disconnectedCallback() {
    this.#reopen(false); // not at once: it may only move
  }

  adoptedCallback() {
    this.#view?.adopt();
  }

  /** @param {string} name @param {string | null} before @param {string | null} after */
  attributeChangedCallback(name, before, after) {
    if (before === after) return;
    if (name === "status") return this.#render(); // whoever merges new HTML into a page takes it away
    if (name === "src") this.#forget();
    this.#reopen();
  }

  /** Ask the task to stop. If that can't be asked for, the element says why. */
  async cancel() {
    if (this.#cancelling || !this.#source) return;
    const cancelling = this.#source.cancel();
    this.#cancelling = cancelling;
    this.#refusal = null;
    this.#render();
    const refusal = await cancelling.then(
      () => null,
      (error) => error,
    );
    if (this.#cancelling !== cancelling) return; // the element shows another task by now
    this.#cancelling = null;
    this.#refusal = refusal;
    this.#render();
  }

  /**
   * A property that was set before the element was defined.
   * @param {"src" | "output" | "headers" | "options" | "snapshot"} name
   */
  #upgrade(name) {
    if (!Object.hasOwn(this, name)) return;
    const value = this[name];
    delete this[name];
    /** @type {any} */ (this)[name] = value;
  }

  /** Open a source, or close it, once the script that is running has set all that it wants to set. */
  #reopen(isStale = true) {
    this.#isStale ||= isStale;
    queueMicrotask(() => {
      if (this.isConnected && !this.#isStale) return;
      this.#close();
      if (!this.isConnected) return;
      this.#isStale = false;
      if (this.src && !(this.#isOver && (this.#isOutputOver || !this.output))) this.#open();
      this.#render();
    });
  }

  #open() {
    this.#error = null;
    this.#view?.transcript.clear(); // it comes again from its beginning
    const headers = this.#callsLatest ? this.#callLatest : this.#headers;
    const options = { ...this.#options, headers, output: this.output };
    try {
      this.#source = new TaskSource(this.src, options);
      this.#server = new URL(this.src, this.baseURI).origin;
    } catch (cause) {
      const { message } = /** @type {TypeError} */ (cause);
      return this.#lose(new TaskSourceError("refused", message, { cause }));
    }
    this.#listen(this.#source, this.output);
    running.add(this);
    clock ??= setInterval(tick, 1000);
  }

  /** Let go of the source, which has nothing to say any more: not that it is closed, either. */
  #close() {
    const source = this.#source;
    this.#source = null;
    source?.close();
    this.#view?.announce("");
    running.delete(this);
  }

  /** @param {TaskSource} source @param {boolean} hasOutput */
  #listen(source, hasOutput) {
    source.addEventListener("snapshot", ({ detail }) => source === this.#source && this.#take(detail));
    source.addEventListener("end", ({ detail }) => source === this.#source && this.#end(detail, hasOutput));
    source.addEventListener("error", ({ detail }) => source === this.#source && this.#lose(detail));
    source.addEventListener("state", ({ detail }) => source === this.#source && this.#changeState(detail));
    source.addEventListener("output", ({ detail }) => this.#view?.transcript.append(detail.text));
    source.addEventListener("lost", ({ detail }) => this.#view?.transcript.lose(detail));
  }

  /** @param {{ state: string, problem: string }} state */
  #changeState({ state, problem }) {
    if (state === "reconnecting") this.#announceTrouble(problem);
    if (state === "live" || state === "polling") this.#announceTrouble("");
    const isUnreachable = this.#refusal instanceof TaskSourceError && this.#refusal.code === "unreachable";
    if (state === "live" && isUnreachable) this.#refusal = null; // it can be reached again
    this.#render();
  }

  /** Announce trouble, or that there is none any more. @param {string} problem */
  #announceTrouble(problem) {
    if (problem === "" || problem !== trouble) this.#view?.announce(problem);
    trouble = problem;
  }

  /** @type {Extract<TaskSourceOptions["headers"], Function>} */
  #callLatest = (details) =>
    typeof this.#headers === "function" ? this.#headers(details) : (this.#headers ?? {});

  /** @param {Snapshot} snapshot */
  #take(snapshot) {
    const isFirst = this.#snapshot === null;
    if (!isNews(snapshot, this.#snapshot, false)) return; // told again by another connection
    this.#snapshot = snapshot;
    noteTime(snapshot, this.#server);
    if (hasEnded(snapshot)) {
      running.delete(this);
      this.#view?.transcript.show();
      this.#refusal = null;
      if (!isFirst) this.#view?.announce(`${snapshot.name}: ${inOneWord(snapshot.status)}`);
    }
    this.#render();
    this.#tell("progress", snapshot);
  }

  /** @param {Snapshot | null} snapshot @param {boolean} hasOutput */
  #end(snapshot, hasOutput) {
    running.delete(this);
    this.#isOutputOver ||= hasOutput;
    if (this.#isOver) return; // it was only the output that was wanted
    this.#isOver = true;
    this.#tell("end", snapshot);
  }

  /** @param {TaskSourceError} error */
  #lose(error) {
    running.delete(this);
    if (this.#isOver) return; // it was only the output that was wanted: the state of the source says why not
    this.#refusal = null;
    this.#error = error;
    if (this.#snapshot) this.#announceTrouble(error.message);
    this.#render();
    this.dispatchEvent(new CustomEvent("error", { detail: error }));
  }

  /** @param {string} type @param {Snapshot | null} detail */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }

  /** Begin anew, without what comes of the task before: its end, or the answer to Cancel. */
  #forget() {
    this.#close();
    this.#isOver = false;
    this.#isOutputOver = false;
    this.#snapshot = null;
    this.#error = null;
    this.#refusal = null;
    this.#cancelling = null;
    this.#view?.transcript.clear();
  }

  get #shown() {
    const { state = "connecting", problem = "" } = this.#source ?? {};
    return {
      snapshot: this.#snapshot,
      error: this.#error,
      state,
      problem,
      refusal: this.#refusal?.message ?? "",
      cancelling: this.#cancelling !== null,
      showsOutput: this.output,
      hasTask: this.src !== "",
      server: this.#server,
    };
  }

  #render() {
    if (!this.#view) return;
    const status = statusOf(this.#snapshot, this.#error);
    if (this.getAttribute("status") !== status) this.setAttribute("status", status);
    this.#view.render(this.#shown);
  }

  renderTime() {
    this.#view?.renderTime(this.#shown);
  }
}

function tick() {
  for (const each of running) each.renderTime();
  if (running.size > 0) return;
  clearInterval(clock);
  clock = undefined;
}

globalThis.customElements?.get("task-progress") ??
  globalThis.customElements?.define("task-progress", TaskProgress);

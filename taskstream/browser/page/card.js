// A card shows one task: the element, and the page's own buttons.

/** @typedef {import("../task-progress.js").TaskProgress} TaskProgress */
/** @typedef {import("../task-source.js").Snapshot} Snapshot */

import { isHidden } from "../source/page-life.js";
import { Requests } from "../source/requests.js";
import { readStream } from "../source/stream.js";

const requests = new Requests({}, "same-origin");
const limits = { firstByteSeconds: 5, muteSeconds: 45 };
const COPIED_MILLISECONDS = 2000;
const MAX_LOOK_SECONDS = 60;

/** The address of a task. @param {string} id */
export const addressOf = (id) => `tasks/${encodeURIComponent(id)}`;

export class Card {
  /** Whether no event will follow. */
  over = false;

  /** How much of the task's own stream has been looked at. */
  #cursor = { lastEventId: "", retryMilliseconds: 1000 };
  #lookSeconds = 1;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {string} id
   * @param {object} actions
   * @param {(card: Card) => void} actions.remove
   * @param {(card: Card, opener: HTMLElement) => void} actions.output
   * @param {(card: Card, opener: HTMLElement) => void} actions.wire
   * @param {(card: Card) => void} actions.onOver
   */
  constructor(id, { remove, output, wire, onOver }) {
    this.id = id;
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById("card"));
    const clone = /** @type {DocumentFragment} */ (document.importNode(template.content, true));
    this.element = /** @type {HTMLElement} */ (clone.firstElementChild);
    this.progress = /** @type {TaskProgress} */ (this.element.querySelector("task-progress"));
    this.#find("copy-id").title = id;
    this.#find("copy-id").addEventListener("click", () => this.#copyId());
    this.#find("remove").addEventListener("click", () => remove(this));
    this.#find("show-output").addEventListener("click", () => output(this, this.#find("show-output")));
    this.#find("on-the-wire").addEventListener("click", () => wire(this, this.#find("on-the-wire")));
    this.progress.addEventListener("progress", () => this.#renderName());
    this.progress.addEventListener("progress", () => this.#lookForOutput(), { once: true });
    for (const type of ["end", "error"]) {
      this.progress.addEventListener(type, () => {
        this.over = true;
        this.#find("remove").hidden = false;
        onOver(this);
        this.#lookForOutput();
      });
    }
    this.#renderName();
    this.progress.src = addressOf(id);
  }

  get name() {
    return this.progress.snapshot?.name ?? "Task";
  }

  /** Show what is known before the stream tells anything. @param {Snapshot} snapshot */
  show(snapshot) {
    this.progress.snapshot ??= snapshot;
    this.#renderName();
  }

  /** Mark the card whose stream is open in the pane. @param {boolean} isOpen */
  mark(isOpen) {
    this.element.classList.toggle("marked", isOpen);
    this.#find("on-the-wire").ariaExpanded = String(isOpen);
  }

  /** Say whether the output is open under the card. @param {boolean} isOpen */
  markOutput(isOpen) {
    this.#find("show-output").ariaExpanded = String(isOpen);
  }

  /** Offer the output once there is some; look again later and later until then, and at the end. */
  async #lookForOutput() {
    clearTimeout(this.#timer);
    const button = this.#find("show-output");
    if (!this.element.isConnected || !button.hidden) return;
    const isOver = this.over;
    const hasSaid = isHidden() ? null : await this.#hasSaid();
    if (hasSaid) button.hidden = false;
    if (hasSaid || (isOver && hasSaid === false)) return;
    this.#timer = setTimeout(() => this.#lookForOutput(), 1000 * this.#lookSeconds);
    this.#lookSeconds = Math.min(MAX_LOOK_SECONDS, 2 * this.#lookSeconds);
  }

  /** Whether the task has said anything since the last time; null if the server can't tell at the moment. */
  async #hasSaid() {
    const request = { url: `${addressOf(this.id)}/stream` };
    const found = new AbortController();
    const onEvent = (/** @type {import("../source/parser.js").StreamEvent} */ { type }) => {
      if (type === "output") found.abort();
    };
    const how = { requests, limits, cursor: this.#cursor, waitSeconds: 0, inTurn: true, signal: found.signal };
    const reading = readStream(request, { ...how, onEvent, onOpen: () => undefined });
    const error = await reading.then(() => null, (error) => error);
    if (found.signal.aborted) return true;
    return error && !error.fatal ? null : false;
  }

  /** Copy the id; where a page may not, as over plain HTTP, show it, to be copied by hand. */
  async #copyId() {
    const button = this.#find("copy-id");
    const copying = navigator.clipboard?.writeText(this.id) ?? Promise.reject();
    const isCopied = await copying.then(
      () => true,
      () => false,
    );
    const say = (/** @type {string} */ text) => {
      button.textContent = text;
      this.#label("copy-id");
    };
    say(isCopied ? "Copied" : this.id);
    if (isCopied) setTimeout(() => say("Copy id"), COPIED_MILLISECONDS);
  }

  /** @param {string} name @returns {HTMLElement} */
  #find(name) {
    return /** @type {HTMLElement} */ (this.element.getElementsByClassName(name)[0]);
  }

  /** As text only: a name may look like HTML. */
  #renderName() {
    if (this.#find("name").textContent === this.name) return;
    this.#find("name").textContent = this.name;
    for (const button of ["copy-id", "show-output", "on-the-wire", "remove"]) this.#label(button);
  }

  /** Say which task a button is for. @param {string} button */
  #label(button) {
    this.#find(button).ariaLabel = `${this.#find(button).textContent}: ${this.name}`;
  }
}

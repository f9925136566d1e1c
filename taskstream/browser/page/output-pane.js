// The pane "Output": what a task says beside how far it is, under its card, on a connection of its own
// for as long as it is open.

import { Transcript } from "../element/transcript.js";
import { TaskSource } from "../task-source.js";
import { addressOf } from "./card.js";

/** @typedef {import("./card.js").Card} Card */

export class OutputPane {
  /** @type {Card | null} whose output is shown */
  card = null;

  /** @type {TaskSource | null} */
  #source = null;
  /** @type {HTMLElement | null} */
  #opener = null;
  #transcript;

  /** @param {HTMLElement} pane */
  constructor(pane) {
    this.pane = pane;
    this.home = /** @type {HTMLElement} */ (pane.parentElement);
    this.#transcript = new Transcript(this.#find("output-text"));
    this.#find("output-close").addEventListener("click", () => this.close());
  }

  /** @param {Card} card @param {HTMLElement} opener */
  open(card, opener) {
    this.#letGo();
    this.card = card;
    this.#opener = opener;
    card.markOutput(true);
    this.#find("output-text").ariaLabel = `Output of ${card.name}`;
    card.element.querySelector("task-progress")?.after(this.pane);
    this.pane.hidden = false;
    this.#listen(new TaskSource(addressOf(card.id), { output: true }));
    this.pane.scrollIntoView({ block: "nearest" });
  }

  close() {
    this.#letGo();
    this.pane.hidden = true;
    this.home.append(this.pane); // its card may go
    this.#opener?.focus();
  }

  #letGo() {
    const source = this.#source;
    this.#source = null; // first: that it closes is no news
    source?.close();
    this.card?.markOutput(false);
    this.card = null;
    this.#transcript.clear();
  }

  /** @param {TaskSource} source */
  #listen(source) {
    this.#source = source;
    source.addEventListener("output", ({ detail }) => this.#transcript.append(detail.text));
    source.addEventListener("lost", ({ detail }) => this.#transcript.lose(detail));
    source.addEventListener("state", () => this.#renderState());
    this.#renderState();
  }

  #renderState() {
    if (!this.#source) return;
    const isOver = ["ended", "failed"].includes(this.#source.state);
    if (isOver) this.#transcript.show();
    this.#find("output-text").hidden = isOver && this.#transcript.isEmpty;
    const state = this.#inWords(this.#source);
    const element = this.#find("output-state");
    if (element.textContent !== state) element.textContent = state; // or it would be read out again
  }

  /** How it is, in a few words. @param {TaskSource} source */
  #inWords({ state, problem }) {
    if (state === "ended") return this.#transcript.isEmpty ? "There is none." : "Complete";
    if (state === "reconnecting") return `${problem} Trying again.`;
    if (problem) return problem;
    return { live: "Live", paused: "Paused" }[/** @type {string} */ (state)] ?? "Connecting…";
  }

  /** @param {string} id */
  #find(id) {
    return /** @type {HTMLElement} */ (this.pane.querySelector(`#${id}`));
  }
}

// A card shows one task: the element, and the page's own buttons.

/** @typedef {import("../task-progress.js").TaskProgress} TaskProgress */
/** @typedef {import("../task-source.js").Snapshot} Snapshot */

/** The address of a task. @param {string} id */
export const addressOf = (id) => `tasks/${encodeURIComponent(id)}`;

export class Card {
  /** Whether no event will follow. */
  over = false;

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
    this.#find("id").textContent = id;
    /** @type {HTMLAnchorElement} */ (this.#find("id")).href = `#${id}`;
    this.#find("remove").addEventListener("click", () => remove(this));
    this.#find("show-output").addEventListener("click", () => output(this, this.#find("show-output")));
    this.#find("on-the-wire").addEventListener("click", () => wire(this, this.#find("on-the-wire")));
    this.progress.addEventListener("progress", () => this.#renderName());
    for (const type of ["end", "error"]) {
      this.progress.addEventListener(type, () => {
        this.over = true;
        this.#find("remove").hidden = false;
        onOver(this);
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

  /** @param {string} name @returns {HTMLElement} */
  #find(name) {
    return /** @type {HTMLElement} */ (this.element.getElementsByClassName(name)[0]);
  }

  /** As text only: a name may look like HTML. */
  #renderName() {
    if (this.#find("name").textContent === this.name) return;
    this.#find("name").textContent = this.name;
    for (const button of ["show-output", "on-the-wire", "remove"]) {
      this.#find(button).ariaLabel = `${this.#find(button).textContent}: ${this.name}`;
    }
  }
}

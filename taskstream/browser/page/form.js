// The form: which work, what to call the task, and a field for each parameter of the work that is chosen.

import { Field, parametersOf } from "./fields.js";

/**
 * What can be started: an item of `GET works`.
 * @typedef {{ name: string, description: string, kind: string, parameters: Record<string, any> }} Work
 */

/** @type {<T extends HTMLElement>(id: string) => T} */
const element = (id) => /** @type {any} */ (document.getElementById(id));

/** @type {HTMLSelectElement} */
const select = element("work");
/** @type {HTMLInputElement} */
const nameField = element("name");

export class Form {
  /** @type {Map<string, Work>} */
  #works = new Map();
  /** @type {Field[]} */
  #fields = [];
  /** @type {Map<string, Field>} those that were changed, of other works as well */
  #changed = new Map();

  constructor() {
    select.addEventListener("change", () => this.#draw());
  }

  /** Offer these works. @param {Work[]} works */
  show(works) {
    this.#works = new Map(works.map((work) => [work.name, work]));
    select.replaceChildren(...works.map(({ name }) => new Option(name)));
    element("start").hidden = works.length === 0;
    if (works.length > 0) this.#draw();
  }

  #draw() {
    const work = /** @type {Work} */ (this.#works.get(select.value));
    for (const field of this.#fields) if (field.changed) this.#changed.set(field.parameter.name, field);
    this.#fields = parametersOf(work.parameters).map((parameter) => new Field(parameter));
    for (const field of this.#fields) {
      const former = this.#changed.get(field.parameter.name);
      if (former) field.copy(former);
    }
    element("parameters").replaceChildren(...this.#fields.map((field) => field.element));
    element("work-description").textContent = work.description;
  }

  /** The body that starts the task, as JSON. Throws an Error, in a sentence, for a field that can't be read. */
  read() {
    const values = new Map([["work", JSON.stringify(select.value)]]);
    if (nameField.value) values.set("name", JSON.stringify(nameField.value));
    for (const field of this.#fields) {
      const value = field.read();
      if (value !== undefined) values.set(field.parameter.name, value);
    }
    return `{${[...values].map(([name, value]) => `${JSON.stringify(name)}:${value}`).join()}}`;
  }
}

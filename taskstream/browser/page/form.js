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
  /** @type {Map<string, Field>} */
  #fields = new Map();

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
    const fields = parametersOf(work.parameters).map((parameter) => new Field(parameter));
    for (const field of fields) {
      const former = this.#fields.get(field.parameter.name);
      if (former) field.copy(former);
    }
    this.#fields = new Map(fields.map((field) => [field.parameter.name, field]));
    element("parameters").replaceChildren(...fields.map((field) => field.element));
    element("work-description").textContent = work.description;
  }

  /** The body that starts the task. Throws an Error, in a sentence, for a field that can't be read. */
  read() {
    const values = [...this.#fields.values()].map((field) => [field.parameter.name, field.read()]);
    const name = nameField.value || undefined;
    return { work: select.value, name, ...Object.fromEntries(values) };
  }
}

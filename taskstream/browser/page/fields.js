// The fields of the form: one for each parameter of some work, drawn from its JSON Schema.

/** @typedef {Record<string, any>} Schema */

/**
 * What a field needs to know of its parameter.
 * @typedef {object} Parameter
 * @property {string} name
 * @property {Schema} schema without references, and without the `null` that makes it optional
 * @property {boolean} nullable
 * @property {boolean} required
 */

/**
 * The parameters of some work, in their order.
 * @param {Schema} schema the JSON Schema of all of them
 * @returns {Parameter[]}
 */
export function parametersOf(schema) {
  const definitions = schema.$defs ?? {};
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).map(([name, each]) => ({
    name,
    required: required.has(name),
    ...withoutNull(resolved(each, definitions), definitions),
  }));
}

/** @type {(schema: Schema, definitions: Record<string, Schema>) => Schema} */
function resolved({ $ref, ...schema }, definitions) {
  if (!$ref) return schema;
  return { ...resolved(definitions[$ref.split("/").at(-1)] ?? {}, definitions), ...schema };
}

/**
 * @type {(schema: Schema, definitions: Record<string, Schema>) => { schema: Schema, nullable: boolean }}
 */
function withoutNull({ anyOf, ...schema }, definitions) {
  if (!anyOf) return { schema, nullable: schema.type === "null" };
  const others = anyOf.filter((/** @type {Schema} */ each) => each.type !== "null");
  const nullable = others.length < anyOf.length;
  if (others.length !== 1) return { schema: { ...schema, anyOf: others }, nullable };
  return { schema: { ...resolved(others[0], definitions), ...schema }, nullable };
}

/** A parameter as a person edits it. What can't be drawn is edited as JSON. */
export class Field {
  /** @param {Parameter} parameter */
  constructor(parameter) {
    this.parameter = parameter;
    const { name, schema } = parameter;
    this.control = createControl(parameter);
    this.control.id = `parameter-${name}`;
    this.control.required = parameter.required && !parameter.nullable && this.control.type !== "checkbox";
    this.changed = false;
    this.control.addEventListener("input", () => (this.changed = true));
    this.element = document.createElement("div");
    this.element.className = `control ${this.control.type}`;
    const label = document.createElement("label");
    label.htmlFor = this.control.id;
    label.textContent = inWords(name);
    this.element.append(label, this.control);
    if (schema.description) this.#describe(schema.description);
  }

  /** @param {string} text */
  #describe(text) {
    const description = document.createElement("small");
    description.id = `${this.control.id}-description`;
    description.textContent = text;
    this.control.setAttribute("aria-describedby", description.id);
    this.element.append(description);
  }

  /**
   * Take over what was chosen in the field of the same name of another work, if that can be chosen here.
   * @param {Field} other
   */
  copy(other) {
    const { control } = this;
    const { control: chosen } = other;
    if (chosen.type !== control.type || isText(other.parameter) !== isText(this.parameter)) return;
    if (control instanceof HTMLSelectElement && !hasChoice(control, chosen.value)) return;
    if (control instanceof HTMLInputElement && chosen instanceof HTMLInputElement) {
      control.checked = chosen.checked;
    }
    control.value = chosen.value;
    this.changed = true;
  }

  /**
   * The value as JSON, or undefined to leave it to the server, whose defaults not every control can show.
   * Throws a sentence about what is not JSON.
   * @returns {string | undefined}
   */
  read() {
    const { control, parameter } = this;
    if (!this.changed && !parameter.required) return undefined;
    if (control instanceof HTMLInputElement && control.type === "checkbox") return String(control.checked);
    if (control.value === "") return this.#readEmpty();
    if (control.type === "datetime-local") return JSON.stringify(new Date(control.value)); // with a time zone
    if (control.type === "number") return inJson(control.value);
    if (isText(parameter)) return JSON.stringify(control.value);
    try {
      JSON.parse(control.value);
      return control.value; // with all its digits
    } catch {
      throw new Error(`${parameter.name}: this is not JSON, such as 1, "text", [1, 2] or {"key": true}.`);
    }
  }

  #readEmpty() {
    const { nullable, schema } = this.parameter;
    if (nullable) return "null";
    return isText(this.parameter) && "default" in schema ? '""' : undefined;
  }
}

/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Control */

/** What there is to choose from, if that is given. @param {Schema} schema @returns {unknown[] | undefined} */
const choicesOf = (schema) => ("const" in schema ? [schema.const] : schema.enum);

/** Whether the value is what was typed, and not JSON. @param {Parameter} parameter */
const isText = ({ schema }) => schema.type === "string" && !choicesOf(schema);

/** @param {HTMLSelectElement} select @param {string} choice */
const hasChoice = (select, choice) => [...select.options].some(({ value }) => value === choice);

/** A number as JSON has it, which knows no `.5` and no `05`; with all its digits. @param {string} typed */
const inJson = (typed) => String(/^-?\d+$/.test(typed) ? BigInt(typed) : Number(typed));

/** @type {(parameter: Parameter) => Control} */
function createControl(parameter) {
  const { schema, nullable } = parameter;
  const choices = choicesOf(schema);
  if (choices) return createSelect(parameter, choices, String);
  switch (schema.type) {
    case "boolean":
      return nullable ? createSelect(parameter, [true, false], yesOrNo) : createCheckbox(schema);
    case "integer":
    case "number":
      return createNumber(parameter);
    case "string":
      return createText(parameter);
  }
  return createJson(schema);
}

/** @param {unknown} choice */
const yesOrNo = (choice) => (choice ? "yes" : "no");

/**
 * @param {Parameter} parameter
 * @param {unknown[]} choices
 * @param {(choice: unknown) => string} textOf
 */
function createSelect({ schema, nullable }, choices, textOf) {
  const select = document.createElement("select");
  const options = choices.map((each) => new Option(textOf(each), JSON.stringify(each)));
  const initial = options.find(({ value }) => value === JSON.stringify(schema.default));
  if (initial) initial.defaultSelected = true;
  if (nullable || !initial) select.append(new Option("—", ""));
  select.append(...options);
  return select;
}

/**
 * An input that shows the default; another control if that has several lines.
 * @param {Parameter} parameter
 * @param {string} type
 * @param {string} [shown]
 */
function createInput({ schema, nullable, required }, type, shown = String(schema.default ?? "")) {
  const isLong = /[\r\n]/.test(shown);
  const control = document.createElement(isLong ? "textarea" : "input");
  if (control instanceof HTMLInputElement) control.type = type;
  if (nullable || (!required && shown === "")) control.placeholder = "optional";
  control.value = shown;
  return control;
}

/** @param {Schema} schema */
function createCheckbox(schema) {
  const input = document.createElement("input");
  input.type = "checkbox";
  input.defaultChecked = schema.default === true;
  return input;
}

/** @param {Parameter} parameter */
function createNumber(parameter) {
  const { schema } = parameter;
  const isShown = schema.type === "number" || Number.isSafeInteger(schema.default ?? 0);
  const input = /** @type {HTMLInputElement} */ (createInput(parameter, "number", isShown ? undefined : ""));
  const { multipleOf, exclusiveMinimum, exclusiveMaximum } = schema;
  const whole = schema.type === "integer" ? 1 : 0; // no field can exclude a bound of its own
  const minimum = schema.minimum ?? (exclusiveMinimum === undefined ? undefined : exclusiveMinimum + whole);
  const maximum = schema.maximum ?? (exclusiveMaximum === undefined ? undefined : exclusiveMaximum - whole);
  if (minimum !== undefined) input.min = minimum;
  if (maximum !== undefined) input.max = maximum;
  // A field counts its steps from its minimum, a schema from zero.
  input.step = multipleOf && (minimum ?? 0) % multipleOf === 0 ? multipleOf : whole || "any";
  return input;
}

/** How text in a format is edited, and what it looks like where the browser doesn't say. @type {Schema} */
const FORMATS = {
  date: { type: "date" },
  "date-time": { type: "datetime-local" },
  time: { type: "time" },
  duration: { hint: "P1DT2H30M" },
  email: { type: "email" },
  password: { type: "password" },
  uri: { type: "url", hint: "https://example.com" },
};

/**
 * A default as an input of this type shows it: a moment in the time zone of the reader; a secret, which comes
 * as asterisks, not at all.
 * @type {(text: string, type: string) => string}
 */
function shownDefault(text, type) {
  if (type === "password") return "";
  const date = new Date(text);
  if (type !== "datetime-local" || Number.isNaN(date.getTime())) return text; // such as "now"
  return new Date(date.getTime() - 60_000 * date.getTimezoneOffset()).toISOString().slice(0, 19);
}

/** @param {Parameter} parameter */
function createText(parameter) {
  const { schema } = parameter;
  const { type = "text", hint = "" } = FORMATS[schema.format] ?? {};
  const shown = shownDefault(schema.default ?? "", type);
  let input = createInput(parameter, type, shown);
  if (input.value === "" && shown !== "") input = createInput(parameter, "text", shown); // a time with its zone
  if (input instanceof HTMLInputElement && type.includes("time")) input.step = "1";
  if (hint) input.placeholder = hint;
  input.dir = "auto";
  return input;
}

/** @param {Schema} schema */
function createJson(schema) {
  const area = document.createElement("textarea");
  area.placeholder = "JSON";
  area.rows = 2;
  area.spellcheck = false;
  if (schema.default != null) area.value = JSON.stringify(schema.default);
  return area;
}

/** fail_at → Fail at @param {string} name */
const inWords = (name) => name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");

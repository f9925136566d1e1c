// What is inside an element: the parts, and what they show.

import { hasEnded, isMoving } from "../source/snapshot.js";
import { stylesIn } from "./styles.js";
import { Transcript } from "./transcript.js";
import { NO_TASK, WAITING, inOneWord, inPath, inText, messageOf, timeInWords } from "./words.js";

/** @typedef {import("../source/snapshot.js").Snapshot} Snapshot */

/**
 * All that there is to show.
 * @typedef {object} Shown
 * @property {Snapshot | null} snapshot
 * @property {import("../source/errors.js").TaskSourceError | null} error why nothing will follow
 * @property {import("../source/events.js").State} state
 * @property {string} problem what is wrong with the connection
 * @property {string} refusal why the task could not be cancelled
 * @property {boolean} cancelling
 * @property {boolean} showsOutput
 * @property {boolean} hasTask whether there is an address
 * @property {string} server whose clock the times are of
 */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} part
 * @param {Node[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
function create(tag, part, ...children) {
  const element = document.createElement(tag);
  element.className = part;
  element.setAttribute("part", part);
  element.append(...children);
  return element;
}

/**
 * A slot, and what stands there unless the page puts something else into it.
 * @type {(name: string, ...children: Node[]) => HTMLSlotElement}
 */
function slot(name, ...children) {
  const element = document.createElement("slot");
  element.name = name;
  element.append(...children);
  return element;
}

/**
 * Set those of the properties that are to change: what is set is laid out and read out anew, the same text too.
 * @template {Node} Target
 * @param {Target} element
 * @param {Partial<Target>} properties
 */
function update(element, properties) {
  for (const name of /** @type {(keyof Target)[]} */ (Object.keys(properties))) {
    const value = /** @type {Target[keyof Target]} */ (properties[name]);
    if (element[name] === value) continue;
    const text = name === "textContent" ? element.firstChild : null;
    if (text instanceof Text) text.data = String(value); // thousands of new nodes a second are garbage
    else element[name] = value;
  }
}

/** @type {IntersectionObserver | undefined} one for all elements */
let sight;

/** Tell cards that are out of sight from the others. @param {IntersectionObserverEntry[]} entries */
function noteSight(entries) {
  for (const { target, isIntersecting } of entries) target.classList.toggle("away", !isIntersecting);
}

/** @type {ResizeObserver | undefined} one for all elements */
let size;

/** Let the keyboard reach what scrolls, when it has been laid out. @param {ResizeObserverEntry[]} entries */
function noteSize(entries) {
  for (const { target } of entries) {
    if (target.scrollHeight > target.clientHeight) target.setAttribute("tabindex", "0");
    else target.removeAttribute("tabindex");
  }
}

export class View {
  name = create("bdi", "name");
  badge = create("span", "badge");
  fill = create("div", "fill");
  bar = create("div", "bar", this.fill);
  percent = create("span", "percent");
  track = create("div", "track", this.bar, this.percent);
  steps = create("p", "steps");
  message = create("p", "message");
  time = create("p", "time");
  output = create("pre", "output");
  transcript = new Transcript(this.output);
  result = create("pre", "result");
  problem = create("p", "problem");
  refusal = create("p", "problem");
  cancel = create("button", "cancel");
  announcement = create("p", "announcement");
  actions = slot("actions");
  footer = create("div", "footer", this.actions, this.cancel);
  card = create(
    "div",
    "card",
    create("div", "header", slot("name", this.name), this.badge),
    this.track,
    this.steps,
    create("div", "details", this.message, this.result, this.time),
    this.output,
    this.problem,
    this.refusal,
    this.footer,
  );

  /** @param {ShadowRoot} root */
  constructor(root) {
    this.root = root;
    this.adopt();
    this.card.role = "group";
    this.card.tabIndex = -1;
    this.bar.role = "progressbar";
    this.bar.ariaValueMin = "0";
    this.bar.ariaValueMax = "100";
    this.message.dir = "auto";
    this.output.role = "log";
    this.output.ariaLabel = "Output";
    this.output.ariaLive = "off"; // it would be read out while it is written
    this.output.tabIndex = 0;
    this.result.role = "group";
    this.result.ariaLabel = "Result";
    this.refusal.role = "alert";
    this.cancel.type = "button";
    this.cancel.textContent = "Cancel";
    this.announcement.role = "status";
    root.append(this.card, this.announcement); // which is heard when the card is out of sight, too
    sight ??= new IntersectionObserver(noteSight, { rootMargin: "20%" });
    sight.observe(this.card);
    size ??= new ResizeObserver(noteSize);
    size.observe(this.result);
  }

  /** Take the style sheet of the document, without which a view that has come from another one is. */
  adopt() {
    this.root.adoptedStyleSheets = stylesIn(this.root.ownerDocument);
  }

  /** As text only: a name may look like HTML. @param {Shown} shown */
  render(shown) {
    const { snapshot, error, state, problem, refusal, cancelling, showsOutput, hasTask } = shown;
    const status = statusOf(snapshot, error);
    const name = snapshot?.name ?? "Task";
    update(this.card, { ariaLabel: name });
    update(this.name, { textContent: name });
    update(this.badge, { textContent: inOneWord(status) });
    const waiting = hasTask ? WAITING : NO_TASK;
    update(this.message, { textContent: snapshot ? messageOf(snapshot) : (error?.message ?? waiting) });
    update(this.track, { hidden: status === "FORGOTTEN" && snapshot === null });
    this.#renderSteps(inPath(snapshot?.steps)); // where it stopped, if it did
    this.#renderBar(name, snapshot?.progress, isMoving(snapshot));
    const result = status === "SUCCESS" ? (snapshot?.data ?? null) : null;
    update(this.result, { hidden: result === null, textContent: result === null ? "" : inText(result) });
    update(this.output, { hidden: !showsOutput });
    // What is known of the task stays in sight.
    const whyLost = snapshot && error ? error.message : "";
    update(this.problem, { textContent: error ? whyLost : inWords(state, problem) });
    if (this.problem.dataset.state !== state) this.problem.dataset.state = state;
    update(this.refusal, { textContent: refusal });
    this.#renderCancel(name, error !== null || hasEnded(snapshot), cancelling, hasTask);
    this.renderTime(shown);
  }

  /** What is the task's, in any script, turns nothing around it. @param {string[]} pieces */
  #renderSteps(pieces) {
    const { steps } = this;
    update(steps, { hidden: pieces.length === 0 });
    while (steps.childNodes.length > pieces.length) steps.lastChild?.remove();
    pieces.forEach((textContent, index) => {
      const created = () => (index % 2 ? document.createElement("bdi") : new Text());
      update(steps.childNodes[index] ?? steps.appendChild(created()), { textContent });
    });
  }

  /** @param {string} name @param {number | undefined} progress @param {boolean} moving */
  #renderBar(name, progress, moving) {
    const isKnown = progress !== undefined && !moving;
    update(this.bar, { ariaLabel: name, ariaValueNow: isKnown ? String(progress) : null });
    update(this.percent, { textContent: moving ? "" : `${progress ?? 0} %` });
    this.bar.classList.toggle("moving", moving);
    this.fill.style.scale = `${(progress ?? 0) / 100} 1`;
  }

  /** @param {string} name @param {boolean} isOver @param {boolean} cancelling @param {boolean} hasTask */
  #renderCancel(name, isOver, cancelling, hasTask) {
    const hasFocus = /** @type {ShadowRoot} */ (this.card.getRootNode()).activeElement === this.cancel;
    if ((isOver || !hasTask) && hasFocus) this.card.focus(); // or it would be lost
    this.cancel.style.visibility = hasTask ? "" : "hidden"; // it keeps its place
    update(this.cancel, { hidden: isOver, ariaLabel: `Cancel: ${name}`, ariaDisabled: String(cancelling) });
    update(this.footer, { hidden: isOver && this.actions.assignedNodes().length === 0 });
  }

  /** @param {Shown} shown */
  renderTime({ snapshot, error, state, server }) {
    if (state === "reconnecting" && !error) return; // what happens meanwhile nobody here knows
    update(this.time, { textContent: error ? "" : timeInWords(snapshot, hasEnded(snapshot), server) });
  }

  /** Have it said by a screen reader. @param {string} text */
  announce(text) {
    this.announcement.textContent = text;
  }
}

/**
 * @type {(snapshot: Snapshot | null, error: import("../source/errors.js").TaskSourceError | null) => string}
 */
export function statusOf(snapshot, error) {
  return error?.code === "not-found" ? "FORGOTTEN" : (snapshot?.status ?? "");
}

/**
 * What is wrong with the connection, while something is.
 * @type {(state: import("../source/events.js").State, problem: string) => string}
 */
function inWords(state, problem) {
  if (state === "reconnecting") return `${problem} Trying again.`;
  return state === "polling" || state === "failed" ? problem : "";
}

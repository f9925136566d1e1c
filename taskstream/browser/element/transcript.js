// What a task has said, in a box that scrolls: its end only, however much it is.

import { PlainText } from "./plain-text.js";

const MAX_CHARACTERS = 256 * 1024;
const SLACK_CHARACTERS = 32 * 1024; // all lines are laid out anew when the first ones go: not each time
const NODE_CHARACTERS = 4096;
const NEAR_PIXELS = 40;
const JUMP = 1e9; // no number of events: Redis may have lost some, nobody knows how many

/**
 * What is said of so many events.
 * @param {number} count
 */
function gone(count) {
  if (count >= JUMP) return "… earlier events may be gone: the server's Redis was restarted";
  return count === 1 ? "… 1 earlier event is gone" : `… ${count} earlier events are gone`;
}

export class Transcript {
  #plain = new PlainText();
  #length = 0;
  #lostTo = 0;
  /** Whether the end is to be kept in sight; null until something is added. @type {boolean | null} */
  #isFollowing = null;
  #cut;

  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    this.#cut = createNote("… earlier output is not shown");
  }

  get isEmpty() {
    return !this.element.hasChildNodes();
  }

  clear() {
    this.element.replaceChildren();
    this.#plain = new PlainText();
    this.#length = 0;
    this.#lostTo = 0;
  }

  /** Append, and keep the end in sight unless the reader has scrolled up. @param {string} piece */
  append(piece) {
    const text = this.#plain.add(piece);
    if (text === "") return;
    this.#prepare();
    const { lastChild } = this.element;
    // What a reader has selected stays so: no node is replaced.
    if (lastChild instanceof Text && lastChild.length < NODE_CHARACTERS) lastChild.appendData(text);
    else this.element.append(text);
    this.#length += text.length;
  }

  /**
   * Say that the server had to leave out events, unless that was said on the connection before.
   * @param {{ from: number, to: number }} lost
   */
  lose({ from, to }) {
    const count = to - Math.max(from - 1, this.#lostTo);
    this.#lostTo = Math.max(this.#lostTo, to);
    if (count <= 0) return;
    this.#prepare();
    this.element.append(createNote(gone(count)));
  }

  /** Look where the reader is before anything changes: once for all that comes at the same moment. */
  #prepare() {
    if (this.#isFollowing !== null) return;
    const { scrollHeight, scrollTop, clientHeight } = this.element;
    this.#isFollowing = scrollHeight - scrollTop - clientHeight < NEAR_PIXELS;
    queueMicrotask(() => this.#settle());
  }

  #settle() {
    const { element } = this;
    if (this.#length > MAX_CHARACTERS + SLACK_CHARACTERS) this.#forget(this.#length - MAX_CHARACTERS);
    if (this.#isFollowing) element.scrollTop = element.scrollHeight;
    this.#isFollowing = null;
  }

  /** Remove so many characters from the top, and what is left of that line. @param {number} excess */
  #forget(excess) {
    const { element } = this;
    const { scrollHeight, scrollTop } = element;
    this.#cut.remove();
    while (excess > 0 && element.firstChild) {
      const oldest = element.firstChild;
      if (!(oldest instanceof Text)) {
        oldest.remove(); // a note
        continue;
      }
      const lineEnd = oldest.data.indexOf("\n", excess - 1) + 1;
      const count = Math.min(oldest.length, lineEnd || excess);
      if (count < oldest.length) oldest.deleteData(0, count);
      else oldest.remove();
      this.#length -= count;
      excess -= count;
    }
    element.prepend(this.#cut);
    element.scrollTop = scrollTop - (scrollHeight - element.scrollHeight); // for who has scrolled up
  }
}

/** Our words among the task's. @param {string} text */
function createNote(text) {
  const element = document.createElement("span");
  element.className = "note";
  element.textContent = text;
  return element;
}

// What a task has said, in a box that scrolls: its end only, however much it is.

import { PlainText } from "./plain-text.js";

const MAX_CHARACTERS = 256 * 1024;
const SLACK_CHARACTERS = 32 * 1024; // all lines are laid out anew when the first ones go: not each time
const BLOCK_CHARACTERS = 4096;
const LINE_END = /[^\n]\n(?=[^])/g; // not of an empty line: as the last of a block it would be lost
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
  /** What the next frame will show. */
  #waiting = "";
  /** @type {number | null} the request for that frame */
  #frame = null;
  #length = 0;
  #lostTo = 0;
  /** Whether the end is to be kept in sight. */
  #isFollowing = true;
  #scrollTop = 0;
  #cut;

  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    this.#cut = createSpan("note", "… earlier output is not shown");
    element.addEventListener("scroll", () => this.#scrolled());
  }

  get isEmpty() {
    return this.#waiting === "" && !this.element.hasChildNodes();
  }

  clear() {
    this.element.replaceChildren();
    this.#plain = new PlainText();
    this.#waiting = "";
    this.#length = 0;
    this.#lostTo = 0;
    this.#isFollowing = true;
  }

  /** Append, and keep the end in sight unless the reader has scrolled up. @param {string} piece */
  append(piece) {
    this.#waiting += this.#plain.add(piece);
    this.#frame ??= requestAnimationFrame(() => this.show());
    if (this.#waiting.length > MAX_CHARACTERS) this.show(); // there are no frames while nobody looks
  }

  /**
   * Say that the server had to leave out events, unless that was said on the connection before.
   * @param {{ from: number, to: number }} lost
   */
  lose({ from, to }) {
    const count = to - Math.max(from - 1, this.#lostTo);
    this.#lostTo = Math.max(this.#lostTo, to);
    if (count <= 0) return;
    this.show();
    this.element.append(createSpan("note", gone(count)));
    this.#length += gone(count).length;
    this.append(""); // in the next frame the end is in sight
  }

  /** Notice whether the reader goes up, or down to the end. */
  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.element;
    const near = scrollTop < this.#scrollTop ? 1 : NEAR_PIXELS;
    this.#isFollowing = scrollHeight - scrollTop - clientHeight < near;
    this.#scrollTop = scrollTop;
  }

  /** Show what waits, which happens once a frame: each time is a layout. */
  show() {
    cancelAnimationFrame(this.#frame ?? 0);
    this.#frame = null;
    this.#write(this.#waiting);
    this.#waiting = "";
    if (this.#length > MAX_CHARACTERS + SLACK_CHARACTERS) this.#forget(this.#length - MAX_CHARACTERS);
    if (!this.#isFollowing) return;
    this.element.scrollTop = this.element.scrollHeight;
    this.#scrollTop = this.element.scrollTop;
  }

  /**
   * Add text to the last block, of which there are many: only that one is laid out anew. What a reader has
   * selected stays so, as no node is replaced.
   * @param {string} text
   */
  #write(text) {
    this.#length += text.length;
    while (text !== "") {
      const { lastChild } = this.element;
      const block = lastChild instanceof Text ? lastChild : new Text();
      if (block !== lastChild) this.element.append(block);
      LINE_END.lastIndex = Math.max(0, BLOCK_CHARACTERS - block.length);
      const end = (LINE_END.exec(text)?.index ?? text.length) + 1;
      block.appendData(text.slice(0, end));
      if (end < text.length) this.element.append(createSpan("line-end", "\n"));
      text = text.slice(end + 1);
    }
  }

  /** Remove so many characters from the top, and what is left of their block. @param {number} excess */
  #forget(excess) {
    const { element } = this;
    const { scrollHeight, scrollTop } = element;
    this.#cut.remove();
    const kept = this.#length - excess;
    while (this.#length > kept && element.firstChild) {
      const oldest = element.firstChild;
      const isOnly = oldest instanceof Text && oldest === element.lastChild; // one line without end
      const count = isOnly ? this.#length - kept : (oldest.textContent ?? "").length;
      if (isOnly) oldest.deleteData(0, count);
      else oldest.remove();
      this.#length -= count;
    }
    element.prepend(this.#cut);
    element.scrollTop = scrollTop - (scrollHeight - element.scrollHeight); // for who has scrolled up
  }
}

/** @param {string} className @param {string} text */
function createSpan(className, text) {
  const element = document.createElement("span");
  element.className = className;
  element.textContent = text;
  return element;
}

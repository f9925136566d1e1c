// What stands in the pane "On the wire": its end only, however long the stream is.

const KEPT_CHARACTERS = 64 * 1024;
const FIELD = /^(id:|retry:|event:|data:|:)/m;
const BETWEEN_FIELDS = /(?<=,)(?=")|(?=\n)/; // of JSON, where a line may be broken; and at the end of a line
const REARRANGING = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g; // marks that turn text around

export class Bytes {
  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
  }

  clear() {
    this.element.replaceChildren();
  }

  /** Have the end in sight, and keep it there. */
  showEnd() {
    this.element.scrollTop = this.element.scrollHeight;
    this.element.scrollIntoView({ block: "nearest" });
  }

  /**
   * Append, and keep the end in sight unless the reader has scrolled up.
   * @param {"request" | "response" | "bytes" | "note"} kind
   * @param {string} text
   */
  print(kind, text) {
    const { element } = this;
    const isFollowing = element.scrollHeight - element.scrollTop - element.clientHeight < 40;
    const parts = kind === "bytes" ? text.split(FIELD) : [text];
    parts.forEach((part, index) => element.append(span(index % 2 ? "field" : kind, part)));
    this.#forget((element.textContent ?? "").length - KEPT_CHARACTERS);
    if (isFollowing) element.scrollTop = element.scrollHeight;
  }

  /** Remove so many characters from the top, if the number is positive. @param {number} excess */
  #forget(excess) {
    while (excess > 0 && this.element.firstChild) {
      const oldest = this.element.firstChild;
      const text = oldest.textContent ?? "";
      if (text.length > excess) oldest.textContent = text.slice(excess);
      else oldest.remove();
      excess -= text.length;
    }
  }
}

/** @param {string} kind @param {string} text */
function span(kind, text) {
  const element = document.createElement("span");
  element.className = kind;
  for (const piece of text.replace(REARRANGING, escape).split(BETWEEN_FIELDS)) {
    element.append(/^[{"]/.test(piece) ? unbroken(piece) : piece);
  }
  return element;
}

/** A field of JSON, which moves to the next line as a whole. @param {string} text */
function unbroken(text) {
  const element = document.createElement("span");
  element.className = "unbroken";
  element.append(text);
  return element;
}

/** @param {string} mark */
const escape = (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`;

// Output as text for a page: without what a terminal would obey.

/**
 * What sets a colour or moves the cursor (CSI), what names a window or an address (OSC; one that nobody ends
 * ends with its line), and what chooses a character set, or is as short (ECMA-48, ECMA-35).
 */
const ESCAPE_SEQUENCE = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\r\n]*(?:\x07|\x1b\\|(?=[\r\n]))|[ -/]*[0-~])/g;

/** The end of a piece, where it may be cut off; one that is too long is none. */
const INCOMPLETE = /(?:\r|\x1b(?:\[[0-?]{0,99}[ -/]{0,9}|\][^\x07\x1b\r\n]{0,2000}[\x1b\r]?|[ -/]{0,9}))$/;

/** A terminal would go back and write over the line, as bars do; a page has a line for each. */
const LINE_END = /\r*\n|\r+/g;

/** Output that comes in pieces, whose bounds may be anywhere. */
export class PlainText {
  #rest = "";

  /** What can be shown now. @param {string} piece */
  add(piece) {
    const text = this.#rest + piece;
    this.#rest = INCOMPLETE.exec(text)?.[0] ?? "";
    const complete = text.slice(0, text.length - this.#rest.length);
    return complete.replace(ESCAPE_SEQUENCE, "").replace(LINE_END, "\n");
  }
}

// Two columns on one axis of time: what happened on the broken side, and on the fixed one.

const ROW_SECONDS = 0.05; // moments that are closer than this share a row
const PIXELS_PER_SECOND = 60;
const ICONS = {
  request: "→", response: "←", bytes: "·", event: "●", end: "■", cut: "✂", wait: "…",
  silence: "∅", closed: "✕", work: "⚙", server: "!", page: "▣",
};
const MEANINGS = {
  request: "a request", response: "the head of an answer", bytes: "bytes", event: "an event", end: "the end of a stream",
  cut: "a cut", wait: "EventSource waits", silence: "silence", closed: "a viewer stops", work: "work",
  server: "the server", page: "a page",
};
const NAMES = { "/broken": "broken", "/fixed": "fixed" };

/** What the signs mean. */
export const LEGEND = [
  ...Object.entries(ICONS).map(([kind, icon]) => `${icon} ${MEANINGS[kind]}`), "A, B … viewers",
];

export class Timeline {
  #list;
  #pages;

  constructor(list, pages) {
    this.#list = list;
    this.#pages = pages;
  }

  clear() {
    this.#list.replaceChildren();
    this.#pages.replaceChildren();
    this.#pages.hidden = true;
  }

  /** Adds what happened on one side. */
  add(side, moment) {
    const cell = this.#row(moment.at).querySelector(`.${NAMES[side]}`);
    const line = document.createElement("div");
    line.className = `moment ${moment.kind}`;
    line.append(
      span("icon", ICONS[moment.kind], { title: moment.kind }),
      span("viewer", moment.viewer, { title: moment.viewer ? `viewer ${moment.viewer}` : "the server" }),
      span("text", moment.text),
    );
    cell.append(line);
  }

  /** Shows the page of a side, as its server and its recorder deliver it. */
  open(side, url) {
    this.#pages.hidden = false;
    const frame = Object.assign(document.createElement("iframe"), { src: url, title: `The ${NAMES[side]} page` });
    frame.style.order = side === "/broken" ? 0 : 1;
    this.#pages.append(frame);
  }

  /** Marks the moment at which the sides part. */
  markPart(at) {
    if (at === null) return;
    const bucket = Math.floor(at / ROW_SECONDS + 1e-6);
    const row = [...this.#list.querySelectorAll(".row")].find((each) => Number(each.dataset.bucket) >= bucket);
    row?.before(Object.assign(document.createElement("li"), { className: "part", textContent: "here they part" }));
  }

  #row(at) {
    const bucket = Math.floor(at / ROW_SECONDS + 1e-6);
    const rows = this.#list.querySelectorAll(".row");
    const before = [...rows].findLast((row) => Number(row.dataset.bucket) <= bucket);
    if (before && Number(before.dataset.bucket) === bucket) return before;
    const row = document.createElement("li");
    row.className = "row";
    row.dataset.bucket = bucket;
    const time = span("time", "");
    time.append(span("", at.toFixed(2)));
    row.append(cell("broken"), time, cell("fixed"));
    if (before) before.after(row);
    else this.#list.prepend(row);
    for (const each of [row, row.nextElementSibling]) this.#space(each);
    return row;
  }

  /** The distance to the row before shows how long nothing happened. */
  #space(row) {
    const before = row?.previousElementSibling;
    if (!before?.dataset.bucket) return;
    const seconds = (Number(row.dataset.bucket) - Number(before.dataset.bucket) - 1) * ROW_SECONDS;
    row.style.setProperty("--gap", `${Math.min(90, Math.max(0, seconds * PIXELS_PER_SECOND))}px`);
  }
}

function cell(side) {
  const group = span(`side ${side}`, "");
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", side);
  return group;
}

function span(className, textContent, attributes = {}) {
  return Object.assign(document.createElement("span"), { className, textContent, ...attributes });
}

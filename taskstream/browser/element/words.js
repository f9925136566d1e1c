// What an element says of a task: its state, its result, and the time it takes.

/** @typedef {import("../source/snapshot.js").Snapshot} Snapshot */
/** @typedef {import("../source/snapshot.js").Step} Step */

export const WAITING = "Waiting for the server";
export const NO_TASK = "No task yet";

/** The states in words for people, and what the server's own message is while there is no other. */
const STATES = new Map([
  ["PENDING", { word: "Waiting", message: "Waiting to start" }],
  ["STARTED", { word: "Running", message: "Started" }],
  ["PROGRESS", { word: "Running", message: "" }],
  ["SUCCESS", { word: "Done", message: "Done" }],
  ["FAILURE", { word: "Failed", message: "" }],
  ["REVOKED", { word: "Cancelled", message: "Cancelled" }],
  ["FORGOTTEN", { word: "Not found", message: "" }],
]);

/** The state of a task in one word. @param {string} status */
export const inOneWord = (status) => STATES.get(status)?.word ?? status;

/** The message, unless it says no more than that word, or than the path. @param {Snapshot} snapshot */
export function messageOf({ status, message, steps = [] }) {
  const isInPath = steps.length > 1 && message.startsWith(`${steps.at(-1)?.label}: `);
  return isInPath || STATES.get(status)?.message === message ? "" : message;
}

/** The result as text, on one line if it is short. @param {unknown} data */
export function inText(data) {
  if (typeof data === "string") return data;
  const line = JSON.stringify(data);
  return line.length < 60 ? line : JSON.stringify(data, null, 2);
}

const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const BYTES = ["B", "kB", "MB", "GB", "TB", "PB"];

/**
 * Steps in one another, where there is more than one: Files 2/4 › Pages 3/5. Every other piece is the task's.
 * @param {Step[]} steps
 */
export const inPath = (steps = []) => (steps.length > 1 ? steps.flatMap(inNumbers) : []);

/** How far one step is. @param {Step} step @param {number} index */
function inNumbers({ label, done, total, unit = "" }, index) {
  const isBytes = unit === "B";
  let power = 0;
  while (isBytes && power < BYTES.length - 1 && (total ?? done) >= 1000 ** (power + 1)) power += 1;
  const [count, all] = [done, total].map((number) => NUMBER.format((number ?? 0) / 1000 ** power));
  const what = isBytes ? BYTES[power] : total === null ? unit : "";
  return [index > 0 ? " › " : "", label, ` ${total === null ? count : `${count}/${all}`} `, what ?? ""];
}

/**
 * By how much the page's clock, which nobody puts right, is ahead of that of each server, in ms: no event came
 * faster than it did.
 * @type {Map<string, number>}
 */
const clocksAhead = new Map();

/** Compare the clocks. @param {Snapshot} snapshot @param {string} server */
export function noteTime({ updated_at }, server) {
  const ahead = performance.now() - Date.parse(updated_at);
  const known = clocksAhead.get(server) ?? Infinity;
  if (ahead < known) clocksAhead.set(server, ahead); // and not if there is no time
}

/**
 * The time since the start, and until the end, where that can be known. It passes without events too.
 * @param {Snapshot | null} snapshot
 * @param {boolean} ended
 * @param {string} server
 */
export function timeInWords(snapshot, ended, server) {
  if (!snapshot?.started_at) return "";
  const started = Date.parse(snapshot.started_at);
  const updated = Date.parse(snapshot.updated_at);
  if (ended) return `took ${duration(updated - started)}`;
  const ahead = clocksAhead.get(server) ?? performance.now() - updated; // no event has come yet
  const elapsed = performance.now() - ahead - started;
  const { progress, steps = [] } = snapshot; // which stands still while an unknown number is counted
  if (progress === 0 || steps.some(({ total }) => total === null)) return duration(elapsed);
  const total = ((updated - started) * 100) / progress;
  return `${duration(elapsed)} · about ${duration(total - elapsed)} left`;
}

/** 5 s, 2 min 05 s, 1 h 30 min. @param {number} milliseconds */
function duration(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} min`;
}

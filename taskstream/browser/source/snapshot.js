// Snapshots: what is known of a task at one moment, and what may follow what.

/**
 * How far something is that a task counts.
 * @typedef {object} Step
 * @property {string} label
 * @property {number} done
 * @property {number | null} total null where it isn't known
 * @property {string} [unit] what is counted; "B" are bytes
 */

/**
 * All there is to show of a task at one moment: the data of one event.
 * @typedef {object} Snapshot
 * @property {string} task_id
 * @property {string} name
 * @property {"PENDING" | "STARTED" | "PROGRESS" | "SUCCESS" | "FAILURE" | "REVOKED"} status
 * @property {number} progress a whole percentage
 * @property {string} message for people
 * @property {Step[]} [steps] what is counted at the moment, outermost first; an old server has none
 * @property {unknown} data details while it runs, the result on SUCCESS
 * @property {string | null} started_at ISO 8601, null while PENDING
 * @property {string} updated_at ISO 8601
 */

const BEGINNING = ["PENDING", "STARTED", "PROGRESS"];
const ENDED = new Set(["SUCCESS", "FAILURE", "REVOKED"]);

/** Whoever is further behind than this lives by another clock: the server's has been set back. */
const STALE_MILLISECONDS = 30_000;

/** @type {WeakSet<Snapshot>} those to which the server gave no time */
const undated = new WeakSet();

/**
 * The same snapshot, with what another version of the server may leave out.
 * @param {Snapshot} snapshot
 */
export function complete(snapshot) {
  snapshot.name ??= "Task";
  snapshot.status ??= "PENDING";
  snapshot.progress ??= snapshot.status === "SUCCESS" ? 100 : 0;
  snapshot.message ??= "";
  snapshot.steps ??= [];
  snapshot.data ??= null;
  snapshot.started_at ??= null;
  if (snapshot.updated_at == null) undated.add(snapshot);
  snapshot.updated_at ??= new Date().toISOString();
  return snapshot;
}

/** @param {Snapshot} snapshot */
const withoutTime = (snapshot) => JSON.stringify({ ...snapshot, updated_at: null });

/** Whether no other snapshot follows. @param {Snapshot | null} snapshot */
export const hasEnded = (snapshot) => snapshot !== null && ENDED.has(snapshot.status);

/**
 * Whether a task runs, and nobody knows how far it is.
 * @param {Snapshot | null} snapshot
 */
export function isMoving(snapshot) {
  if (snapshot === null || hasEnded(snapshot) || snapshot.status === "PENDING") return false;
  const { progress, steps = [] } = snapshot;
  return steps.length === 0 ? progress === 0 : steps[0]?.total === null;
}

/**
 * Whether a snapshot says something new: progress and status decide; if they are the same, time does, and then
 * what it says. One that was asked for may be older than what a stream has told meanwhile, and a server that
 * lags behind may repeat itself.
 * @param {Snapshot} next
 * @param {Snapshot | null} previous
 * @param {boolean} asked whether it is the answer to a request, and not from a stream
 */
export function isNews(next, previous, asked) {
  if (previous === null) return true;
  if (hasEnded(previous)) return false;
  if (hasEnded(next)) return true;
  if (next.progress !== previous.progress) return next.progress > previous.progress;
  if (next.status !== previous.status) return BEGINNING.indexOf(next.status) > BEGINNING.indexOf(previous.status);
  const hasSameTime = undated.has(next) || next.updated_at === previous.updated_at;
  if (hasSameTime) return withoutTime(next) !== withoutTime(previous);
  const behind = Date.parse(previous.updated_at) - Date.parse(next.updated_at);
  return !asked || !(behind > 0 && behind < STALE_MILLISECONDS);
}

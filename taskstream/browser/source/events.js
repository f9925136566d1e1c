// The events of a source, and what their details are.

/** @typedef {import("./snapshot.js").Snapshot} Snapshot */

/**
 * How a source is: the worst that its connections are, or how it has ended.
 * @typedef {"connecting" | "live" | "polling" | "reconnecting" | "paused"
 *   | "ended" | "failed" | "closed"} State
 */

/**
 * The detail of each event.
 * @typedef {object} TaskSourceEvents
 * @property {Snapshot} snapshot
 * @property {{ state: State, problem: string }} state
 * @property {Snapshot | null} end the last snapshot of a task; null if nothing more was said of it
 * @property {import("./errors.js").TaskSourceError} error why nothing more will come of a task
 * @property {{ text: string }} output
 * @property {{ from: number, to: number }} lost the events that the server had to leave out
 */

/**
 * @template Events
 * @typedef {<Type extends keyof Events>(
 *   type: Type, listener: ((event: CustomEvent<Events[Type]>) => void) | null,
 *   options?: boolean | AddEventListenerOptions
 * ) => void} Listen
 */

/**
 * What dispatches these events; by their names, the details.
 * @template Events
 * @typedef {object} Listening
 * @property {Listen<Events>} addEventListener
 * @property {Listen<Events>} removeEventListener
 * @property {(event: Event) => boolean} dispatchEvent
 */

/** An EventTarget, which knows the types of its events. */
export const TaskEvents = /** @type {new () => Listening<TaskSourceEvents>} */ (EventTarget);

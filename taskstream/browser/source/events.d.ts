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
export const TaskEvents: new () => Listening<TaskSourceEvents>;
export type Snapshot = import("./snapshot.js").Snapshot;
/**
 * How a source is: the worst that its connections are, or how it has ended.
 */
export type State = "connecting" | "live" | "polling" | "reconnecting" | "paused" | "ended" | "failed" | "closed";
/**
 * The detail of each event.
 */
export type TaskSourceEvents = {
    snapshot: Snapshot;
    state: {
        state: State;
        problem: string;
    };
    /**
     * the last snapshot of a task; null if nothing more was said of it
     */
    end: Snapshot | null;
    /**
     * why nothing more will come of a task
     */
    error: import("./errors.js").TaskSourceError;
    output: {
        text: string;
    };
    /**
     * the events that the server had to leave out
     */
    lost: {
        from: number;
        to: number;
    };
};
export type Listen<Events> = <Type extends keyof Events>(type: Type, listener: ((event: CustomEvent<Events[Type]>) => void) | null, options?: boolean | AddEventListenerOptions) => void;
/**
 * What dispatches these events; by their names, the details.
 */
export type Listening<Events> = {
    addEventListener: Listen<Events>;
    removeEventListener: Listen<Events>;
    dispatchEvent: (event: Event) => boolean;
};

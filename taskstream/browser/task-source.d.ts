declare const TaskSource_base: new () => import("./source/events.js").Listening<import("./source/events.js").TaskSourceEvents>;
/** A source of the snapshots of one task, or of many. */
export class TaskSource extends TaskSource_base {
    /**
     * @param {string | URL | Iterable<string | URL>} urls the address of a task, such as `…/tasks/ID`, or several
     * @param {TaskSourceOptions} [options]
     */
    constructor(urls: string | URL | Iterable<string | URL>, options?: TaskSourceOptions);
    /** @type {State} */
    state: State;
    /** What is wrong, in a sentence; empty if nothing is. */
    problem: string;
    /** The latest snapshot; of several tasks, that of the first. @returns {Snapshot | null} */
    get snapshot(): Snapshot | null;
    /** The latest snapshots, as far as there are any. */
    get snapshots(): import("./source/snapshot.js").Snapshot[];
    /** Let go: the last event says that the state is "closed". */
    close(): void;
    /**
     * Ask a task, or the one that there is, to stop; its snapshot, or whatever else the server answers.
     * Throws a TaskSourceError that says why that could not be asked for.
     * @param {string} [url]
     * @returns {Promise<Snapshot>}
     */
    cancel(url?: string): Promise<Snapshot>;
    /**
     * The snapshots, up to the last; one that is slow gets the latest of each task. Leaving the loop closes
     * the source. Throws a TaskSourceError if the source fails.
     * @returns {AsyncGenerator<Snapshot, void, undefined>}
     */
    [Symbol.asyncIterator](): AsyncGenerator<Snapshot, void, undefined>;
    #private;
}
export type Snapshot = import("./source/snapshot.js").Snapshot;
export type HeadersOption = import("./source/requests.js").HeadersOption;
export type State = import("./source/events.js").State;
export type TaskSourceEvents = import("./source/events.js").TaskSourceEvents;
export type TaskSourceOptions = {
    /**
     * of every request; a function is asked before each, and again, with
     * `{ renew: true }`, after a 401
     */
    headers?: import("./source/requests.js").HeadersOption | undefined;
    /**
     * as for fetch; "same-origin" unless told otherwise
     */
    credentials?: RequestCredentials | undefined;
    /**
     * closes the source
     */
    signal?: AbortSignal | undefined;
    /**
     * whether to read each snapshot of the one task, and its output, on a connection
     * of its own; without it sources share a connection, and the latest snapshot wins
     */
    output?: boolean | undefined;
    /**
     * after which a stream of which nothing has come is held back (5)
     */
    firstByteSeconds?: number | undefined;
    /**
     * after which a silent connection is dead: three heartbeats (45)
     */
    muteSeconds?: number | undefined;
    /**
     * between two questions while no stream gets through (2)
     */
    pollSeconds?: number | undefined;
    /**
     * between two questions while the page is hidden; 0 for none (0)
     */
    hiddenPollSeconds?: number | undefined;
};
import { TaskSourceError } from "./source/errors.js";
import { hasEnded } from "./source/snapshot.js";
export { TaskSourceError, hasEnded };

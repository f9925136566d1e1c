/**
 * The same snapshot, with what another version of the server may leave out.
 * @param {Snapshot} snapshot
 */
export function complete(snapshot: Snapshot): Snapshot;
/**
 * Whether a task runs, and nobody knows how far it is.
 * @param {Snapshot | null} snapshot
 */
export function isMoving(snapshot: Snapshot | null): boolean;
/**
 * Whether a snapshot says something new: progress and status decide; if they are the same, time does, and then
 * what it says. One that was asked for may be older than what a stream has told meanwhile, and a server that
 * lags behind may repeat itself.
 * @param {Snapshot} next
 * @param {Snapshot | null} previous
 * @param {boolean} asked whether it is the answer to a request, and not from a stream
 */
export function isNews(next: Snapshot, previous: Snapshot | null, asked: boolean): boolean;
export function hasEnded(snapshot: Snapshot | null): boolean;
/**
 * How far something is that a task counts.
 */
export type Step = {
    label: string;
    done: number;
    /**
     * null where it isn't known
     */
    total: number | null;
    /**
     * what is counted; "B" are bytes
     */
    unit?: string | undefined;
};
/**
 * All there is to show of a task at one moment: the data of one event.
 */
export type Snapshot = {
    task_id: string;
    name: string;
    status: "PENDING" | "STARTED" | "PROGRESS" | "SUCCESS" | "FAILURE" | "REVOKED";
    /**
     * a whole percentage
     */
    progress: number;
    /**
     * for people
     */
    message: string;
    /**
     * what is counted at the moment, outermost first; an old server has none
     */
    steps?: Step[] | undefined;
    /**
     * details while it runs, the result on SUCCESS
     */
    data: unknown;
    /**
     * ISO 8601, null while PENDING
     */
    started_at: string | null;
    /**
     * ISO 8601
     */
    updated_at: string;
};

/** For a task that is not known, in the server's words if it has some. @param {string | null} [detail] */
export function notFound(detail?: string | null): TaskSourceError;
/**
 * What an answer that is no success means. Its connection is free afterwards.
 * @param {Response} response
 */
export function refusal(response: Response): Promise<TaskSourceError>;
/** A failure in words for people. */
export class TaskSourceError extends Error {
    /**
     * @param {"not-found" | "unauthorized" | "refused" | "unreachable" | "unavailable" | "not-a-stream"
     *   | "mute" | "buffered" | "cut"} code
     * @param {string} message one sentence
     * @param {object} [details]
     * @param {number} [details.status] the HTTP status, if there was an answer
     * @param {number} [details.retryAfterSeconds] when the server wants to be asked again
     * @param {unknown} [details.cause]
     */
    constructor(code: "not-found" | "unauthorized" | "refused" | "unreachable" | "unavailable" | "not-a-stream" | "mute" | "buffered" | "cut", message: string, { status, retryAfterSeconds, cause }?: {
        status?: number | undefined;
        retryAfterSeconds?: number | undefined;
        cause?: unknown;
    });
    code: "mute" | "cut" | "not-found" | "unauthorized" | "refused" | "unreachable" | "unavailable" | "not-a-stream" | "buffered";
    /** @type {string | undefined} the task that it is about */
    taskId: string | undefined;
    status: number | undefined;
    retryAfterSeconds: number | undefined;
    /** Whether asking again is of no use. */
    get fatal(): boolean;
}

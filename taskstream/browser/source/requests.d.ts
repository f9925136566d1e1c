/**
 * What tells headers apart: functions by what they are, others by what they say.
 * @param {HeadersOption} headers
 */
export function keyOf(headers: HeadersOption): string;
/** Asks the server, with headers that are renewed once when it answers 401. */
export class Requests {
    /**
     * @param {HeadersOption} headers
     * @param {RequestCredentials} credentials
     */
    constructor(headers: HeadersOption, credentials: RequestCredentials);
    headers: [string, string][] | AskForHeaders;
    credentials: RequestCredentials;
    /**
     * The answer, of whatever status but 401. Throws a TaskSourceError if there is none.
     * @param {string} url
     * @param {RequestInit & { headers?: Record<string, string> }} init
     * @param {Time} time
     */
    send(url: string, init: RequestInit & {
        headers?: Record<string, string>;
    }, time: Time): Promise<Response>;
    /**
     * The snapshot that the server answers; to a POST whatever JSON it does, null for none. Throws a
     * TaskSourceError if it doesn't, within so many seconds.
     * @param {string} url
     * @param {number} seconds
     * @param {{ method?: "POST", signal?: AbortSignal, inTurn?: boolean }} [how]
     * @returns {Promise<any>}
     */
    json(url: string, seconds: number, { method, signal, inTurn }?: {
        method?: "POST";
        signal?: AbortSignal;
        inTurn?: boolean;
    }): Promise<any>;
    #private;
}
/**
 * Headers, or a function that is asked for them before each request; `renew` is true if the server has
 * refused those that it gave before.
 */
export type AskForHeaders = (details: {
    renew: boolean;
}) => HeadersInit | Promise<HeadersInit>;
/**
 * Headers, or a function that is asked for them before each request; `renew` is true if the server has
 * refused those that it gave before.
 */
export type HeadersOption = HeadersInit | AskForHeaders;
/**
 * The time that a request has, and its turn; no time passes while headers are asked for.
 */
export type Time = {
    signal: AbortSignal;
    take: () => Promise<void>;
    leave: () => void;
    begin: () => Promise<void>;
};

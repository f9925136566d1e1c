/**
 * Watch a task for as long as the component is there. Without an address (null) it waits for one.
 *
 * Components that give the same headers share a connection: an object that says the same, or a function that
 * is the same in each render. One that is made anew in each render works as well, on a connection of its own.
 * @param {string | null | undefined} url the address of the task, `…/tasks/ID`
 * @param {Omit<TaskSourceOptions, "signal">} [options]
 * @returns {TaskView & { cancel: () => Promise<Snapshot> }} `cancel` throws a TaskSourceError
 */
export function useTask(url: string | null | undefined, options?: Omit<TaskSourceOptions, "signal">): TaskView & {
    cancel: () => Promise<Snapshot>;
};
export { TaskSourceError };
export type Snapshot = import("./task-source.js").Snapshot;
export type TaskSourceOptions = import("./task-source.js").TaskSourceOptions;
export type AskForHeaders = Extract<TaskSourceOptions["headers"], Function>;
/**
 * What a component shows.
 */
export type TaskView = {
    /**
     * the latest
     */
    snapshot: Snapshot | null;
    /**
     * all text so far; empty without the option `output`
     */
    output: string;
    /**
     * "idle" without an address
     */
    state: import("./source/events.js").State | "idle";
    /**
     * what is wrong, in a sentence; empty if nothing is
     */
    problem: string;
    /**
     * why nothing more will come
     */
    error: TaskSourceError | null;
};
import { TaskSourceError } from "./task-source.js";

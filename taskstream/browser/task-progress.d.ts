/// <reference path="element/tag.d.ts" preserve="true" />
declare const TaskProgress_base: new () => Listening<TaskProgressEvents> & HTMLElement;
/**
 * Shows a task. Attributes: `src`, and `output` to show that as well. Events: `progress` and `end`, with the
 * snapshot in their detail, and `error`, with a TaskSourceError. The attribute `status` says how the task is.
 */
export class TaskProgress extends TaskProgress_base {
    static observedAttributes: string[];
    /** @param {TaskSourceOptions["headers"] | null} headers */
    set headers(headers: TaskSourceOptions["headers"] | null);
    /**
     * Headers of each request, or a function that gives them; see `TaskSource`.
     * @returns {TaskSourceOptions["headers"]}
     */
    get headers(): TaskSourceOptions["headers"];
    set options(options: Omit<import("./task-source.js").TaskSourceOptions, "output" | "headers">);
    /** The other options of `TaskSource`. */
    get options(): Omit<import("./task-source.js").TaskSourceOptions, "output" | "headers">;
    /** @param {string | null | undefined} src */
    set src(src: string | null | undefined);
    /** The address of the task; null takes it away. @returns {string} */
    get src(): string;
    set output(isShown: boolean);
    /** Whether what the task says is shown, too. */
    get output(): boolean;
    /** @param {Snapshot | null | undefined} snapshot */
    set snapshot(snapshot: Snapshot | null | undefined);
    /** The latest snapshot. One that is known already may be set, after `src`. @returns {Snapshot | null} */
    get snapshot(): Snapshot | null;
    connectedCallback(): void;
    disconnectedCallback(): void;
    adoptedCallback(): void;
    /** @param {string} name @param {string | null} before @param {string | null} after */
    attributeChangedCallback(name: string, before: string | null, after: string | null): void;
    /** Ask the task to stop. If that can't be asked for, the element says why. */
    cancel(): Promise<void>;
    renderTime(): void;
    #private;
}
export type Snapshot = import("./task-source.js").Snapshot;
export type TaskSourceOptions = import("./task-source.js").TaskSourceOptions;
/**
 * The detail of each event.
 */
export type TaskProgressEvents = {
    /**
     * a new one
     */
    progress: Snapshot;
    /**
     * the last one; null if nothing was said of the task
     */
    end: Snapshot | null;
    /**
     * why nothing more will come
     */
    error: TaskSourceError;
};
import type { Listening } from "./source/events.js";
import { TaskSourceError } from "./task-source.js";
export {};

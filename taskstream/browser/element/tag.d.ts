// <task-progress> in the DOM, and in the JSX of React 19: what TypeScript can't be told by JSDoc.

import type { TaskProgress, TaskProgressEvents } from "../task-progress.js";

type Properties = Partial<Pick<TaskProgress, "headers" | "options" | "output" | "snapshot">>;
type Listeners = {
  [Type in keyof TaskProgressEvents as `on${Type}`]?: (event: CustomEvent<TaskProgressEvents[Type]>) => void;
};

declare global {
  interface HTMLElementTagNameMap {
    "task-progress": TaskProgress;
  }
}

// @ts-ignore: there may be no React
declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "task-progress": Properties & Listeners & { src?: string | null } &
        // @ts-ignore: as above. React listens to `onprogress` of this element, not to `onProgress`.
        ClassAttributes<TaskProgress> & Omit<HTMLAttributes<TaskProgress>, "onProgress" | "onError">;
    }
  }
}

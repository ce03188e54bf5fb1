/** What goes into the machine of the application and what comes out of it, as values. */
import { type RecoveryPolicy } from "./recovery.ts";
import { type NodeState } from "./states.ts";

/** What does not change from step to step. */
export interface Surroundings {
  readonly node: string;
  /** Absent: there is no application, and the node serves as soon as it is in the farm. */
  readonly application?: {
    readonly recovery: RecoveryPolicy;
    /** There is a way to restart it other than to stop and start it. */
    readonly hasRestart: boolean;
  };
  /** Time for connections to end before an ordered stop or restart. */
  readonly drainMs: number;
}

/** What checks ask for one service. */
export interface ServiceDemand {
  readonly demand: "none" | "leave" | "fail";
  readonly lastResort: boolean;
  readonly check?: string;
  readonly reason: string;
  readonly weight?: number;
}

/** What checks ask for the application. */
export interface ApplicationDemand {
  readonly demand: "none" | "restart" | "stop";
  readonly check?: string;
  readonly reason: string;
}

export type Scripts = "start" | "stop" | "restart";

/** Where a stop leads. */
export type AfterStop =
  | { readonly to: "stopped" }
  | { readonly to: "failed"; readonly reason: string }
  | { readonly to: "start"; readonly atMs: number };

export type Job =
  /** Connections may end until then. */
  | { readonly kind: "drain"; readonly then: "stop" | "restart"; readonly untilMs: number }
  /** The next attempt comes then. */
  | { readonly kind: "pause"; readonly run: "start" | "restart"; readonly atMs: number }
  | { readonly kind: "scripts"; readonly run: "start" | "restart"; readonly id: number }
  | { readonly kind: "scripts"; readonly run: "stop"; readonly id: number; readonly then: AfterStop };

export interface Machine {
  readonly state: NodeState;
  /** Since when, in ms of the machine's clock. */
  readonly sinceMs: number;
  /** Why, as the end of "n1 is up: ". */
  readonly reason: string;
  readonly job?: Job;
  /** Jobs that ran scripts so far: results of older ones no longer count. */
  readonly scriptsRun: number;
  /** An order has drained the node. */
  readonly drained: boolean;
  /** The maintenance file is there. */
  readonly maintenance: boolean;
  /** Moments of restarts after failures, as far as they may still count. */
  readonly attempts: readonly number[];
  readonly services: Readonly<Record<string, ServiceDemand>>;
  readonly demand: ApplicationDemand;
}

export type OrderVerb = "start" | "stop" | "restart" | "drain" | "resume";

export type Input =
  /** The node starts, and nothing of its application is known. */
  | { readonly kind: "boot" }
  /** Another process of this node has gone on so far. */
  | { readonly kind: "adopt" }
  | { readonly kind: "order"; readonly verb: OrderVerb }
  | { readonly kind: "maintenance"; readonly present: boolean }
  | {
    readonly kind: "health";
    readonly services: Readonly<Record<string, ServiceDemand>>;
    readonly application: ApplicationDemand;
  }
  /** Scripts have ended: well, or with a problem in words. */
  | {
    readonly kind: "scripts";
    readonly id: number;
    readonly problem?: string;
    readonly output?: readonly string[];
  }
  /** No connection is left. */
  | { readonly kind: "drained" }
  /** The surroundings are new ones. */
  | { readonly kind: "configured" }
  /** The node leaves the farm, and its connections have had their time. */
  | { readonly kind: "leave" }
  /** Time has passed. */
  | { readonly kind: "tick" };

export type Effect =
  | { readonly kind: "run"; readonly run: Scripts; readonly id: number }
  /** Whatever runs is called off: nobody waits for it. */
  | { readonly kind: "call_off" }
  /** Tell with `drained` when no connection is left. */
  | { readonly kind: "await_drained" }
  /** The application has been started: what checks found before no longer counts. */
  | { readonly kind: "started" }
  | { readonly kind: "state"; readonly from: NodeState; readonly to: NodeState; readonly reason: string }
  | {
    readonly kind: "failure";
    readonly problem: string;
    /** What follows, as a sentence. */
    readonly consequence: string;
    readonly output?: readonly string[];
  };

/** An answer to an order, as it travels in a heartbeat. */
export interface OrderAnswer {
  readonly code: "done" | "unchanged" | "no_application" | "refused";
  readonly text: string;
}

export interface Step {
  readonly machine: Machine;
  readonly effects: readonly Effect[];
  /** To an order. */
  readonly answer?: OrderAnswer;
}

/** The states of a node as its application sees them, and every way from one to another. */

export const STATES = ["stopped", "starting", "waiting", "up", "draining", "stopping", "failed"] as const;

/**
 * - `stopped`: the application does not run, and nothing is to start it but an order.
 * - `starting`: its start is under way, or waits for the next attempt.
 * - `waiting`: it runs, but checks hold back every service.
 * - `up`: it runs, and takes new flows for at least one service.
 * - `draining`: it runs and keeps its connections, but takes no new flows.
 * - `stopping`: its stop is under way.
 * - `failed`: restarting did not help, and only an order tries again.
 */
export type NodeState = typeof STATES[number];

/** From each state, where it can go. There is no other way. */
export const TRANSITIONS: Readonly<Record<NodeState, readonly NodeState[]>> = {
  stopped: ["starting"],
  starting: ["waiting", "up", "draining", "stopping", "failed"],
  waiting: ["up", "draining", "starting", "stopping", "failed"],
  up: ["waiting", "draining", "starting", "stopping", "failed"],
  draining: ["waiting", "up", "starting", "stopping", "failed"],
  stopping: ["stopped", "starting", "failed"],
  failed: ["starting", "stopping"],
};

/** Whether the application runs, as far as is known. */
export function runs(state: NodeState): boolean {
  return state === "waiting" || state === "up" || state === "draining";
}

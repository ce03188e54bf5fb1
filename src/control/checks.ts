/** The checks of this node, put together: their clock, their thread, and what they ask the rest. */
import { boottimeMs, realtimeMs } from "../../ffi/clock.ts";
import { type FarmConfig, type NodeConfig } from "../config/load.ts";
import { type FarmEventInit } from "../core/events.ts";
import { Health } from "../health/health.ts";
import { type HealthState } from "../health/types.ts";
import { WatchThread } from "./watcher.ts";

export interface ChecksParts {
  readonly config: FarmConfig;
  readonly node: NodeConfig;
  /** Another process of this node has run these checks until now. */
  readonly assumeUp: boolean;
  members(): number;
  nodeState(): string;
  record(event: FarmEventInit): void;
  onChange(state: HealthState): void;
  /** The kernel's notifications do not arrive any more. */
  onFailure(error: Error): void;
}

/** The checks, not yet running; `resources` end them and their thread. */
export function openChecks(parts: ChecksParts, resources: AsyncDisposableStack): Health {
  const { config, node } = parts;
  const watcher = new WatchThread(parts.onFailure);
  resources.defer(() => watcher.close());
  const health = new Health(config.checks, {
    node: node.name,
    watcher,
    assumeUp: parts.assumeUp,
    interfaceName: (name) => name === undefined || name === config.interface ? node.interface : name,
    members: () => parts.members(),
    nodeState: () => parts.nodeState(),
    nowMs: boottimeMs,
    wallMs: realtimeMs,
    chance: Math.random,
    record: (event) => parts.record(event),
    onChange: (state) => parts.onChange(state),
  });
  resources.defer(() => health.close());
  return health;
}

/** What a contender is to the rig: something that is put before the same three servers, and taken away again. */
import type { Endpoint } from "./measure.ts";
import type { Topology } from "./topology.ts";

export interface Contender {
  readonly name: string;
  /** How it was set up, for whoever reads the results. */
  readonly setup: string;
  /** Whether each of the three clients must meet a different node, as it must where the address decides. */
  readonly spreadsClients: boolean;
  start(topology: Topology): Promise<Endpoint>;
  stop(topology: Topology): Promise<void>;
  /** For one that runs even while no client asks: keeps it from running while straight is measured. */
  pause?(topology: Topology): Promise<void>;
  /** Lets it run again. */
  resume?(topology: Topology): Promise<void>;
  /** It serves again when this is done, however long it was paused. */
  settle?(topology: Topology): Promise<void>;
}

/**
 * What a firewall does with one packet, as far as its rules can be judged from outside. Pure. A condition holds, does not
 * hold, or is not understood; a rule with a condition that is not understood may apply or not, and then nothing that
 * follows is certain.
 */

/** A packet that comes in: a heartbeat, or a first packet to a service. */
export interface IncomingPacket {
  readonly what: string;
  readonly family: 4 | 6;
  readonly interface: string;
  readonly protocol: "tcp" | "udp";
  readonly destination: string;
  readonly port: number;
  /** Written to a TUN device: no route to its sender leads back there. */
  readonly fromTun: boolean;
}

/** Whether a condition holds; undefined: it is not understood, or depends on the sender. */
export type Condition = (packet: IncomingPacket) => boolean | undefined;

export type Action =
  | { readonly kind: "accept" | "drop" | "return" | "none" | "unknown" }
  | { readonly kind: "jump" | "goto"; readonly chain: string };

export interface Rule {
  readonly conditions: readonly Condition[];
  /** Chosen by a map, it depends on the packet. */
  readonly action: Action | ((packet: IncomingPacket) => Action);
}

/** One table: chains by name, and those of them at which packets come in. */
export interface Table {
  /** For people: `inet filter`. */
  readonly name: string;
  readonly families: ReadonlyArray<4 | 6>;
  readonly chains: ReadonlyMap<string, readonly Rule[]>;
  readonly entries: ReadonlyArray<{ readonly chain: string; readonly policy: "accept" | "drop" }>;
  /** What to do so that chain `chain` accepts the packet. */
  remedy(chain: string, packet: IncomingPacket): string;
}

/** `drop` is certain; `unsure`: some rule could not be judged. */
export interface Outcome {
  readonly verdict: "accept" | "drop" | "unsure";
  readonly chain: string;
}

/** Chains jump into each other at most this deep: NFT_JUMP_STACK_SIZE, and far more than iptables users need. */
const DEPTH_MAX = 16;

/** The first entry of the table at which the packet does not surely get on. */
export function judge(table: Table, packet: IncomingPacket): Outcome | undefined {
  if (!table.families.includes(packet.family)) return undefined;
  for (const { chain, policy } of table.entries) {
    const state = { isUnsure: false };
    const verdict = walk(table, chain, packet, state, 0) ?? policy;
    if (verdict === "accept" && !state.isUnsure) continue;
    return { verdict: state.isUnsure ? "unsure" : verdict, chain };
  }
  return undefined;
}

function walk(
  table: Table,
  chain: string,
  packet: IncomingPacket,
  state: { isUnsure: boolean },
  depth: number,
): "accept" | "drop" | undefined {
  if (depth > DEPTH_MAX) return undefined;
  for (const { conditions, action: given } of table.chains.get(chain) ?? []) {
    const held = conditions.map((condition) => condition(packet));
    if (held.includes(false)) continue;
    const action = typeof given === "function" ? given(packet) : given;
    if (action.kind === "none") continue;
    if (action.kind === "unknown" || held.includes(undefined)) {
      state.isUnsure = true;
      continue;
    }
    if (action.kind === "return") return undefined;
    if (action.kind === "jump" || action.kind === "goto") {
      const verdict = walk(table, action.chain, packet, state, depth + 1);
      if (verdict !== undefined || action.kind === "goto") return verdict;
    } else {
      return action.kind;
    }
  }
  return undefined;
}

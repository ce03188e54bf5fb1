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
  /** For a virtual IP, which is an address of this host. */
  readonly isForService: boolean;
  /** Written to a TUN device: no route to its sender leads back there. */
  readonly fromTun: boolean;
}

/** Whether a condition holds; undefined: it is not understood, or depends on the sender. */
export type Condition = (packet: IncomingPacket) => boolean | undefined;

export type Action =
  /** `translate`: the packet goes on, to another address or port. */
  | { readonly kind: "accept" | "drop" | "translate" | "return" | "none" | "unknown" }
  | { readonly kind: "jump" | "goto"; readonly chain: string };

export interface Rule {
  readonly conditions: readonly Condition[];
  /** Chosen by a map, it depends on the packet. */
  readonly action: Action | ((packet: IncomingPacket) => Action);
}

/** A chain at which packets come in. */
export interface Entry {
  readonly chain: string;
  readonly policy: "accept" | "drop";
  /** On the way to programs of this host, which no packet takes that was translated to another's address. */
  readonly isInput: boolean;
}

/** One table: chains by name, and those of them at which packets come in. */
export interface Table {
  /** For people: `inet filter`. */
  readonly name: string;
  readonly families: ReadonlyArray<4 | 6>;
  readonly chains: ReadonlyMap<string, readonly Rule[]>;
  readonly entries: readonly Entry[];
  /** What to do so that chain `chain` accepts the packet. */
  remedy(chain: string, packet: IncomingPacket): string;
}

/** `drop` and `translate` are certain; `unsure`: some rule could not be judged. */
export interface Outcome {
  readonly verdict: "drop" | "translate" | "unsure";
  readonly chain: string;
  readonly isInput: boolean;
}

/** Chains jump into each other at most this deep: NFT_JUMP_STACK_SIZE, and far more than iptables users need. */
const DEPTH_MAX = 16;

/** What the table does with the packet, wherever it does not surely get on as it is; a translation comes first. */
export function judge(table: Table, packet: IncomingPacket): Outcome | undefined {
  if (!table.families.includes(packet.family)) return undefined;
  const outcomes = table.entries.flatMap(({ chain, policy, isInput }): Outcome[] => {
    const state = { isUnsure: false };
    const verdict = walk(table, chain, packet, state, 0) ?? policy;
    if (state.isUnsure) return [{ verdict: "unsure", chain, isInput }];
    return verdict === "accept" ? [] : [{ verdict, chain, isInput }];
  });
  return outcomes.find(({ verdict }) => verdict === "translate") ?? outcomes[0];
}

/** Whether nothing in the chain, and where it leads, keeps a packet from going on after it: it only marks, counts or logs. */
function isHarmless(table: Table, chain: string, depth: number): boolean {
  if (depth > DEPTH_MAX) return false;
  return (table.chains.get(chain) ?? []).every(({ action }) =>
    typeof action !== "function" && (action.kind === "none" || action.kind === "return" ||
      action.kind === "jump" && isHarmless(table, action.chain, depth + 1))
  );
}

function walk(
  table: Table,
  chain: string,
  packet: IncomingPacket,
  state: { isUnsure: boolean },
  depth: number,
): "accept" | "drop" | "translate" | undefined {
  if (depth > DEPTH_MAX) return undefined;
  for (const { conditions, action: given } of table.chains.get(chain) ?? []) {
    const held = conditions.map((condition) => condition(packet));
    if (held.includes(false)) continue;
    const action = typeof given === "function" ? given(packet) : given;
    if (action.kind === "none") continue;
    if (action.kind === "jump" && isHarmless(table, action.chain, depth + 1)) continue;
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

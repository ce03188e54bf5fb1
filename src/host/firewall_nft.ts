/** Tables of nftables, from `nft -j list ruleset` (libnftables-json(5)). Pure. */
import { inNetwork, parseAddress } from "../core/address.ts";
import { type Action, type Condition, type IncomingPacket, type Rule, type Table } from "./firewall_model.ts";

type Json = Readonly<Record<string, unknown>>;

interface Ruleset {
  readonly nftables: ReadonlyArray<{
    readonly chain?: {
      readonly family: string;
      readonly table: string;
      readonly name: string;
      readonly type?: string;
      readonly hook?: string;
      readonly policy?: string;
    };
    readonly rule?: {
      readonly family: string;
      readonly table: string;
      readonly chain: string;
      readonly expr?: readonly Json[];
    };
  }>;
}

const FAMILIES: Readonly<Record<string, ReadonlyArray<4 | 6>>> = { ip: [4], ip6: [6], inet: [4, 6] };
/** Where packets come in that are for this host. */
const HOOKS = ["prerouting", "input"];
/** Statements that let the packet go on. */
const HARMLESS = ["counter", "log", "limit", "comment", "mangle", "notrack", "set", "quota", "last", "meter"];

/** @throws SyntaxError if this is no JSON */
export function nftTables(json: string): Table[] {
  const { nftables } = JSON.parse(json) as Ruleset;
  const tables = new Map<string, Table>();
  const rulesOf = new Map<string, Rule[]>();
  for (const { rule } of nftables) {
    if (rule === undefined) continue;
    const name = `${rule.family} ${rule.table} ${rule.chain}`;
    rulesOf.set(name, [...rulesOf.get(name) ?? [], readRule(rule.expr ?? [])]);
  }
  for (const { chain } of nftables) {
    if (chain === undefined || !(chain.family in FAMILIES)) continue;
    const name = `${chain.family} ${chain.table}`;
    const { chains = new Map(), entries = [] } = tables.get(name) ?? {};
    const rules = rulesOf.get(`${name} ${chain.name}`) ?? [];
    const isEntry = HOOKS.includes(chain.hook ?? "");
    const policy = chain.policy === "drop" ? "drop" : "accept";
    tables.set(name, {
      name,
      families: FAMILIES[chain.family],
      chains: new Map([...chains, [chain.name, rules]]),
      entries: isEntry
        ? [...entries, { chain: chain.name, policy, isInput: chain.hook === "input" }]
        : entries,
      remedy: (chain, packet) =>
        `Accept it: nft insert rule ${name} ${chain} iifname "${packet.interface}" ${packet.protocol} dport ` +
        `${packet.port} accept`,
    });
  }
  return [...tables.values()];
}

function readRule(expressions: readonly Json[]): Rule {
  const conditions: Condition[] = [];
  let action: Rule["action"] = { kind: "none" };
  for (const expression of expressions) {
    const [kind] = Object.keys(expression);
    if (kind === "match") conditions.push(readMatch(expression.match as Json));
    else if (kind === "vmap") action = readMap(expression.vmap as Json);
    else if (kind === "xt") {
      // Of iptables, which tells it itself: firewall_iptables.ts.
      if ((expression.xt as Json).type === "target") action = { kind: "unknown" };
      else conditions.push(() => undefined);
    } else if (!HARMLESS.includes(kind)) action = readAction(expression);
  }
  return { conditions, action };
}

function readAction(expression: Json): Action {
  if ("accept" in expression) return { kind: "accept" };
  if ("drop" in expression || "reject" in expression) return { kind: "drop" };
  if ("return" in expression) return { kind: "return" };
  if ("dnat" in expression || "redirect" in expression) return { kind: "translate" };
  for (const kind of ["jump", "goto"] as const) {
    if (kind in expression) return { kind, chain: (expression[kind] as { target: string }).target };
  }
  return { kind: "unknown" };
}

/** A verdict map: `iifname vmap { lo : accept, eth0 : jump services }`. */
function readMap({ key, data }: Json): Rule["action"] {
  const entries = (data as { set?: ReadonlyArray<readonly [unknown, Json]> }).set ?? [];
  return (packet) => {
    for (const [value, verdict] of entries) {
      const holds = compare(key as Json, value, packet);
      if (holds === undefined) return { kind: "unknown" };
      if (holds) return readAction(verdict);
    }
    return { kind: "none" };
  };
}

function readMatch({ op, left, right }: Json): Condition {
  return (packet) => {
    const holds = compare(left as Json, right, packet);
    if (holds === undefined || op === "==" || op === "in") return holds;
    return op === "!=" ? !holds : undefined;
  };
}

/** Whether what `left` names in the packet is `right`. */
function compare(left: Json, right: unknown, packet: IncomingPacket): boolean | undefined {
  const { meta, payload, ct, fib } = left as {
    meta?: { key: string };
    payload?: { protocol: string; field: string };
    ct?: { key: string };
    fib?: { result: string; flags: string[] };
  };
  if (meta !== undefined) return compareMeta(meta.key, right, packet);
  if (payload !== undefined) return comparePayload(payload, right, packet);
  // A first packet.
  if (ct?.key === "state") return includes(right, (each) => each === "new");
  if (fib?.result === "type" && fib.flags.includes("daddr")) {
    return packet.isForService ? includes(right, (each) => each === "local") : undefined;
  }
  // No route to the sender goes by the TUN device: `fib saddr . iif oif missing`.
  if (fib?.result === "oif" && fib.flags.includes("saddr") && fib.flags.includes("iif")) {
    return (right === false) === packet.fromTun;
  }
  return undefined;
}

function compareMeta(key: string, right: unknown, packet: IncomingPacket): boolean | undefined {
  switch (key) {
    case "iifname":
    case "iif":
      return includes(right, (each) =>
        typeof each === "string" &&
        (each.endsWith("*") ? packet.interface.startsWith(each.slice(0, -1)) : each === packet.interface));
    case "l4proto":
      return includes(right, (each) => each === packet.protocol);
    case "nfproto":
      return includes(right, (each) => each === `ipv${packet.family}`);
    default:
      return undefined;
  }
}

function comparePayload(
  { protocol, field }: { readonly protocol: string; readonly field: string },
  right: unknown,
  packet: IncomingPacket,
): boolean | undefined {
  if (protocol === "ip" || protocol === "ip6") {
    if (protocol !== (packet.family === 4 ? "ip" : "ip6")) return false;
    if (field === "daddr") return includes(right, (each) => coversAddress(each, packet.destination));
    if (field === "protocol" || field === "nexthdr") {
      return includes(right, (each) => each === packet.protocol);
    }
    return undefined;
  }
  if (["tcp", "udp", "icmp", "icmpv6", "sctp", "dccp"].includes(protocol) && protocol !== packet.protocol) {
    return false;
  }
  if (field === "dport") return includes(right, (each) => coversNumber(each, packet.port));
  return undefined;
}

/** One value, a list or a set of them; a named set cannot be looked into. */
function includes(right: unknown, holds: (value: unknown) => boolean): boolean | undefined {
  if (typeof right === "string" && right.startsWith("@")) return undefined;
  const { set } = (typeof right === "object" && right !== null ? right : {}) as { set?: unknown };
  const values = Array.isArray(right) ? right : Array.isArray(set) ? set : [right];
  return values.some((each) => holds((each as { elem?: { val: unknown } })?.elem?.val ?? each));
}

function coversNumber(value: unknown, number: number): boolean {
  const { range } = (typeof value === "object" && value !== null ? value : {}) as {
    range?: [number, number];
  };
  return range === undefined ? value === number : range[0] <= number && number <= range[1];
}

function coversAddress(value: unknown, text: string): boolean {
  const { prefix } = (typeof value === "object" && value !== null ? value : {}) as {
    prefix?: { addr: string; len: number };
  };
  const address = parseAddress(text);
  const network = parseAddress(prefix?.addr ?? String(value));
  if (address === undefined || network === undefined || network.family !== address.family) return false;
  return inNetwork(address, network, prefix?.len ?? network.bytes.length * 8);
}

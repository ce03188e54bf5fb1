/**
 * Would this host's firewall drop heartbeats? Best effort, by reading the rules of nftables, which iptables uses as
 * well on today's systems: a list of rules can say anything, so this only ever warns.
 */

import type { Finding } from "./finding.ts";

/** The part of `nft -j list ruleset` (libnftables-json(5)) that matters here. */
interface Ruleset {
  readonly nftables: ReadonlyArray<{
    readonly chain?: {
      readonly family: string;
      readonly table: string;
      readonly name: string;
      readonly hook?: string;
      readonly policy?: string;
    };
    readonly rule?: {
      readonly family: string;
      readonly table: string;
      readonly chain: string;
      readonly expr?: ReadonlyArray<Record<string, unknown>>;
    };
  }>;
}

/** Findings about one UDP port from the text of `nft -j list ruleset`. */
export function firewallFindings(json: string, port: number): Finding[] {
  let ruleset: Ruleset;
  try {
    ruleset = JSON.parse(json);
  } catch {
    return [{ ok: "warning", what: "the firewall rules could not be read" }];
  }
  const findings: Finding[] = [];
  const rules = ruleset.nftables.flatMap(({ rule }) => rule ?? []);
  for (const { chain } of ruleset.nftables) {
    if (chain?.hook !== "input" || !["ip", "ip6", "inet"].includes(chain.family)) continue;
    const inTable = rules.filter(({ family, table }) => family === chain.family && table === chain.table);
    const own = inTable.filter((rule) => rule.chain === chain.name);
    if (chain.policy !== "drop" && !endsClosed(own.at(-1)?.expr)) continue;
    if (inTable.some(({ expr }) => mentionsPort(expr, port))) continue;
    findings.push({
      ok: "warning",
      what:
        `the firewall chain ${chain.family} ${chain.table} ${chain.name} drops what no rule accepts, and no rule ` +
        `names the heartbeats' UDP port ${port}`,
      remedy:
        `Accept them: nft insert rule ${chain.family} ${chain.table} ${chain.name} udp dport ${port} accept. ` +
        "Rules for the services must not name the interface: the farm's packets arrive on its TUN device.",
    });
  }
  if (findings.length === 0) {
    findings.push({ ok: true, what: `no firewall rule seen that drops UDP port ${port}` });
  }
  return findings;
}

/** A last rule without a condition that drops or rejects. */
function endsClosed(expr: ReadonlyArray<Record<string, unknown>> | undefined): boolean {
  if (expr === undefined || expr.some((each) => "match" in each)) return false;
  return expr.some((each) => "drop" in each || "reject" in each);
}

/** Whether a match on a destination port covers this one, as a number, in a set or in a range. */
function mentionsPort(expr: ReadonlyArray<Record<string, unknown>> | undefined, port: number): boolean {
  return (expr ?? []).some(({ match }) => {
    const { left, right } = (match ?? {}) as { left?: { payload?: { field?: string } }; right?: unknown };
    return left?.payload?.field === "dport" && covers(right, port);
  });
}

function covers(right: unknown, port: number): boolean {
  if (typeof right === "number") return right === port;
  if (typeof right !== "object" || right === null) return false;
  const { set, range } = right as { set?: unknown[]; range?: [number, number] };
  if (Array.isArray(set)) return set.some((each) => covers(each, port));
  return Array.isArray(range) && range[0] <= port && port <= range[1];
}

import assert from "node:assert/strict";
import { firewallFindings } from "../../../src/host/firewall.ts";

const input = (policy: string) => ({
  chain: { family: "inet", table: "filter", name: "input", hook: "input", policy },
});
const rule = (...expr: unknown[]) => ({ rule: { family: "inet", table: "filter", chain: "input", expr } });
const dport = (right: unknown) => ({
  match: { op: "==", left: { payload: { protocol: "udp", field: "dport" } }, right },
});
const judge = (...nftables: unknown[]) => firewallFindings(JSON.stringify({ nftables }), 4886)[0].ok;

Deno.test("no rules, or a chain that accepts, is fine", () => {
  assert.equal(judge(), true);
  assert.equal(judge(input("accept"), rule(dport(22), { drop: null })), true);
});

Deno.test("a chain that drops what no rule accepts gets a warning with the rule to add", () => {
  const [finding] = firewallFindings(
    JSON.stringify({ nftables: [input("drop"), rule(dport(22), { accept: null })] }),
    4886,
  );
  assert.equal(finding.ok, "warning");
  assert.match(finding.remedy ?? "", /nft insert rule inet filter input udp dport 4886 accept/);
  assert.equal(judge(input("accept"), rule({ counter: null }, { reject: null })), "warning");
});

Deno.test("a rule for the port, alone, in a set or in a range, is enough", () => {
  for (
    const right of [4886, { set: [22, 4886] }, { range: [4800, 4900] }, { set: [{ range: [4886, 4887] }] }]
  ) {
    assert.equal(judge(input("drop"), rule(dport(right), { accept: null })), true);
  }
  assert.equal(judge(input("drop"), rule(dport({ range: [1, 1024] }), { accept: null })), "warning");
});

Deno.test("other families and hooks do not count, and nonsense is a warning", () => {
  assert.equal(judge({ chain: { ...input("drop").chain, family: "netdev" } }), true);
  assert.equal(judge({ chain: { ...input("drop").chain, hook: "forward" } }), true);
  assert.equal(firewallFindings("nonsense", 4886)[0].ok, "warning");
});

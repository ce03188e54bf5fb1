/**
 * A bucket moves while a handshake is under way: the former claimant's SYN-ACK was lost, and the client's next SYN is
 * answered by the new one. Both kernels would have the connection half-open; the client must be served by one of them,
 * and get a reset from neither.
 */

import assert from "node:assert/strict";
import { farmUnavailable, http, owners, ownMac, startFarm, tally } from "./farm_support.ts";

if (farmUnavailable !== undefined) console.log(`skipped: ${farmUnavailable}`);

const HANDSHAKES = 8;
const FIRST_PORT = 21_000;
const WAIT_MS = 30_000;

Deno.test(
  {
    name: "a handshake whose bucket moves is finished by the new claimant",
    ignore: farmUnavailable !== undefined,
  },
  async () => {
    await using lab = await startFarm({ nodes: 2 });
    const [n1, n2] = lab.nodes;
    const [client] = lab.clients;
    const [vip] = lab.virtualIps.ipv4;
    const address = client.station.ipv4;
    const flows = Array.from({ length: HANDSHAKES * 8 }, (_, i) => ({ address, port: FIRST_PORT + i }));
    const named = await owners(lab, "http", flows);
    const sources = flows.filter((_, i) => named[i] === n2.name).slice(0, HANDSHAKES);
    // The client does not get n2's SYN-ACKs, but whatever else n2 sends.
    const mac = await ownMac(lab, n2.name);
    await lab.run("c1", ["nft", "add table inet lost"]);
    await lab.run("c1", ["nft", "add chain inet lost in { type filter hook prerouting priority -300; }"]);
    await lab.run("c1", [
      "nft",
      `add rule inet lost in ether saddr ${mac} tcp flags & (syn | ack) == syn | ack drop`,
    ]);
    const resets = await lab.capture("c1", "eth0", `src host ${vip} and tcp[tcpflags] & tcp-rst != 0`);
    const asking = client.request({ ...http(lab), count: HANDSHAKES, sources, timeoutMs: WAIT_MS });
    const halfOpen = async () =>
      (await lab.run(n2.name, ["ss", "-Htn", "state", "syn-recv"])).split("\n").filter(Boolean).length;
    await lab.waitFor(async () => await halfOpen() === HANDSHAKES, WAIT_MS, "half-open connections");
    await n1.api("POST", `/api/v1/nodes/${n2.name}/drain`);
    const answers = await asking;
    await resets.stop();
    assert.deepEqual([...tally(answers.map(({ node, error }) => node ?? error))], [[n1.name, HANDSHAKES]]);
    assert.deepEqual(await resets.lines(), []);
    assert.equal(await halfOpen(), 0);
  },
);

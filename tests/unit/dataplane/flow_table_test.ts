import assert from "node:assert/strict";
import { FLOWS_MAX, FlowTable } from "../../../src/dataplane/flow_table.ts";

const TIMEOUTS_MS = [0, 0, 30_000, 1_000];
const ADDRESS = Uint8Array.from([198, 51, 100, 7, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);

class Rig {
  readonly table = FlowTable.create(TIMEOUTS_MS);
  nowMs32 = 5;

  note(
    clientPort: number,
    bucket = 64,
    options: { service?: number; isOwn?: boolean; family?: number } = {},
  ): void {
    const { service = 2, isOwn = true, family = 4 } = options;
    this.table.note(
      ADDRESS,
      0,
      family,
      (clientPort << 16) | 53,
      { vip: 1, service, bucket },
      this.nowMs32,
      isOwn,
    );
  }

  flows(table = this.table): string[] {
    const found: string[] = [];
    table.each(this.nowMs32, (service, bucket) => found.push(`${service}:${bucket}`));
    return found.sort();
  }
}

Deno.test("a flow lives as long as it is not idle for its service's time", () => {
  const rig = new Rig();
  rig.note(4000);
  rig.note(65_535, 65_535, { service: 3, family: 6 });
  assert.deepEqual(rig.flows(), ["2:64", "3:65535"]);
  rig.nowMs32 += 999;
  rig.note(65_535, 65_535, { service: 3, family: 6 });
  rig.nowMs32 += 999;
  assert.deepEqual(rig.flows(), ["2:64", "3:65535"], "one place each, however many packets");
  rig.nowMs32 += 1;
  assert.deepEqual(rig.flows(), ["2:64"]);
  rig.nowMs32 += 28_001;
  assert.deepEqual(rig.flows(), []);
});

Deno.test("what differs in address, ports, family or service is another flow", () => {
  const rig = new Rig();
  rig.note(4000);
  rig.note(4001);
  rig.note(4000, 64, { family: 6 });
  rig.note(4000, 64, { service: 3 });
  assert.equal(rig.flows().length, 4);
});

Deno.test("a flow of a group that is retained is kept alive, and none is added", () => {
  const rig = new Rig();
  rig.note(4000);
  rig.nowMs32 += 20_000;
  rig.note(4000, 64, { isOwn: false });
  rig.note(4001, 64, { isOwn: false });
  rig.nowMs32 += 20_000;
  assert.deepEqual(rig.flows(), ["2:64"]);
});

Deno.test("a flow that was idle for too long comes back as a new one", () => {
  const rig = new Rig();
  rig.note(4000);
  rig.nowMs32 += 30_000;
  rig.note(4000, 64, { isOwn: false });
  assert.deepEqual(rig.flows(), [], "a group that is retained comes to an end");
  rig.note(4000);
  assert.deepEqual(rig.flows(), ["2:64"]);
});

Deno.test("the clock may wrap, and stand at 0", () => {
  const rig = new Rig();
  rig.nowMs32 = 0x7fff_ffff;
  rig.note(4000);
  rig.nowMs32 = (rig.nowMs32 + 100) | 0;
  assert.deepEqual(rig.flows(), ["2:64"]);
  rig.nowMs32 = 0;
  rig.note(4001);
  assert.deepEqual(rig.flows(), ["2:64"]);
});

Deno.test("a flood costs new flows their place, never those that are known, and ends with the timeout", () => {
  const rig = new Rig();
  for (let port = 1; port <= 1_000; port++) rig.note(port, port * 64);
  for (let i = 0; i < 4 * FLOWS_MAX; i++) {
    rig.note(i % 50_000 + 10_000, Math.imul(i, 7919) & 0xffff, { service: 3 });
  }
  assert.ok(rig.flows().length > 0.9 * FLOWS_MAX);
  assert.equal(rig.flows().filter((flow) => flow.startsWith("2:")).length, 1_000);
  rig.nowMs32 += 1_001;
  for (let port = 2_001; port <= 3_000; port++) rig.note(port, (port * 64) & 0xffff);
  assert.equal(rig.flows().filter((flow) => flow.startsWith("2:")).length, 2_000);
});

Deno.test("another process goes on with what is alive", () => {
  const rig = new Rig();
  rig.note(4000);
  rig.note(4001, 128, { service: 3 });
  rig.nowMs32 += 5_000;
  const saved = rig.table.save(rig.nowMs32);
  assert.equal(saved.length, 28);
  const next = FlowTable.create(TIMEOUTS_MS);
  next.restore(saved);
  assert.deepEqual(rig.flows(next), ["2:64"]);
  next.note(ADDRESS, 0, 4, (4000 << 16) | 53, { vip: 1, service: 2, bucket: 64 }, rig.nowMs32, true);
  assert.equal(rig.flows(next).length, 1);
});

/** What a node takes up from the process before it, and when. */
import assert from "node:assert/strict";
import { boottimeMs } from "../../../ffi/clock.ts";
import { newMachine } from "../../../src/application/machine.ts";
import { toSave } from "../../../src/application/saved.ts";
import { forNode, parseConfig } from "../../../src/config/load.ts";
import { NodeState } from "../../../src/control/node_state.ts";
import { Settings } from "../../../src/control/settings.ts";
import { Ticker } from "../../../src/control/ticker.ts";
import { readProcess } from "../../../src/health/process_table.ts";
import { bootId } from "../../../src/host/boot_id.ts";

/** The state that a node starts in after a process that left this behind. */
async function stateAfter(left: Record<string, unknown>): Promise<string> {
  const directory = await Deno.makeTempDir();
  try {
    const { config } = parseConfig(
      `farm: web
secret_file: secret
interface: eth0
virtual_ips: [{ address: 192.0.2.100 }]
uncovered: owner
nodes: { n1: {} }
state_dir: ${directory}
application: { start: /bin/true, stop: /bin/true }`,
      `${directory}/farm.yaml`,
    );
    const machine = toSave({ ...newMachine(boottimeMs()), state: "up", reason: "takes its share" });
    const saved = { handed: false, boot: bootId(), machine, ...left };
    await Deno.writeTextFile(`${directory}/application.json`, JSON.stringify(saved));
    await using resources = new AsyncDisposableStack();
    const ticker = resources.adopt(new Ticker(), (ticker) => ticker.close());
    const state = new NodeState({
      config: config!,
      node: forNode(config!, "n1"),
      runtimeDir: directory,
      takeOver: false,
      settings: new Settings(config!, "n1", () => {}),
      ticker,
      members: () => 1,
      drained: () => Promise.resolve(),
      changed: () => {},
      record: () => {},
      onFailure: (error) => assert.fail(error),
    }, resources);
    state.start();
    const begun = state.application.state;
    await state.leave(Promise.resolve());
    return begun;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("an application is gone on with under the same supervisor, or by hand-over, and else started anew", async () => {
  const supervisor = Deno.ppid;
  const supervisorStart = readProcess(supervisor)!.start;
  assert.equal(await stateAfter({ supervisor, supervisorStart }), "up");
  assert.equal(
    await stateAfter({ supervisor, supervisorStart: "1" }),
    "starting",
    "a container that was restarted",
  );
  assert.equal(await stateAfter({ supervisor: supervisor + 1, supervisorStart }), "starting");
  assert.equal(await stateAfter({ supervisor, supervisorStart: "1", handed: true }), "up");
  assert.equal(await stateAfter({ supervisor, supervisorStart, boot: "another" }), "starting");
});

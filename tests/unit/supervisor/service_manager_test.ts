import assert from "node:assert/strict";
import { encodeFields, Journal } from "../../../src/supervisor/journal.ts";
import { isRestart, ServiceManager } from "../../../src/supervisor/service_manager.ts";
import { UnixDatagramReceiver } from "../../unix_datagrams.ts";

function environment(values: Record<string, string>): { get(name: string): string | undefined } {
  return { get: (name) => values[name] };
}

function linesOf(receiver: UnixDatagramReceiver): string[] {
  const lines: string[] = [];
  for (let bytes; (bytes = receiver.receive()) !== undefined;) lines.push(new TextDecoder().decode(bytes));
  return lines;
}

function tell(manager: ServiceManager): void {
  manager.status("joining");
  manager.status("joining");
  manager.ready();
  manager.ready();
  manager.status("up, 33 % of new flows;\nall well");
  manager.feedWatchdog();
  manager.stopping();
  manager.extendTimeout(10_000);
  manager.close();
}

const TOLD = [
  "STATUS=joining",
  "READY=1",
  "STATUS=up, 33 % of new flows; all well",
  "WATCHDOG=1",
  "STOPPING=1",
  "EXTEND_TIMEOUT_USEC=10000000",
];

Deno.test("systemd is told by a socket with a path, or with an abstract name", async () => {
  const directory = await Deno.makeTempDir();
  try {
    for (const address of [`${directory}/notify`, `@vipfarm-test-${crypto.randomUUID()}`]) {
      using receiver = new UnixDatagramReceiver(address);
      tell(new ServiceManager(environment({ NOTIFY_SOCKET: address, WATCHDOG_USEC: "15000000" })));
      assert.deepEqual(linesOf(receiver), TOLD, address);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("without systemd nothing is told, and a stop is a stop", async () => {
  const manager = new ServiceManager(environment({}));
  tell(manager);
  assert.equal(manager.watchdogMs, undefined);
  assert.equal(await manager.stopIsRestart(), false);
});

Deno.test("systemd that went away is no error", () => {
  const manager = new ServiceManager(environment({ NOTIFY_SOCKET: "/nowhere/notify" }));
  tell(manager);
  assert.equal(new ServiceManager(environment({ WATCHDOG_USEC: "15000000" })).watchdogMs, 7_500);
});

Deno.test("the first half of a restart is known by systemd's job", () => {
  const jobs = "  301 other.service restart waiting\n1234 vipfarm.service restart running\n";
  assert.equal(isRestart(jobs, "vipfarm.service"), true);
  assert.equal(isRestart(jobs.replace("restart running", "stop running"), "vipfarm.service"), false);
  assert.equal(isRestart(jobs, "vipfarm2.service"), false);
  assert.equal(isRestart("No jobs running.\n", "vipfarm.service"), false);
});

Deno.test("the journal gets fields; a value of several lines with its length", async () => {
  const expected = "MESSAGE\n\x05\0\0\0\0\0\0\0one\n2\nPRIORITY=4\n";
  assert.equal(new TextDecoder().decode(encodeFields({ MESSAGE: "one\n2", PRIORITY: "4" })), expected);
  const directory = await Deno.makeTempDir();
  try {
    using receiver = new UnixDatagramReceiver(`${directory}/socket`);
    const journal = new Journal(`${directory}/socket`);
    assert.equal(journal.write({ MESSAGE: "one\n2", PRIORITY: "4" }), true);
    journal.close();
    assert.deepEqual(linesOf(receiver), [expected]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a socket that cannot be one is told of, and stops nothing", () => {
  for (const socket of ["vsock:2:1234", "relative", `/${"x".repeat(200)}`]) {
    const manager = new ServiceManager(environment({ NOTIFY_SOCKET: socket }));
    assert.match(manager.problem ?? "", /^NOTIFY_SOCKET \(/);
    tell(manager);
  }
  assert.equal(new ServiceManager(environment({})).problem, undefined);
});

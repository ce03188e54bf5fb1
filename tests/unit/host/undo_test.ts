import assert from "node:assert/strict";
import { HostChanges, JOURNAL_FILE, undoLeftovers } from "../../../src/host/undo.ts";
import { interfaceSysctl, readSysctl, writeSysctl } from "../../../src/host/sysctl_file.ts";

const bootId = Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim();
const namespace = Deno.readLinkSync("/proc/thread-self/ns/net");
const change = { path: "net/ipv4/conf/lo/arp_ignore", former: "0", value: "1" };

async function withJournal(content: unknown, act: (directory: string) => void): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    const text = typeof content === "string" ? content : JSON.stringify(content);
    await Deno.writeTextFile(`${directory}/${JOURNAL_FILE}`, text);
    act(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const exists = (path: string) => {
  try {
    return Deno.statSync(path) !== undefined;
  } catch {
    return false;
  }
};

Deno.test("no journal, nothing to undo", async () => {
  const directory = await Deno.makeTempDir();
  assert.deepEqual(undoLeftovers(directory), { undone: [], left: [] });
  await Deno.remove(directory);
});

Deno.test("a journal from before a reboot is dropped", async () => {
  await withJournal({ version: 1, bootId: "other", namespace, changes: [change] }, (directory) => {
    const report = undoLeftovers(directory);
    assert.match(report.dropped ?? "", /reboot/);
    assert.deepEqual(report.undone, []);
    assert.ok(!exists(`${directory}/${JOURNAL_FILE}`));
  });
});

Deno.test("a journal of another network namespace is dropped", async () => {
  await withJournal({ version: 1, bootId, namespace: "net:[1]", changes: [change] }, (directory) => {
    assert.match(undoLeftovers(directory).dropped ?? "", /namespace/);
  });
});

for (
  const [what, content] of Object.entries({
    "cut short": '{"version":1,"bootId":',
    "not an object": "null",
    "of another version": { version: 2, bootId, namespace, changes: [] },
    "with a value that is no text": { version: 1, bootId, namespace, changes: [{ ...change, former: 0 }] },
  })
) {
  Deno.test(`a journal that is ${what} is moved aside, not obeyed`, async () => {
    await withJournal(content, (directory) => {
      assert.match(undoLeftovers(directory).dropped ?? "", /unreadable/);
      assert.ok(exists(`${directory}/${JOURNAL_FILE}.unreadable`));
      assert.ok(!exists(`${directory}/${JOURNAL_FILE}`));
    });
  });
}

Deno.test("a journal cannot reach outside the settings of interfaces", async () => {
  const outside = [
    "net/ipv4/ip_forward",
    "kernel/panic",
    "net/ipv4/conf/../ip_forward",
    "net/ipv4/conf/a/b/../c",
  ];
  for (const path of outside) {
    await withJournal({ version: 1, bootId, namespace, changes: [{ ...change, path }] }, (directory) => {
      assert.throws(() => undoLeftovers(directory), /not a setting of a network interface/);
    });
  }
});

Deno.test("a setting whose interface is gone is left, and says so", async () => {
  const gone = { ...change, path: "net/ipv4/conf/vfgone0/arp_ignore" };
  await withJournal({ version: 1, bootId, namespace, changes: [gone] }, (directory) => {
    assert.deepEqual(undoLeftovers(directory), {
      undone: [],
      left: [{ ...gone, why: "its interface is gone" }],
    });
  });
});

Deno.test("a change that the crash came before counts as undone", async () => {
  const now = readSysctl(change.path)!;
  const never = { ...change, former: now, value: "77" };
  await withJournal({ version: 1, bootId, namespace, changes: [never] }, (directory) => {
    assert.deepEqual(undoLeftovers(directory), { undone: [never], left: [] });
    assert.equal(readSysctl(change.path), now);
  });
});

Deno.test("changes are refused while a former run's are not undone", async () => {
  await withJournal({ version: 1, bootId, namespace, changes: [] }, (directory) => {
    assert.throws(() => new HostChanges(directory), /were not undone/);
  });
});

Deno.test("interface names with dots stay one part of the path", () => {
  assert.equal(interfaceSysctl(4, "eth0.100", "arp_ignore"), "net/ipv4/conf/eth0.100/arp_ignore");
  assert.throws(() => interfaceSysctl(4, "..", "arp_ignore"), /not a setting/);
  assert.throws(() => interfaceSysctl(4, "a/b", "arp_ignore"), /not a setting/);
});

Deno.test("a disk that is full changes no setting, and is told with the path", async () => {
  const directory = await Deno.makeTempDir();
  // Every write to it fails as on a full disk: full(4).
  await Deno.symlink("/dev/full", `${directory}/${JOURNAL_FILE}.new`);
  const now = readSysctl(change.path)!;
  assert.throws(() => new HostChanges(directory).setSysctl(change.path, `${Number(now) + 1}`), {
    message: new RegExp(`No space left on device.*\\(${directory}/${JOURNAL_FILE}\\)$`),
    remedy: /^Make room/,
  });
  assert.equal(readSysctl(change.path), now);
  await Deno.remove(directory, { recursive: true });
});

Deno.test("a value that the kernel refuses is told with the sysctl", () => {
  assert.throws(
    () => writeSysctl(change.path, "nonsense"),
    /^VipfarmError: set a sysctl to nonsense: .*arp_ignore/,
  );
});

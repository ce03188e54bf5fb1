/**
 * Every constant, structure offset and size of `ffi/layout/` against the C headers of the machine: a probe is made from
 * the names in those files, compiled with the C compiler and run.
 */

import assert from "node:assert/strict";
import * as constants from "../../../ffi/layout/constants.ts";
import { ERRNO } from "../../../ffi/layout/errno.ts";
import * as structs from "../../../ffi/layout/structs.ts";
import { libc } from "../../../ffi/libc.ts";

// The order is that in which glibc's and the kernel's headers tolerate each other.
const HEADERS = [
  "sys/socket.h",
  "netinet/in.h",
  "netinet/tcp.h",
  "net/if.h",
  "net/if_arp.h",
  "errno.h",
  "fcntl.h",
  "poll.h",
  "sched.h",
  "stddef.h",
  "stdio.h",
  "sys/eventfd.h",
  "sys/ioctl.h",
  "sys/mman.h",
  "sys/prctl.h",
  "sys/uio.h",
  "time.h",
  "unistd.h",
  "linux/filter.h",
  "linux/if_addr.h",
  "linux/if_ether.h",
  "linux/if_link.h",
  "linux/if_packet.h",
  "linux/if_tun.h",
  "linux/inet_diag.h",
  "linux/netlink.h",
  "linux/rtnetlink.h",
  "linux/sock_diag.h",
  "linux/virtio_net.h",
];

function expectations(): Map<string, number> {
  const expected = new Map<string, number>();
  for (const [name, value] of Object.entries(constants)) expected.set(name, value);
  for (const [name, [value]] of Object.entries(ERRNO)) expected.set(name, value);
  for (const { name, size, offsets } of Object.values(structs)) {
    expected.set(`sizeof(${name})`, size);
    for (const [field, offset] of Object.entries(offsets)) {
      expected.set(`offsetof(${name}, ${field})`, offset);
    }
  }
  return expected;
}

function missing(command: string): string | undefined {
  try {
    return new Deno.Command(command, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync()
        .success
      ? undefined
      : `${command} does not run`;
  } catch {
    return `there is no C compiler (${command})`;
  }
}

const noCompiler = missing("cc");

Deno.test({
  name: noCompiler === undefined
    ? "every constant, offset and size is what the C headers say"
    : `every constant, offset and size is what the C headers say [skipped: ${noCompiler}]`,
  ignore: noCompiler !== undefined,
  fn() {
    const expected = expectations();
    const directory = Deno.makeTempDirSync({ prefix: "vft-layout-" });
    try {
      const source = [
        "#define _GNU_SOURCE",
        ...HEADERS.map((header) => `#include <${header}>`),
        "int main(void) {",
        ...[...expected.keys()].map((name) => `  printf("%lld\\n", (long long)(${name}));`),
        "  return 0;",
        "}",
      ].join("\n");
      Deno.writeTextFileSync(`${directory}/probe.c`, source);
      run("cc", ["-o", `${directory}/probe`, `${directory}/probe.c`]);
      const values = run(`${directory}/probe`, []).trim().split("\n").map(Number);
      const found = new Map([...expected.keys()].map((name, index) => [name, values[index]]));
      assert.equal(values.length, expected.size);
      // Netlink and ioctl numbers are unsigned in some headers: they are compared as 32-bit words.
      const differing = [...expected].filter(([name, value]) => found.get(name)! >>> 0 !== value >>> 0);
      assert.deepEqual(differing.map(([name, ours]) => ({ name, ours, theirs: found.get(name) })), []);
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  },
});

Deno.test("the page size comes from the kernel and is a power of two", () => {
  const pageBytes = libc.sysconf(constants._SC_PAGESIZE);
  assert.ok(pageBytes >= 4096 && (pageBytes & (pageBytes - 1)) === 0, `${pageBytes}`);
});

function run(command: string, args: string[]): string {
  const { success, stdout, stderr } = new Deno.Command(command, { args }).outputSync();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

/**
 * Every constant, structure offset and size of `ffi/layout/` against the C headers: a probe is made from the names in
 * those files and compiled. The numbers are read from the assembly that comes out, so that nothing has to run on the
 * machine that it is for: with a cross compiler (`aarch64-linux-gnu-gcc`) the other machine is proved as well.
 */

import assert from "node:assert/strict";
import * as constants from "../../../ffi/layout/constants.ts";
import { ERRNO } from "../../../ffi/layout/errno.ts";
import * as structs from "../../../ffi/layout/structs.ts";
import { EPOLL_EVENT } from "../../../ffi/layout/machine_structs.ts";
import { SYSCALLS } from "../../../ffi/layout/syscalls.ts";
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
  "sys/epoll.h",
  "sys/eventfd.h",
  "sys/ioctl.h",
  "sys/mman.h",
  "sys/prctl.h",
  "sys/syscall.h",
  "sys/uio.h",
  "sys/un.h",
  "time.h",
  "unistd.h",
  "linux/filter.h",
  "linux/bpf.h",
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

function expectations(machine: keyof typeof SYSCALLS): Map<string, number> {
  const expected = new Map<string, number>();
  for (const [name, value] of Object.entries(constants)) expected.set(name, value);
  for (const [name, [value]] of Object.entries(ERRNO)) expected.set(name, value);
  for (const struct of [...Object.values(structs), EPOLL_EVENT[machine]]) {
    if ("size" in struct) expected.set(`sizeof(${struct.name})`, struct.size);
    for (const [field, offset] of Object.entries(struct.offsets)) {
      expected.set(`offsetof(${struct.name}, ${field})`, offset);
    }
  }
  for (const [name, number] of Object.entries(SYSCALLS[machine])) expected.set(`SYS_${name}`, number);
  return expected;
}

function missing(command: string): string | undefined {
  try {
    return new Deno.Command(command, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync()
        .success
      ? undefined
      : `${command} does not run`;
  } catch {
    return "there is no such C compiler";
  }
}

/** Machines whose headers are asked: this one, and the other supported one where its cross compiler is installed. */
const COMPILERS = ["cc", "x86_64-linux-gnu-gcc", "aarch64-linux-gnu-gcc"];

for (const compiler of COMPILERS) {
  const reason = missing(compiler);
  Deno.test({
    name: `every constant, offset and size is what the C headers of ${compiler} say` +
      (reason === undefined ? "" : ` [skipped: ${reason}]`),
    ignore: reason !== undefined,
    fn() {
      const expected = expectations(machineOf(compiler));
      const found = compiledValues(compiler, [...expected.keys()]);
      const differing = [...expected].filter(([name, value]) => found.get(name) !== value >>> 0);
      assert.deepEqual(differing.map(([name, ours]) => ({ name, ours, theirs: found.get(name) })), []);
      assert.ok(expected.size > 200, `${expected.size} were compared`);
    },
  });
}

/** The machine that the compiler makes programs for. */
function machineOf(compiler: string): keyof typeof SYSCALLS {
  const { stdout } = new Deno.Command(compiler, { args: ["-dumpmachine"] }).outputSync();
  const [machine] = new TextDecoder().decode(stdout).split("-");
  assert.ok(machine in SYSCALLS, `${compiler} is for ${machine}`);
  return machine as keyof typeof SYSCALLS;
}

/** What each expression is for that compiler's machine, as an unsigned 32-bit word (some headers use signed types). */
function compiledValues(compiler: string, names: string[]): Map<string, number> {
  const source = [
    "#define _GNU_SOURCE",
    ...HEADERS.map((header) => `#include <${header}>`),
    "const unsigned int values[] = {",
    ...names.map((name) => `  (unsigned int)(${name}),`),
    "};",
  ].join("\n");
  const directory = Deno.makeTempDirSync({ prefix: "vft-layout-" });
  try {
    Deno.writeTextFileSync(`${directory}/probe.c`, source);
    run(compiler, ["-S", "-o", `${directory}/probe.s`, `${directory}/probe.c`]);
    const assembly = Deno.readTextFileSync(`${directory}/probe.s`).split(/^values:$/m)[1];
    // Both assemblers write a 32-bit number as .long or .word, and a run of zero bytes as .zero.
    const values: number[] = [];
    for (const [, directive, number] of assembly.matchAll(/^\s+\.(long|word|zero)\s+(-?\d+)$/gm)) {
      if (directive === "zero") values.push(...Array(Number(number) / 4).fill(0));
      else values.push(Number(number) >>> 0);
    }
    assert.equal(values.length, names.length, "the probe holds one number for each name");
    return new Map(names.map((name, index) => [name, values[index]]));
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

Deno.test("the page size comes from the kernel and is a power of two", () => {
  const pageBytes = libc.sysconf(constants._SC_PAGESIZE);
  assert.ok(pageBytes >= 4096 && (pageBytes & (pageBytes - 1)) === 0, `${pageBytes}`);
});

function run(command: string, args: string[]): void {
  const { success, stderr } = new Deno.Command(command, { args }).outputSync();
  assert.ok(success, new TextDecoder().decode(stderr));
}

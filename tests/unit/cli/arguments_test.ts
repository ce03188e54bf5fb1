import assert from "node:assert/strict";
import { clientArgument, integerBetween, serviceArgument, vipArgument } from "../../../src/cli/arguments.ts";
import { colours } from "../../../src/cli/output.ts";

Deno.test("a client with and without port, in both families", () => {
  const read = (text: string) => {
    const { client, port } = clientArgument(text);
    return [client.text, port];
  };
  assert.deepEqual(read("192.0.2.7"), ["192.0.2.7", undefined]);
  assert.deepEqual(read("192.0.2.7:51000"), ["192.0.2.7", 51_000]);
  assert.deepEqual(read("2001:DB8::7"), ["2001:db8::7", undefined]);
  assert.deepEqual(read("[2001:db8::7]"), ["2001:db8::7", undefined]);
  assert.deepEqual(read("[2001:db8::7]:0"), ["2001:db8::7", 0]);
  for (
    const text of [
      "",
      "example.org",
      "192.0.2.7:",
      "192.0.2.7:65536",
      "[192.0.2.7",
      "224.0.0.1:1",
      "1.2.3.4:5:6",
    ]
  ) {
    assert.throws(() => clientArgument(text), /Expected an address and port/, text);
  }
});

Deno.test("services of init", () => {
  assert.deepEqual(serviceArgument("http=80,443"), { name: "http", protocol: "tcp", ports: ["80", "443"] });
  assert.deepEqual(serviceArgument("dns=53/udp"), { name: "dns", protocol: "udp", ports: ["53"] });
  assert.deepEqual(serviceArgument("a=1-2/tcp"), { name: "a", protocol: "tcp", ports: ["1-2"] });
  for (
    const text of ["", "http", "http=", "http=80,", "=80", "http=0", "http=2-1", "http=80/sctp", "a b=80"]
  ) {
    assert.throws(() => serviceArgument(text), /NAME=PORTS/, text);
  }
});

Deno.test("virtual IPs and whole numbers", () => {
  assert.equal(vipArgument("2001:DB8::1"), "2001:db8::1");
  assert.throws(() => vipArgument("127.0.0.1"));
  assert.throws(() => vipArgument("fe80::100"), /no link-local one/);
  assert.equal(integerBetween(2, 32)("32"), 32);
  for (const text of ["1", "33", "2.0", "0x10", "", " 3", "1e1"]) {
    assert.throws(() => integerBetween(2, 32)(text), text);
  }
});

Deno.test("colour is for terminals, and NO_COLOR takes it away unless it is empty", () => {
  const before = { NO_COLOR: Deno.env.get("NO_COLOR"), TERM: Deno.env.get("TERM") };
  try {
    Deno.env.set("TERM", "xterm");
    Deno.env.set("NO_COLOR", "");
    assert.equal(colours(true).red("x"), "\x1b[31mx\x1b[39m");
    assert.equal(colours(false).red("x"), "x");
    Deno.env.set("NO_COLOR", "0");
    assert.equal(colours(true).red("x"), "x");
    Deno.env.set("NO_COLOR", "");
    Deno.env.set("TERM", "dumb");
    assert.equal(colours(true).bold("x"), "x");
  } finally {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
});

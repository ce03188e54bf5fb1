/** The sections `checks` and `rules`: what becomes of them, and that no wrong value in them is taken. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { parse, stringify } from "yaml";
import { formatPath, type Path } from "../../../src/config/problem.ts";
import { parseConfig } from "../../../src/config/load.ts";
import { isRuleProblem, readRule } from "../../../src/config/rule_expression.ts";
import { needsRestart } from "../../../src/control/reload.ts";

const FARM = `farm: web
secret_file: secret
interface: eth0
virtual_ips: [{ address: 192.0.2.100 }, { address: "2001:db8::100" }]
services:
  - { name: http, ports: [80], virtual_ip: "2001:db8::100" }
  - { name: dns, ports: [53], protocol: udp }
`;

/** Every kind of check with every key. */
const CHECKS = `checks:
  - name: tcp
    tcp: { address: 192.0.2.1, port: 5432 }
    services: [http, dns]
    interval: 500ms
    timeout: 400ms
    rise: 3
    fall: 4
    start_delay: 2s
    warm_up: 50ms
    on_failure: fail
    last_resort: drop
  - name: http
    http: { address: 127.0.0.1, port: 8080, method: HEAD, path: /healthz, host: www.example.com, status: [200, 301-302], body_contains: ok, body_matches: "^ok" }
  - name: https
    https: { port: 8443, server_name: www.example.com, verify: false, ca_file: ca.pem }
  - { name: ping, ping: { address: "2001:db8::1" } }
  - { name: link, interface: { name: eth1, addresses: [192.0.2.7] } }
  - { name: nginx, process: { name: nginx, arguments: "^nginx: master", at_least: 1, at_most: 2 }, services: [http] }
  - { name: file, process: { pid_file: nginx.pid } }
  - { name: unit, process: { systemd_unit: nginx.service } }
  - { name: exec, exec: { command: [/bin/true, -x], user: nobody, weight_by_exit: true } }
  - { name: dns, dns: { server: 127.0.0.1, port: 5353, name: www.example.com, type: AAAA, expect: ["2001:db8::7"] } }
  - { name: udp, udp: { address: 127.0.0.1, port: 53, send: hello, expect_hex: "00ff" } }
  - { name: udp_hex, udp: { port: 53, send_hex: "00ff", expect: hello } }
  - { name: farm, farm: { members: 2, gateway: 192.0.2.1 } }
rules:
  - { name: alone, when: check.tcp.down && farm.members < 2, do: leave, after: 2s, services: [dns], last_resort: drop }
  - { when: 'node.state == "up"', do: fail }
`;

function checksOf(text: string) {
  const { config, problems } = parseConfig(FARM + text, "/etc/vipfarm/farm.yaml");
  assert.deepEqual(problems, []);
  assert.ok(config);
  return config.checks;
}

/** With addresses and bytes as text. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(
      value,
      (_key, each) => each instanceof Uint8Array ? each.toHex() : each?.bytes && each.text ? each.text : each,
    ),
  );
}

Deno.test("each kind of check resolves to what the file says", () => {
  const { checks, rules, services } = checksOf(CHECKS);
  assert.deepEqual(services, ["http", "dns"]);
  assert.deepEqual(plain(checks[0]), {
    name: "tcp",
    target: { kind: "tcp", address: "192.0.2.1", port: 5432 },
    timing: { intervalMs: 500, timeoutMs: 400, rise: 3, fall: 4, startDelayMs: 2_000, warmUpMs: 50 },
    services: ["http", "dns"],
    onFailure: "fail",
    lastResort: false,
  });
  assert.deepEqual(checks.slice(1).map(({ target }) => plain(target)), [
    {
      kind: "http",
      address: "127.0.0.1",
      port: 8080,
      method: "HEAD",
      path: "/healthz",
      host: "www.example.com",
      status: [{ from: 200, to: 200 }, { from: 301, to: 302 }],
      bodyContains: "ok",
      bodyMatches: "^ok",
    },
    {
      kind: "https",
      address: "2001:db8::100",
      port: 8443,
      method: "GET",
      path: "/",
      status: [{ from: 200, to: 399 }],
      serverName: "www.example.com",
      verify: false,
      caFile: "/etc/vipfarm/ca.pem",
    },
    { kind: "ping", address: "2001:db8::1" },
    { kind: "interface", name: "eth1", addresses: ["192.0.2.7"] },
    { kind: "process", name: "nginx", arguments: "^nginx: master", atLeast: 1, atMost: 2 },
    { kind: "process", pidFile: "/etc/vipfarm/nginx.pid", atLeast: 1 },
    { kind: "process", systemdUnit: "nginx.service", atLeast: 1 },
    { kind: "exec", command: ["/bin/true", "-x"], user: "nobody", weightByExit: true },
    {
      kind: "dns",
      server: "127.0.0.1",
      port: 5353,
      name: "www.example.com",
      type: "AAAA",
      expect: ["2001:db8::7"],
    },
    { kind: "udp", address: "127.0.0.1", port: 53, send: "68656c6c6f", expect: "00ff" },
    { kind: "udp", address: "2001:db8::100", port: 53, send: "00ff", expect: "68656c6c6f" },
    { kind: "farm", members: 2, gateway: "192.0.2.1" },
  ]);
  assert.deepEqual(rules.map(({ when, ...rest }) => ({ ...rest, when: when.text })), [
    {
      name: "alone",
      when: "check.tcp.down && farm.members < 2",
      action: "leave",
      afterMs: 2_000,
      services: ["dns"],
      lastResort: false,
    },
    {
      name: "#2",
      when: 'node.state == "up"',
      action: "fail",
      afterMs: 0,
      services: ["http", "dns"],
      lastResort: true,
    },
  ]);
});

Deno.test("defaults: a second, four fifths of it, two failures but one where the kernel knows, the first virtual IP", () => {
  const { checks } = checksOf(
    "checks: [{ name: a, tcp: { port: 53 }, services: [dns] }, { name: b, process: { name: x }, interval: 2s }]",
  );
  assert.deepEqual(plain(checks[0]), {
    name: "a",
    target: { kind: "tcp", address: "192.0.2.100", port: 53 },
    timing: { intervalMs: 1_000, timeoutMs: 800, rise: 2, fall: 2, startDelayMs: 0, warmUpMs: 200 },
    services: ["dns"],
    onFailure: "leave",
    lastResort: true,
  });
  assert.deepEqual(checks[1].timing, {
    intervalMs: 2_000,
    timeoutMs: 1_600,
    rise: 2,
    fall: 1,
    startDelayMs: 0,
    warmUpMs: 400,
  });
  assert.deepEqual(checks[1].services, ["http", "dns"]);
});

Deno.test("checks and rules need no restart, and are part of the digest", () => {
  const without = parseConfig(FARM, "f").config!, having = parseConfig(FARM + CHECKS, "f").config!;
  assert.deepEqual(needsRestart(without, having), []);
  assert.notEqual(without.digest, having.digest);
  assert.equal(without.servicesDigest, having.servicesDigest);
});

const WHOLE = parse(FARM + CHECKS) as Record<string, unknown>;

/** Every path below `checks` and `rules`. */
function paths(value: unknown, path: Path): Path[] {
  const below = typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([key, each]) =>
      paths(each, [...path, Array.isArray(value) ? Number(key) : key])
    )
    : [];
  return [path, ...below];
}

function changed(
  path: Path,
  change: (container: Record<string | number, unknown>, key: string | number) => void,
) {
  const copy = structuredClone(WHOLE);
  const container = path.slice(0, -1).reduce<unknown>(
    (at, step) => (at as Record<string, unknown>)[step],
    copy,
  );
  change(container as Record<string | number, unknown>, path.at(-1)!);
  return parseConfig(stringify(copy), "farm.yaml");
}

const EVERY = ["checks", "rules"].flatMap((section) => paths(WHOLE[section], [section]));

Deno.test("a value of another kind is refused at every place, where it stands", () => {
  assert.ok(EVERY.length > 100, `${EVERY.length} places`);
  for (const path of EVERY) {
    for (const wrong of [[[[]]], { zebra: 1 }, -1, "", true, 1e300]) {
      const correct = path.reduce<unknown>((at, step) => (at as Record<string, unknown>)[step], WHOLE);
      // A switch may be on, and an argument of a program may be empty.
      if (wrong === true && typeof correct === "boolean") continue;
      if (wrong === "" && path.includes("command") && correct !== "/bin/true") continue;
      const { config, problems } = changed(path, (container, key) => container[key] = wrong);
      const what = `${formatPath(path)}: ${JSON.stringify(wrong)}`;
      assert.equal(config, undefined, what);
      assert.ok(
        problems.some((problem) => problem.path.startsWith(formatPath(path.slice(0, 3)))),
        `${what}: ${JSON.stringify(problems)}`,
      );
      assert.ok(problems.every(({ line, expected }) => line > 1 && expected !== ""), what);
    }
  }
});

Deno.test("an unknown key is refused in every mapping, with the one that was meant", () => {
  const mappings = EVERY.filter((path) => {
    const value = path.reduce<unknown>((at, step) => (at as Record<string, unknown>)[step], WHOLE);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  });
  assert.ok(mappings.length > 20);
  for (const path of mappings) {
    const { config, problems } = changed([...path, "zebra"], (container, key) => container[key] = 1);
    assert.equal(config, undefined);
    assert.ok(problems.some(({ message }) => message.includes('unknown key "zebra"')), formatPath(path));
  }
});

Deno.test("a state in a condition is one that there is; other texts are anybody's", () => {
  for (
    const [expression, stray] of [
      ['node.state == "up" || node.state in ["waiting", "failed"] || "stopped" != node.state', undefined],
      ['node.state == (node.name == "n1" ? "up" : "failed") && node.name != "upp"', undefined],
      ['node.state == "upp"', "upp"],
      ["!(check.db.up && ('' != node.state))", ""],
      ['node.state in ["up", "a\\nb"]', "a\nb"],
    ] as const
  ) {
    const read = readRule(expression, ["db", "gateway"]);
    const expected = stray === undefined ? undefined : `there is no state ${JSON.stringify(stray)}`;
    assert.equal(isRuleProblem(read) ? read.message : undefined, expected, expression);
  }
});

Deno.test("no condition makes the reader throw, and what is wrong lies in its text", () => {
  const words = fc.constantFrom(
    ..."check db gateway up down pending farm members node state name . . . && || ! ( ) [ ] , ? : < == + - 1 2.5 'a' \"\" in has size map exists x"
      .split(" "),
  );
  const text = fc.oneof(
    fc.string({ maxLength: 80 }),
    fc.array(words, { maxLength: 30 }).map((parts) => parts.join(" ")),
    fc.array(words, { maxLength: 30 }).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(text, (expression) => {
      const read = readRule(expression, ["db", "gateway"]);
      if (isRuleProblem(read)) {
        assert.ok(read.start >= 0 && read.start <= expression.length, `${read.start} of ${expression}`);
        assert.ok(read.message !== "" && !read.message.includes("\n"));
      } else {
        const facts = {
          checks: { db: "down", gateway: "up" },
          farm: { members: 2 },
          node: { name: "n1", state: "up" },
        } as const;
        assert.equal(typeof read.holds(facts), "boolean");
      }
    }),
    { numRuns: 2_000 },
  );
});

/** Checks against real servers in another namespace: what they find, and what they say when it is gone. */

import assert from "node:assert/strict";
import { lines } from "../../src/core/lines.ts";
import { missingPrivilege, Pair, run } from "./ffi_support.ts";
import { HealthRun, program } from "./health_support.ts";

const ignore = missingPrivilege !== undefined;
const SERVER = "10.77.0.2";
const EVERY = "interval: 300ms, timeout: 250ms";

/** Checks that must be up while the servers run. */
const GOOD: Record<string, string> = {
  tcp: `tcp: { address: ${SERVER}, port: 7001 }`,
  http: `http: { address: ${SERVER}, port: 7080, path: /ok, status: [200], body_contains: is well }`,
  http_host:
    `http: { address: ${SERVER}, port: 7080, path: /host, host: www.example.com, body_matches: "^www.example.com$" }`,
  http_head: `http: { address: ${SERVER}, port: 7080, path: /ok, method: HEAD }`,
  http_moved: `http: { address: ${SERVER}, port: 7080, path: /moved }`,
  http_endless: `http: { address: ${SERVER}, port: 7080, path: /endless, body_contains: aaaa }`,
  https: `https: { address: ${SERVER}, port: 7443, path: /ok, server_name: web.example, ca_file: ca.pem }`,
  https_open: `https: { address: ${SERVER}, port: 7443, path: /ok, verify: false }`,
  ping: `ping: { address: ${SERVER} }`,
  ping6: "ping: { address: fd77::2 }",
  dns: `dns: { server: ${SERVER}, port: 7053, name: known.example, expect: [192.0.2.7] }`,
  udp: `udp: { address: ${SERVER}, port: 7007, send: hello, expect: "said hello" }`,
  udp_hex: `udp: { address: ${SERVER}, port: 7007, send_hex: "61ff", expect_hex: "6964" }`,
  farm: `farm: { members: 2, gateway: ${SERVER} }`,
};

/** Checks that must be down while the servers run, with what they say. */
const BAD: Record<string, [what: string, reason: RegExp]> = {
  tcp_closed: [`tcp: { address: ${SERVER}, port: 7002 }`, /^connection refused$/],
  tcp_gone: ["tcp: { address: 10.77.0.99, port: 80 }", /^no answer within 250 ms$|unreachable/],
  http_broken: [`http: { address: ${SERVER}, port: 7080, path: /broken }`, /^status 503, expected 200-399$/],
  http_body: [
    `http: { address: ${SERVER}, port: 7080, path: /ok, body_matches: "^well" }`,
    /^status 200, but the body does not match \^well$/,
  ],
  http_slow: [`http: { address: ${SERVER}, port: 7080, path: /slow, body_contains: x }`, /^no answer within/],
  http_tls: [`http: { address: ${SERVER}, port: 7443 }`, /does not speak HTTP|ends too early/],
  https_unknown: [
    `https: { address: ${SERVER}, port: 7443, path: /ok, server_name: web.example }`,
    /certificate/i,
  ],
  https_name: [
    `https: { address: ${SERVER}, port: 7443, path: /ok, server_name: other.example, ca_file: ca.pem }`,
    /altnames|name/i,
  ],
  https_plain: [`https: { address: ${SERVER}, port: 7080, verify: false }`, /./],
  https_no_ca: [`https: { address: ${SERVER}, port: 7443, ca_file: missing.pem }`, /missing\.pem/],
  ping_gone: ["ping: { address: 10.77.0.99 }", /does not answer/],
  dns_unknown: [`dns: { server: ${SERVER}, port: 7053, name: unknown.example }`, /NXDOMAIN/],
  dns_broken: [`dns: { server: ${SERVER}, port: 7053, name: broken.example }`, /SERVFAIL/],
  dns_other: [
    `dns: { server: ${SERVER}, port: 7053, name: known.example, expect: [192.0.2.8] }`,
    /is 192\.0\.2\.7$/,
  ],
  dns_closed: [`dns: { server: ${SERVER}, port: 7054, name: known.example }`, /connection refused/],
  udp_other: [`udp: { address: ${SERVER}, port: 7007, send: hello, expect: "goodbye" }`, /another answer/],
  farm_small: ["farm: { members: 3 }", /^2 members in view, expected at least 3$/],
};

Deno.test(
  { name: "servers that answer are up; each that does not is down with its reason", ignore },
  async () => {
    const directory = Deno.makeTempDirSync({ prefix: "vft-health-" });
    using pair = new Pair();
    run(
      "openssl",
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=web.example"
        .split(" "),
      ..."-addext subjectAltName=DNS:web.example".split(" "),
      ...["-keyout", `${directory}/key.pem`, "-out", `${directory}/ca.pem`],
    );
    const servers = program(
      pair.b,
      "health_servers.ts",
      SERVER,
      `${directory}/ca.pem`,
      `${directory}/key.pem`,
    );
    try {
      const output = lines(servers.stdout);
      assert.equal((await output.next()).value, "ready");
      const checks = [
        ...Object.entries(GOOD),
        ...Object.entries(BAD).map(([name, [what]]) => [name, what]),
      ].map(([name, what]) => `  - { name: ${name}, ${EVERY}, ${what}, on_failure: none }`).join("\n");
      await using health = new HealthRun(pair.a, directory, `checks:\n${checks}`);
      for (const name of Object.keys(GOOD)) await health.untilCheck(name, "up");
      for (const name of Object.keys(BAD)) await health.untilCheck(name, "down");
      for (const [name, [, reason]] of Object.entries(BAD)) await health.untilReason(name, "down", reason);
      servers.kill("SIGKILL");
      const since = health.told.length;
      const needServers = Object.keys(GOOD).filter((name) => !/^(ping|farm)/.test(name));
      for (const name of needServers) await health.untilCheck(name, "down", since);
      for (const name of ["ping", "ping6", "farm"]) await health.untilReason(name, "up", /./);
      const downs = health.told.filter(({ event }) => event?.kind === "check.down").map(({ event }) =>
        event!.message
      );
      assert.ok(
        downs.some((message) => message.startsWith("Check tcp is down on n1: connection refused.")),
        downs.join("\n"),
      );
    } finally {
      try {
        servers.kill("SIGKILL");
      } catch {
        // It has been killed already.
      }
      await servers.stdin.close().catch(() => {});
      await servers.status;
      Deno.removeSync(directory, { recursive: true });
    }
  },
);

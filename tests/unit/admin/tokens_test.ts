import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { FailureLimiter, TokenStore } from "../../../src/admin/tokens.ts";
import { ManualClock } from "../../../src/core/clock.ts";
import { EXIT, VipfarmError } from "../../../src/core/errors.ts";
import { withServer } from "./farm.ts";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const FILE = `# who may do what
monitor grafana ${sha256("m-token")}
control ops ${sha256("c-token")}

admin root ${sha256("a-token").toUpperCase()}
`;
const tokens = TokenStore.parse(FILE, "tokens");
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

Deno.test("a token is known by its hash, and no other text is", () => {
  assert.deepEqual(tokens.find("m-token"), { name: "grafana", role: "monitor" });
  assert.deepEqual(tokens.find("c-token"), { name: "ops", role: "control" });
  assert.deepEqual(tokens.find("a-token"), { name: "root", role: "admin" });
  fc.assert(fc.property(fc.string(), (text) => {
    fc.pre(!["m-token", "c-token", "a-token"].includes(text));
    assert.equal(tokens.find(text), undefined);
  }));
  assert.equal(tokens.find(sha256("m-token")), undefined, "the hash is not the token");
});

Deno.test("a wrong tokens file is refused with the line and what it must look like", () => {
  const hash = sha256("x");
  const cases: Array<[string, RegExp]> = [
    ["", /holds no token/],
    ["# only a comment\n", /holds no token/],
    ["monitor grafana", /three words.*tokens:1/],
    [`monitor a b ${hash}`, /three words/],
    [`# c\n\nviewer a ${hash}`, /unknown role.*tokens:3/],
    ["monitor a 1234", /SHA-256.*tokens:1/],
    [`monitor a ${"g".repeat(64)}`, /SHA-256/],
    [`monitor a ${hash}\ncontrol a ${hash}`, /given before.*tokens:2/],
    [`monitor ${"n".repeat(64)} ${hash}`, /at most 63/],
    [Array.from({ length: 257 }, (_, i) => `monitor n${i} ${hash}`).join("\n"), /at most 256 tokens/],
  ];
  for (const [text, message] of cases) {
    assert.throws(() => TokenStore.parse(text, "tokens"), (error: VipfarmError) => {
      assert.match(error.message, message);
      assert.equal(error.exitCode, EXIT.usage);
      assert.ok(error.remedy);
      assert.ok(!error.message.includes(hash), "no hash in a message");
      return true;
    });
  }
});

Deno.test("a tokens file that others may read or write is refused, with the command that helps", async () => {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, FILE);
    for (const mode of [0o644, 0o604, 0o620, 0o602, 0o666]) {
      await Deno.chmod(file, mode);
      await assert.rejects(
        TokenStore.load(file),
        (error: VipfarmError) => error.remedy === `chmod 600 ${file}`,
      );
    }
    for (const mode of [0o600, 0o400, 0o640]) {
      await Deno.chmod(file, mode);
      assert.equal((await TokenStore.load(file)).find("c-token")?.name, "ops");
    }
    await assert.rejects(
      TokenStore.load(`${file}.missing`),
      (error: VipfarmError) => error.exitCode === EXIT.usage,
    );
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("each role may do what it should, and no more", async () => {
  await withServer({ tokens }, async ({ url, unixPath, farm }) => {
    const ask = async (
      method: string,
      path: string,
      headers: Record<string, string>,
      client?: Deno.HttpClient,
    ) => {
      const response = await fetch(url + path, { method, headers, client });
      await response.body?.cancel();
      return response.status;
    };
    for (const path of ["/", "/docs", "/openapi.json", "/healthz", "/readyz"]) {
      assert.equal(await ask("GET", path, {}), 200, `${path} holds no data`);
    }
    const reads = [
      "/api/v1/farm",
      "/api/v1/events?format=json",
      "/metrics",
      "/api/v1/explain?client=1.2.3.4&service=dns",
    ];
    for (const path of reads) {
      assert.equal(await ask("GET", path, {}), 401, path);
      assert.equal(await ask("HEAD", path, {}), 401, path);
      for (const token of ["m-token", "c-token", "a-token"]) {
        assert.equal(await ask("GET", path, bearer(token)), 200, path);
      }
    }
    const drain = "/api/v1/nodes/n2/drain";
    assert.equal(await ask("POST", drain, {}), 401);
    assert.equal(await ask("POST", drain, bearer("m-token")), 403);
    assert.equal(await ask("PUT", "/api/v1/nodes/n2/weight", bearer("m-token")), 403);
    assert.equal(await ask("POST", "/api/v1/nope", {}), 401, "nobody may probe for paths");
    assert.deepEqual(farm.orders, []);
    assert.equal(await ask("POST", drain, bearer("c-token")), 200);
    assert.equal(await ask("POST", drain, bearer("a-token")), 200);
    const kinds = farm.events.list().events.map(({ kind, details }) => `${kind} ${details?.who}`);
    assert.deepEqual(kinds, [
      "admin.forbidden grafana",
      "admin.forbidden grafana",
      "admin.action ops",
      "admin.action root",
    ]);
    // The Unix socket needs none: its permissions are its password.
    const local = Deno.createHttpClient({ proxy: { transport: "unix", path: unixPath } });
    const response = await fetch("http://localhost/api/v1/farm", { client: local });
    assert.equal(response.status, 200);
    await response.body?.cancel();
    local.close();
  });
});

Deno.test("a refusal names what is missing, and how to send it", async () => {
  await withServer({ tokens }, async ({ url }) => {
    const missing = await fetch(`${url}/api/v1/farm`);
    assert.equal(missing.headers.get("www-authenticate"), 'Bearer realm="vipfarm"');
    assert.equal((await missing.json()).error.code, "token_required");
    for (const authorization of ["Bearer wrong", `bearer ${"x".repeat(600)}`]) {
      const response = await fetch(`${url}/api/v1/farm`, { headers: { authorization } });
      assert.equal(response.status, 401);
      assert.equal((await response.json()).error.code, "token_unknown");
    }
    for (const authorization of ["Basic bS10b2tlbg==", "m-token", "Bearer"]) {
      const response = await fetch(`${url}/api/v1/farm`, { headers: { authorization } });
      assert.equal((await response.json()).error.code, "token_required");
    }
  });
});

Deno.test("too many wrong tokens lock the address out for a minute, right tokens included", async () => {
  const clock = new ManualClock();
  await withServer({ tokens, nowMs: () => clock.nowMs() }, async ({ url, farm }) => {
    const ask = async (token: string) => {
      const response = await fetch(`${url}/api/v1/farm`, { headers: bearer(token) });
      await response.body?.cancel();
      return response;
    };
    for (let i = 0; i < 10; i++) assert.equal((await ask(`guess-${i}`)).status, 401);
    const locked = await ask("m-token");
    assert.equal(locked.status, 429);
    assert.equal(locked.headers.get("retry-after"), "60");
    assert.equal((await fetch(`${url}/readyz`).then((r) => (r.body?.cancel(), r))).status, 200);
    assert.deepEqual(farm.events.list().events.map(({ kind }) => kind), ["admin.locked_out"]);
    clock.advance(60_000);
    assert.equal((await ask("m-token")).status, 200);
  });
});

Deno.test("the limiter forgets old failures, counts a /64 as one, and remembers a bounded number", () => {
  const clock = new ManualClock();
  const limiter = new FailureLimiter(() => clock.nowMs());
  for (let i = 0; i < 9; i++) assert.equal(limiter.fail(`2001:db8::${i}`), false);
  assert.equal(limiter.waitMs("2001:db8::ffff"), 0);
  assert.equal(limiter.fail("2001:db8::a:b:c:d"), true);
  assert.equal(limiter.waitMs("2001:db8::ffff"), 60_000);
  assert.equal(limiter.waitMs("2001:db8:0:1::1"), 0);
  assert.equal(limiter.waitMs("192.0.2.1"), 0);
  clock.advance(59_999);
  assert.ok(limiter.waitMs("2001:db8::1") > 0);
  clock.advance(1);
  assert.equal(limiter.waitMs("2001:db8::1"), 0);
  for (let i = 0; i < 10; i++) limiter.fail("192.0.2.1");
  assert.ok(limiter.waitMs("192.0.2.1") > 0);
  for (let i = 0; i < 1024; i++) limiter.fail(`10.0.${i >> 8}.${i & 255}`);
  assert.equal(limiter.waitMs("192.0.2.1"), 0, "pushed out by newer ones");
});

import assert from "node:assert/strict";
import { createAdminApp } from "../../../src/admin/app.ts";
import { BODY_BYTES_MAX, hostAllowed } from "../../../src/admin/guard.ts";
import { PlainFarm, withServer } from "./farm.ts";

/** Sends raw bytes and reads the answer until the server closes, or the answer holds `enough`. */
async function raw(url: string, request: string, enough?: string): Promise<string> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(url).port) });
  await connection.write(new TextEncoder().encode(request));
  let text = "";
  for await (const chunk of connection.readable) {
    text += new TextDecoder().decode(chunk);
    if (enough !== undefined && text.includes(enough)) break;
  }
  return text;
}

const get = (path: string, ...headers: string[]) =>
  [`GET ${path} HTTP/1.1`, ...headers, "Connection: close", "", ""].join("\r\n");

Deno.test("only names of this host pass for a Host", () => {
  const listen = { host: "192.0.2.10", port: 9010 };
  for (
    const host of ["localhost", "LOCALHOST:9010", "localhost.", "a.localhost:1", "127.0.0.1", "127.9.9.9:80"]
  ) {
    assert.equal(hostAllowed(host, undefined), true, host);
  }
  assert.equal(hostAllowed("[::1]:9010", undefined), true);
  assert.equal(hostAllowed("192.0.2.10:9010", listen), true);
  assert.equal(hostAllowed("192.0.2.10:443", listen), true, "a tunnel may end at another port");
  for (
    const host of [
      "evil.example",
      "localhost.evil.example",
      "127.0.0.1.evil.example",
      "192.0.2.11",
      "",
      "a b",
      "::1",
      "[::1",
      "localhost:x",
      'ev"il',
      "user@localhost",
      "2130706433",
      "0x7f.1",
      "[::ffff:127.0.0.1]",
    ]
  ) {
    assert.equal(hostAllowed(host, listen), false, host);
  }
  assert.equal(hostAllowed("192.0.2.10", undefined), false);
  assert.equal(hostAllowed("node1.example", { host: "node1.example", port: 1 }), true);
  // Behind a wildcard every address passes, since addresses cannot be rebound, and no foreign name does.
  assert.equal(hostAllowed("192.0.2.11:9010", { host: "0.0.0.0", port: 9010 }), true);
  assert.equal(hostAllowed("[2001:db8::1]:9010", { host: "::", port: 9010 }), true);
  assert.equal(hostAllowed("evil.example", { host: "0.0.0.0", port: 9010 }), false);
});

Deno.test("with TLS, the certificate's names pass for a Host, a wildcard for one label", () => {
  const listen = { host: "192.0.2.10", port: 9010 };
  const certified = ["n1.example.com", "*.farm.example"];
  const allowed = (host: string) => hostAllowed(host, listen, certified);
  for (const host of ["n1.example.com", "N1.Example.com:9010", "n1.example.com.", "n1.farm.example:443"]) {
    assert.equal(allowed(host), true, host);
  }
  for (
    const host of [
      "n2.example.com",
      "farm.example",
      ".farm.example",
      "a.n1.farm.example",
      "n1.farm.example.evil",
      "*",
    ]
  ) {
    assert.equal(allowed(host), false, host);
  }
});

Deno.test("a request for a foreign Host is refused everywhere, in the request line too", async () => {
  await withServer({}, async ({ url }) => {
    for (
      const path of ["/", "/api/v1/farm", "/healthz", "/metrics", "/docs", "/openapi.json", "/api/v1/events"]
    ) {
      const answer = await raw(url, get(path, "Host: evil.example"));
      assert.match(answer, /^HTTP\/1\.1 403 /, path);
      assert.match(answer, /"code":"host_not_allowed"/);
    }
    assert.match(await raw(url, get("/healthz", "Host: localhost")), /^HTTP\/1\.1 200 /);
    assert.match(await raw(url, get("http://evil.example/healthz", "Host: localhost")), /^HTTP\/1\.1 403 /);
    assert.match(await raw(url, get("/healthz", 'Host: ev"il')), /^HTTP\/1\.1 40[03] /);
    // What no browser sends: a probe without Host.
    assert.match(await raw(url, "GET /healthz HTTP/1.0\r\n\r\n"), /^HTTP\/1\.[01] 200 /);
  });
});

Deno.test("an action from a page of another origin is refused; one from the console passes", async () => {
  await withServer({}, async ({ farm, url }) => {
    const { host } = new URL(url);
    const post = async (headers: Record<string, string>) => {
      const response = await fetch(`${url}/api/v1/nodes/n2/drain`, { method: "POST", headers });
      await response.body?.cancel();
      return response.status;
    };
    const foreign = ["http://evil.example", "null", `https://${host}.evil.example`, "http://localhost:1", ""];
    for (const origin of foreign) {
      assert.equal(await post({ origin }), 403, origin);
    }
    assert.equal(await post({ "sec-fetch-site": "cross-site" }), 403);
    assert.equal(await post({ "sec-fetch-site": "same-site" }), 403);
    assert.deepEqual(farm.orders, []);
    assert.equal(await post({ origin: `http://${host}`, "sec-fetch-site": "same-origin" }), 200);
    assert.equal(await post({}), 200, "a program sends no Origin");
  });
});

Deno.test("no answer allows another origin to read it", async () => {
  await withServer({}, async ({ url }) => {
    for (const method of ["GET", "OPTIONS"]) {
      const response = await fetch(`${url}/api/v1/farm`, {
        method,
        headers: { origin: "http://evil.example" },
      });
      await response.body?.cancel();
      assert.equal(response.headers.get("access-control-allow-origin"), null);
    }
  });
});

Deno.test("every answer carries the security headers, refusals and errors too", async () => {
  await withServer({}, async ({ url }) => {
    for (const path of ["/", "/docs", "/openapi.json", "/healthz", "/metrics", "/api/v1/farm", "/nope"]) {
      const response = await fetch(url + path);
      await response.body?.cancel();
      const policy = response.headers.get("content-security-policy")!;
      assert.match(policy, /^default-src 'none'/, path);
      assert.match(policy, /frame-ancestors 'none'/);
      assert.ok(!policy.includes("unsafe"), path);
      assert.equal(response.headers.get("x-content-type-options"), "nosniff");
      assert.equal(response.headers.get("x-frame-options"), "DENY");
      assert.equal(response.headers.get("referrer-policy"), "no-referrer");
      assert.equal(response.headers.get("cache-control"), "no-store");
    }
  });
});

Deno.test("a body that is too large is refused, announced or not", async () => {
  await withServer({}, async ({ farm, url }) => {
    const put = (body: BodyInit) =>
      fetch(`${url}/api/v1/nodes/n1/weight`, {
        method: "PUT",
        body,
        headers: { "content-type": "application/json" },
      });
    const announced = await put(" ".repeat(BODY_BYTES_MAX) + "{}");
    assert.equal(announced.status, 413);
    assert.equal((await announced.json()).error.code, "body_too_large");
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 16 * 1024;
        if (sent > 64 * 1024 * 1024) controller.close();
        else controller.enqueue(new Uint8Array(16 * 1024));
      },
    });
    // The server may have closed before the client is done sending: an error is as good as the answer.
    const status = await put(endless).then(async (response) => {
      await response.body?.cancel();
      return response.status;
    }, () => 413);
    assert.equal(status, 413);
    assert.ok(sent < 64 * 1024 * 1024, "the server stopped reading");
    const padded = await put('{"weight":5}' + " ".repeat(BODY_BYTES_MAX - 12));
    assert.equal(padded.status, 200, "a body of just the limit passes");
    await padded.body?.cancel();
    assert.equal(farm.orders.length, 1);
  });
});

Deno.test("a body that does not arrive in time is given up", async () => {
  await withServer({ bodyWaitMs: 50 }, async ({ url }) => {
    const answer = await raw(
      url,
      "PUT /api/v1/nodes/n1/weight HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
        'Content-Length: 12\r\n\r\n{"wei',
      '"body_too_slow"',
    );
    assert.match(answer, /^HTTP\/1\.1 408 /);
    assert.match(answer, /"code":"body_too_slow"/);
  });
});

Deno.test("a request of unknown origin is trusted no more than one over TCP", async () => {
  const app = createAdminApp(new PlainFarm());
  const response = await app.request("/api/v1/farm", { headers: { host: "evil.example" } });
  assert.equal(response.status, 403);
});

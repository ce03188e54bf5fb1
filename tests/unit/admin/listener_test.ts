/** Slow, greedy and silent clients, and TLS: what a listening socket bears. */
import assert from "node:assert/strict";
import { createAdminApp } from "../../../src/admin/app.ts";
import { LIMITS, Listener, PIPELINED_MAX } from "../../../src/admin/listener.ts";
import { type AdminServer, serveAdmin } from "../../../src/admin/server.ts";
import { PlainFarm } from "./farm.ts";
import { makeCertificate, opensslIsHere } from "./openssl.ts";

const encoder = new TextEncoder();

/** Much shorter than the real ones: the proportions are what is tested. */
const SHORT = { ...LIMITS, headersWaitMs: 400, requestWaitMs: 800, idleMs: 3_000 };

async function serving(
  options: Partial<Parameters<typeof serveAdmin>[0]> & { bodyWaitMs?: number },
  run: (port: number, server: AdminServer, farm: PlainFarm) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  const farm = new PlainFarm();
  const server = await serveAdmin({
    app: createAdminApp(farm, { bodyWaitMs: options.bodyWaitMs }),
    unixPath: `${directory}/admin.sock`,
    listen: { host: "127.0.0.1", port: 0 },
    limits: SHORT,
    ...options,
  });
  try {
    await run(server.address!.port, server, farm);
  } finally {
    await server.shutdown();
    await Deno.remove(directory, { recursive: true });
  }
}

const connect = (port: number) => Deno.connect({ hostname: "127.0.0.1", port });

/** What comes until the server ends the connection; undefined if it is still open after `waitMs`. */
async function untilClosed(connection: Deno.Conn, waitMs = 20_000): Promise<string | undefined> {
  const timer = setTimeout(() => connection.close(), waitMs);
  let text = "";
  const buffer = new Uint8Array(4096);
  try {
    for (;;) {
      const count = await connection.read(buffer);
      if (count === null) break;
      text += new TextDecoder().decode(buffer.subarray(0, count));
    }
    connection.close();
  } catch (error) {
    if (error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.BadResource) {
      return undefined;
    }
  } finally {
    clearTimeout(timer);
  }
  return text;
}

/** Waits until so many event streams are open. */
async function untilStreams(port: number, count: number): Promise<void> {
  const line = `vipfarm_admin_event_streams ${count}\n`;
  const deadlineMs = performance.now() + 20_000;
  for (;;) {
    const metrics = await fetch(`http://127.0.0.1:${port}/metrics`).then((response) => response.text());
    if (metrics.includes(line)) return;
    assert.ok(performance.now() < deadlineMs, `there were never ${count} streams`);
    await new Promise((next) => setTimeout(next, 20));
  }
}

Deno.test("a client that sends its headers drop by drop is cut off, and others are served meanwhile", async () => {
  await serving({}, async (port) => {
    const slow = await Promise.all(Array.from({ length: 50 }, () => connect(port)));
    for (const connection of slow) {
      await connection.write(encoder.encode("GET / HTTP/1.1\r\nHost: localhost\r\n"));
    }
    const dripping = setInterval(() => {
      for (const connection of slow) connection.write(encoder.encode("X-A: b\r\n")).catch(() => {});
    }, 100);
    const ends = slow.map((connection) => untilClosed(connection));
    assert.equal(await fetch(`http://127.0.0.1:${port}/healthz`).then((r) => r.text()), "ok\n");
    const texts = await Promise.all(ends);
    clearInterval(dripping);
    assert.ok(texts.every((text) => text !== undefined), "each was cut off");
    assert.ok(texts.some((text) => /^HTTP\/1.1 408 .*request_too_slow/s.test(text!)), texts[0]);
  });
});

Deno.test("a body of a gigabyte is cut off after a part of it, and so is one that never comes", async () => {
  await serving({ bodyWaitMs: 400 }, async (port, _server, farm) => {
    const before = Deno.memoryUsage().rss;
    for (const head of ["Content-Length: 1073741824", "Transfer-Encoding: chunked"]) {
      const connection = await connect(port);
      const request = `PUT /api/v1/nodes/n2/weight HTTP/1.1\r\nHost: localhost\r\n` +
        `Content-Type: application/json\r\n${head}\r\n\r\n`;
      await connection.write(encoder.encode(request));
      const answer = untilClosed(connection);
      const piece = encoder.encode(`10000\r\n${" ".repeat(65_536)}\r\n`);
      let sent = 0;
      try {
        while (sent < 1024 ** 3) sent += await connection.write(piece);
      } catch {
        // cut off, as it should be
      }
      assert.ok(sent < 512 * 1024 ** 2, `${sent} bytes were taken`);
      assert.match((await answer) ?? "", /^(HTTP\/1.1 413 |$)/);
    }
    assert.ok(Deno.memoryUsage().rss - before < 256 * 1024 ** 2);
    const never = await connect(port);
    await never.write(encoder.encode(
      "PUT /api/v1/nodes/n2/weight HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
        "Content-Length: 9\r\n\r\n{",
    ));
    assert.match((await untilClosed(never))!, /^HTTP\/1.1 408 .*body_too_slow/s);
    assert.deepEqual(farm.orders, []);
  });
});

Deno.test("a head that is too large, and what is no HTTP, are refused in the one shape", async () => {
  await serving({}, async (port) => {
    for (
      const request of [
        `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(20_000)}\r\n\r\n`,
        "\x16\x03\x01\0\0",
      ]
    ) {
      const connection = await connect(port);
      await connection.write(encoder.encode(request + "\r\n\r\n"));
      const text = await untilClosed(connection);
      assert.match(text!, /^(HTTP\/1.1 4\d\d .*\{"error":\{"code":|$)/s);
    }
  });
});

Deno.test("connections are bounded, and those of one address too; there is room again when they end", async () => {
  await serving({ limits: { ...LIMITS, connectionsMax: 20, connectionsOfAddressMax: 8 } }, async (port) => {
    const held = await Promise.all(Array.from({ length: 8 }, () => connect(port)));
    const over = await connect(port);
    assert.equal(await untilClosed(over, 5_000), "", "closed without a word");
    for (const connection of held) connection.close();
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${port}/healthz`).then((r) => r.text(), () => undefined);
      if (answer === "ok\n") break;
    }
  });
});

Deno.test("a connection on which nothing moves is closed, also when its client does not read", async () => {
  await serving(
    { limits: { ...SHORT, headersWaitMs: 60_000, requestWaitMs: 60_000, idleMs: 500 } },
    async (port, _server, farm) => {
      assert.equal(await untilClosed(await connect(port)), "");
      const deaf = await connect(port);
      await deaf.write(encoder.encode("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"));
      // More than all buffers on the way take.
      const text = "x".repeat(60_000);
      for (let i = 0; i < 900; i++) {
        farm.events.record({
          severity: "info",
          kind: "test.event",
          message: text,
        });
      }
      await untilStreams(port, 1);
      await untilStreams(port, 0);
      deaf.close();
    },
  );
});

Deno.test("a client that sends many requests without waiting for answers is cut off", async () => {
  await serving({}, async (port) => {
    const greedy = await connect(port);
    const text = untilClosed(greedy);
    await greedy.write(encoder.encode("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1_000)));
    const answers = (await text)?.split("HTTP/1.1 200").length ?? Infinity;
    assert.ok(answers - 1 <= PIPELINED_MAX, `${answers - 1} answers`);
    const few = await connect(port);
    const last = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    await few.write(encoder.encode(last.replace("close", "keep-alive").repeat(PIPELINED_MAX - 1) + last));
    assert.equal((await untilClosed(few))?.split("HTTP/1.1 200").length, PIPELINED_MAX + 1);
  });
});

Deno.test("streams whose client leaves at whatever moment leave nothing behind", async () => {
  await serving({ graceMs: 0 }, async (port) => {
    for (let client = 0; client < 100; client++) {
      const connection = await connect(port);
      const requests = "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1 + client % 5);
      await connection.write(encoder.encode(requests));
      // From before the first is read to after the last has begun.
      const leaveMs = performance.now() + client % 20 / 5;
      while (performance.now() < leaveMs) await new Promise((next) => setTimeout(next, 0));
      connection.close();
    }
    await untilStreams(port, 0);
  });
});

Deno.test("what waits behind a stream ends with its connection, and no stop waits for it", async () => {
  await serving({ graceMs: 60_000 }, async (port, server) => {
    const client = await connect(port);
    await client.write(encoder.encode("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(5)));
    await untilStreams(port, 5);
    client.close();
    await untilStreams(port, 0);
    const startMs = performance.now();
    await server.shutdown();
    assert.ok(performance.now() - startMs < 30_000);
  });
});

// ---- TLS ----

Deno.test({
  name: "TLS: a new certificate is used for new connections",
  ignore: !opensslIsHere,
  fn: async () => {
    const first = await makeCertificate("first");
    const second = await makeCertificate("second");
    await serving({ certificate: first }, async (port, server) => {
      const ask = async (trusted: string) => {
        const client = Deno.createHttpClient({ caCerts: [trusted], poolMaxIdlePerHost: 0 });
        try {
          return await (await fetch(`https://localhost:${port}/healthz`, { client })).text();
        } catch {
          return "refused";
        } finally {
          client.close();
        }
      };
      assert.deepEqual([await ask(first.certificate), await ask(second.certificate)], ["ok\n", "refused"]);
      server.renew(second);
      assert.deepEqual([await ask(first.certificate), await ask(second.certificate)], ["refused", "ok\n"]);
      // No handshake: cut off as well. And plain HTTP gets nothing.
      assert.equal(await untilClosed(await connect(port)), "");
      await assert.rejects(fetch(`http://localhost:${port}/healthz`));
    });
  },
});

Deno.test("an address that this host does not have is told as such", async () => {
  for (const host of ["192.0.2.55", "2001:db8::55"]) {
    await assert.rejects(Listener.open({ host, port: 9010 }, () => new Response()), {
      message: `open admin endpoint: this host does not have the address (${host}:9010)`,
      remedy: /0\.0\.0\.0 and \[::\] stand for all/,
    });
  }
});

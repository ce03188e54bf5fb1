import assert from "node:assert/strict";
import { createAdminApp } from "../../../src/admin/app.ts";
import { serveAdmin } from "../../../src/admin/server.ts";
import { TokenStore } from "../../../src/admin/tokens.ts";
import { AdminClient, type StreamItem } from "../../../src/cli/client.ts";
import { EXIT, VipfarmError } from "../../../src/core/errors.ts";
import type { FarmStatus } from "../../../src/admin/schemas.ts";
import { PlainFarm, withServer } from "../admin/farm.ts";
import { makeCertificate, opensslIsHere } from "../admin/openssl.ts";

const fails = (exitCode: number, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof VipfarmError, String(error));
  assert.equal(error.exitCode, exitCode);
  assert.match(error.message, message);
  assert.ok(error.remedy, "it says what to do");
  return true;
};

async function using<T>(client: AdminClient, task: (client: AdminClient) => Promise<T>): Promise<T> {
  try {
    return await task(client);
  } finally {
    client.close();
  }
}

Deno.test("the client reads and acts over the Unix socket and over TCP alike", async () => {
  await withServer({}, async ({ url, unixPath, farm }) => {
    const runtimeDir = unixPath.replace("/admin.sock", "");
    for (
      const options of [{ runtimeDir }, { admin: url }, { admin: url.replace("http://", "") }, {
        admin: `${url}/`,
      }]
    ) {
      await using(new AdminClient(options), async (client) => {
        assert.equal((await client.get<FarmStatus>("read", "/api/v1/farm")).farm, "web");
        await client.send("weigh", "PUT", "/api/v1/nodes/n2/weight", { weight: 5 });
      });
    }
    assert.equal(farm.orders.length, 4);
  });
});

Deno.test("a daemon that is not there ends in exit code 3 with a remedy", async () => {
  await using(
    new AdminClient({ runtimeDir: "/nonexistent" }),
    (client) =>
      assert.rejects(
        client.get("look", "/"),
        fails(EXIT.unreachable, /^look: no daemon.*\/nonexistent\/admin.sock/),
      ),
  );
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  await using(
    new AdminClient({ admin: `http://127.0.0.1:${port}` }),
    (client) => assert.rejects(client.get("look", "/"), fails(EXIT.unreachable, /no daemon can be reached/)),
  );
});

Deno.test("https:// where the endpoint speaks http:// is told as that", async () => {
  await withServer({}, async ({ url }) => {
    await using(
      new AdminClient({ admin: url.replace("http:", "https:") }),
      (client) =>
        assert.rejects(client.get("look", "/"), (error) => {
          assert.equal((error as VipfarmError).remedy, `Try ${url}.`);
          return fails(EXIT.unreachable, /does not speak TLS/)(error);
        }),
    );
  });
});

Deno.test({
  name: "a certificate of one's own authority is named in VIPFARM_CA; without that the remedy says so",
  ignore: !opensslIsHere,
  fn: async () => {
    const directory = await Deno.makeTempDir();
    const certificate = await makeCertificate("vipfarm");
    await Deno.writeTextFile(`${directory}/ca.crt`, certificate.certificate);
    const listen = { host: "127.0.0.1", port: 0 };
    const app = createAdminApp(new PlainFarm(), { listen });
    const server = await serveAdmin({ app, unixPath: `${directory}/admin.sock`, listen, certificate });
    const admin = `https://127.0.0.1:${server.address!.port}`;
    const look = () => using(new AdminClient({ admin }), (client) => client.get("look", "/api/v1/farm"));
    try {
      await assert.rejects(look(), (error: VipfarmError) => {
        assert.match(error.remedy!, /VIPFARM_CA/);
        return fails(EXIT.unreachable, /^look: its certificate is not trusted: UnknownIssuer \(https/)(error);
      });
      Deno.env.set("VIPFARM_CA", `${directory}/ca.crt`);
      await look();
    } finally {
      Deno.env.delete("VIPFARM_CA");
      await server.shutdown();
      await Deno.remove(directory, { recursive: true });
    }
  },
});

Deno.test("what is not vipfarm is not taken for it", async () => {
  const other = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("<html>"));
  await using(
    new AdminClient({ admin: `http://127.0.0.1:${other.addr.port}` }),
    (client) =>
      assert.rejects(client.get("look", "/"), fails(EXIT.unreachable, /does not answer like vipfarm/)),
  );
  await other.shutdown();
});

Deno.test("a token is not carried along a redirect", async () => {
  let seen = 0;
  const thief = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => (seen++, Response.json({})),
  );
  const target = `http://127.0.0.1:${thief.addr.port}/`;
  const other = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => Response.redirect(target, 302),
  );
  await using(
    new AdminClient({ admin: `http://127.0.0.1:${other.addr.port}`, token: "secret" }),
    (client) => assert.rejects(client.get("look", "/"), fails(EXIT.unreachable, /no daemon/)),
  );
  assert.equal(seen, 0);
  await other.shutdown();
  await thief.shutdown();
});

Deno.test("an address that is none is a usage error", () => {
  for (const admin of ["ftp://x", "", "http://", "http://a b"]) {
    assert.throws(() => new AdminClient({ admin }), fails(EXIT.usage, /not the address/), admin);
  }
});

Deno.test("refusals end in the exit code of their kind, with the daemon's message and remedy", async () => {
  const tokens = TokenStore.parse(
    // SHA-256 of "secret"
    "monitor m 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
    "tokens",
  );
  await withServer({ tokens }, async ({ url, unixPath }) => {
    await using(
      new AdminClient({ admin: url, token: "" }),
      (client) =>
        assert.rejects(client.get("look", "/api/v1/farm"), fails(EXIT.privilege, /asks for a token/)),
    );
    await using(new AdminClient({ admin: url, token: "secret" }), async (client) => {
      assert.equal((await client.get<FarmStatus>("look", "/api/v1/farm")).node, "n1");
      await assert.rejects(
        client.send("drain", "POST", "/api/v1/nodes/n1/drain"),
        fails(EXIT.privilege, /role monitor/),
      );
    });
    await using(new AdminClient({ runtimeDir: unixPath.replace("/admin.sock", "") }), async (client) => {
      const post = (path: string) => client.send("act", "POST", path);
      await assert.rejects(post("/api/v1/nodes/n9/drain"), fails(EXIT.usage, /no node of that name/));
      await assert.rejects(post("/api/v1/nodes/n1/start"), fails(EXIT.no, /no application/));
    });
  });
});

Deno.test("the event stream gives events with cursors, resumes, and ends with the signal or the daemon", async () => {
  let ended: Promise<StreamItem[]> | undefined;
  await withServer({}, async ({ url, farm }) => {
    farm.events.record({ severity: "info", kind: "test.happened", message: "one" });
    await using(new AdminClient({ admin: url }), async (client) => {
      const stop = new AbortController();
      const seen: StreamItem[] = [];
      for await (const item of client.events(undefined, stop.signal)) {
        seen.push(item);
        if (item.kind === "event" && item.event.message === "one") {
          farm.events.record({ severity: "info", kind: "test.happened", message: "two" });
        }
        if (item.kind === "event" && item.event.message === "two") stop.abort();
      }
      assert.deepEqual(seen.map(({ kind }) => kind), ["open", "event", "event"]);
      const first = seen[1] as { cursor: string };
      const { promise: opened, resolve: open } = Promise.withResolvers<void>();
      ended = (async () => {
        const items: StreamItem[] = [];
        for await (const item of client.events(first.cursor, new AbortController().signal)) {
          items.push(item);
          if (item.kind === "event") open();
        }
        return items;
      })();
      await opened;
    });
  });
  const items = await ended!;
  assert.deepEqual(items.map((item) => item.kind === "event" ? item.event.message : item.kind), [
    "open",
    "two",
  ]);
});

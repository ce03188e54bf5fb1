import assert from "node:assert/strict";
import { createAdminApp } from "../../../src/admin/app.ts";
import { serveAdmin } from "../../../src/admin/server.ts";
import { EXIT, VipfarmError } from "../../../src/core/errors.ts";
import { PlainFarm, withServer } from "./farm.ts";
import { makeCertificate, opensslIsHere } from "./openssl.ts";

async function inDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await run(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("the Unix socket is its owner's alone, and its requests are trusted whatever their Host", async () => {
  await withServer({}, async ({ farm, unixPath }) => {
    assert.equal(Deno.lstatSync(unixPath).mode! & 0o777, 0o600);
    const client = Deno.createHttpClient({ proxy: { transport: "unix", path: unixPath } });
    const response = await fetch("http://any.example/api/v1/nodes/n2/drain", { method: "POST", client });
    assert.equal(response.status, 200);
    await response.body?.cancel();
    client.close();
    const [event] = farm.events.list().events;
    assert.deepEqual([event.details?.who, event.details?.from], ["local", "the Unix socket"]);
  });
});

Deno.test({
  name: "over TLS, the names of the certificate in use are answered to, and no others",
  ignore: !opensslIsHere,
  fn: () =>
    inDirectory(async (directory) => {
      const [first, second] = [await makeCertificate("n1.example"), await makeCertificate("n2.example")];
      const listen = { host: "127.0.0.1", port: 0 };
      const app = createAdminApp(new PlainFarm(), { listen });
      const server = await serveAdmin({
        app,
        unixPath: `${directory}/admin.sock`,
        listen,
        certificate: first,
      });
      const { port } = server.address!;
      const status = async (host: string) => {
        const caCerts = [first.certificate, second.certificate];
        using connection = await Deno.connectTls({ hostname: "localhost", port, caCerts });
        const request = `GET /healthz HTTP/1.1\r\nHost: ${host}:${port}\r\nConnection: close\r\n\r\n`;
        await connection.write(new TextEncoder().encode(request));
        const answer = new Uint8Array(64);
        await connection.read(answer);
        return new TextDecoder().decode(answer).split(" ")[1];
      };
      try {
        assert.deepEqual([await status("n1.example"), await status("n2.example")], ["200", "403"]);
        server.renew(second);
        assert.deepEqual([await status("n1.example"), await status("n2.example")], ["403", "200"]);
      } finally {
        await server.shutdown();
      }
    }),
});

Deno.test("the umask is as before", async () => {
  // In a process of its own: the umask is the whole process's, and other tests open servers beside this one.
  const script = `
    import { withServer } from ${JSON.stringify(import.meta.resolve("./farm.ts"))};
    const before = Deno.umask();
    await withServer({}, () => Promise.resolve());
    console.log(before === Deno.umask());
  `;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args: ["eval", script] }).output();
  assert.equal(new TextDecoder().decode(stdout), "true\n", new TextDecoder().decode(stderr));
});

Deno.test("a socket that a dead daemon left is replaced; a live one and other files are not", async () => {
  await inDirectory(async (directory) => {
    const unixPath = `${directory}/admin.sock`;
    const app = createAdminApp(new PlainFarm());
    // A process that is killed leaves its socket behind.
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "eval",
        `Deno.listen({transport: "unix", path: ${JSON.stringify(unixPath)}}); Deno.kill(Deno.pid, "SIGKILL")`,
      ],
      stderr: "null",
    });
    await child.output();
    assert.equal(Deno.lstatSync(unixPath).isSocket, true);
    const first = await serveAdmin({ app, unixPath });
    assert.equal(first.address, undefined);
    await assert.rejects(serveAdmin({ app, unixPath }), (error: VipfarmError) => {
      assert.match(error.message, /another daemon answers/);
      assert.ok(error.remedy);
      return true;
    });
    await first.shutdown();
    await Deno.writeTextFile(unixPath, "precious");
    await assert.rejects(serveAdmin({ app, unixPath }), /something that is no socket/);
    assert.equal(await Deno.readTextFile(unixPath), "precious");
  });
});

Deno.test("TCP for others needs tokens", async () => {
  await inDirectory(async (directory) => {
    const app = createAdminApp(new PlainFarm());
    const unixPath = `${directory}/admin.sock`;
    for (const host of ["0.0.0.0", "::", "192.0.2.1", "node1.example"]) {
      await assert.rejects(
        serveAdmin({ app, unixPath, listen: { host, port: 0 } }),
        (error: VipfarmError) => {
          assert.match(error.message, /without a token/);
          assert.equal(error.exitCode, EXIT.usage);
          return true;
        },
      );
    }
    for (const host of ["127.0.0.1", "::1", "localhost"]) {
      const server = await serveAdmin({ app, unixPath, listen: { host, port: 0 } });
      assert.ok(server.address!.port > 0);
      await server.shutdown();
    }
    const open = await serveAdmin({ app, unixPath, listen: { host: "0.0.0.0", port: 0 }, tokens: true });
    await open.shutdown();
  });
});

Deno.test("an address in use is an error with its remedy, and leaves no socket behind", async () => {
  await inDirectory(async (directory) => {
    const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = taken.addr as Deno.NetAddr;
    const unixPath = `${directory}/admin.sock`;
    const options = { app: createAdminApp(new PlainFarm()), unixPath, listen: { host: "127.0.0.1", port } };
    await assert.rejects(serveAdmin(options), (error: VipfarmError) => {
      assert.match(error.remedy!, /Another program/);
      return true;
    });
    assert.throws(() => Deno.lstatSync(unixPath), Deno.errors.NotFound);
    taken.close();
    await (await serveAdmin(options)).shutdown();
  });
});

Deno.test("shutdown ends open streams and half-open connections, and lets an answer under way finish", async () => {
  await inDirectory(async (directory) => {
    const farm = new PlainFarm();
    const app = createAdminApp(farm);
    const { promise: gate, resolve: openGate } = Promise.withResolvers<void>();
    const { promise: entered, resolve: enter } = Promise.withResolvers<void>();
    farm.order = async () => {
      enter();
      await gate;
      return { outcome: "done", message: "late" };
    };
    const unixPath = `${directory}/admin.sock`;
    const graceMs = 60_000;
    const server = await serveAdmin({ app, unixPath, listen: { host: "127.0.0.1", port: 0 }, graceMs });
    const url = `http://127.0.0.1:${server.address!.port}`;
    const streams = await Promise.all(Array.from({ length: 20 }, () => fetch(`${url}/api/v1/events`)));
    const half = await Deno.connect({ hostname: "127.0.0.1", port: server.address!.port });
    await half.write(new TextEncoder().encode("GET / HT"));
    const answer = fetch(`${url}/api/v1/nodes/n2/drain`, { method: "POST" }).then((response) =>
      response.json()
    );
    await entered;
    const startedMs = performance.now();
    const down = server.shutdown();
    openGate();
    assert.equal((await answer).message, "late");
    await Promise.all(streams.map((stream) => stream.text())); // each ends, and ends well
    await down;
    await server.shutdown();
    assert.ok(
      performance.now() - startedMs < graceMs / 2,
      "nothing was waited for that does not end by itself",
    );
    await assert.rejects(fetch(`${url}/healthz`));
    assert.throws(() => Deno.lstatSync(unixPath), Deno.errors.NotFound);
    half.close();
  });
});

Deno.test("shutdown does not wait for an answer that never ends", async () => {
  await inDirectory(async (directory) => {
    const farm = new PlainFarm();
    const { promise: entered, resolve: enter } = Promise.withResolvers<void>();
    farm.order = () => {
      enter();
      return new Promise(() => {});
    };
    const listen = { host: "127.0.0.1", port: 0 };
    const server = await serveAdmin({
      app: createAdminApp(farm),
      unixPath: `${directory}/admin.sock`,
      listen,
    });
    const answer = fetch(`http://127.0.0.1:${server.address!.port}/api/v1/nodes/n2/drain`, {
      method: "POST",
    });
    const failed = assert.rejects(answer);
    await entered;
    await server.shutdown();
    await failed;
  });
});

/** The admin endpoint of a daemon over TLS: by which names it can be asked. */
import assert from "node:assert/strict";
import { openAdminEndpoint } from "../../../src/control/admin_endpoint.ts";
import { type Farm } from "../../../src/control/farm.ts";
import { Ticker } from "../../../src/control/ticker.ts";
import { PlainFarm } from "../admin/farm.ts";
import { makeCertificate, opensslIsHere } from "../admin/openssl.ts";

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test(
  { name: "with TLS, the endpoint answers to the names of its certificate", ignore: !opensslIsHere },
  async () => {
    const directory = await Deno.makeTempDir();
    const files = { certificateFile: `${directory}/crt`, keyFile: `${directory}/key` };
    const { certificate, key } = await makeCertificate("n1.example.com");
    await Deno.writeTextFile(files.certificateFile, certificate);
    await Deno.writeTextFile(files.keyFile, key, { mode: 0o600 });
    const port = freePort();
    const ticker = new Ticker();
    const endpoint = await openAdminEndpoint({
      farm: new PlainFarm() as unknown as Farm,
      admin: { listen: { host: "127.0.0.1", port }, tls: files },
      runtimeDir: directory,
      ticker,
      record: () => {},
      debug: () => {},
    });
    try {
      const status = async (host: string) => {
        using connection = await Deno.connectTls({ hostname: "localhost", port, caCerts: [certificate] });
        await connection.write(
          new TextEncoder().encode(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
        );
        const answer = new Uint8Array(64);
        await connection.read(answer);
        return new TextDecoder().decode(answer).split(" ")[1];
      };
      assert.deepEqual([await status(`n1.example.com:${port}`), await status("evil.example")], [
        "200",
        "403",
      ]);
    } finally {
      await endpoint.close();
      ticker.close();
      await Deno.remove(directory, { recursive: true });
    }
  },
);

/**
 * What checks look at, as small real servers: `health_servers.ts ADDRESS CERT KEY` serves TCP on 7001, HTTP on 7080, HTTPS
 * on 7443, DNS on 7053 and a UDP service on 7007, prints `ready`, and goes on until it is killed.
 */

import { Buffer } from "node:buffer";
import dgram from "node:dgram";

const [address, cert, key] = Deno.args;

const echo = Deno.listen({ hostname: address, port: 7001 });
(async () => {
  for await (const connection of echo) connection.close();
})();

const pages: Record<string, () => Response> = {
  "/ok": () => new Response("all is well, said the server"),
  "/broken": () => new Response("no", { status: 503 }),
  "/moved": () => new Response(null, { status: 302, headers: { location: "/broken" } }),
  "/slow": () => new Response(new ReadableStream({ start: (stream) => stream.enqueue(new Uint8Array(10)) })),
  "/endless": () =>
    new Response(
      new ReadableStream({ pull: (stream) => stream.enqueue(new Uint8Array(65_536).fill(97)) }),
    ),
};
const handle = (request: Request) => {
  const { pathname, hostname } = new URL(request.url);
  return pathname === "/host"
    ? new Response(hostname)
    : pages[pathname]?.() ?? new Response("", { status: 404 });
};
Deno.serve({ hostname: address, port: 7080, onListen() {} }, handle);
Deno.serve({
  hostname: address,
  port: 7443,
  cert: Deno.readTextFileSync(cert),
  key: Deno.readTextFileSync(key),
  onListen() {},
}, handle);

/** Knows `known.example` as 192.0.2.7, fails for `broken.example`, and knows nothing else. */
const dns = dgram.createSocket("udp4");
dns.on("message", (question, from) => {
  const name = question.toString("latin1", 12);
  const isKnown = name.startsWith("\x05known\x07example\0\0\x01");
  const answer = Buffer.from(question);
  answer[2] |= 0x80;
  answer[3] = isKnown ? 0 : name.startsWith("\x06broken") ? 2 : 3;
  if (!isKnown) return dns.send(answer, from.port, from.address);
  answer[7] = 1;
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
  dns.send(Buffer.concat([answer, record]), from.port, from.address);
});
const udp = dgram.createSocket("udp4");
udp.on("message", (message, from) => udp.send(`you said ${message}`, from.port, from.address));
await Promise.all([
  new Promise<void>((bound) => dns.bind(7053, address, bound)),
  new Promise<void>((bound) => udp.bind(7007, address, bound)),
]);
console.log("ready");

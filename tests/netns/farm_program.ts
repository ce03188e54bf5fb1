/**
 * Programs for the tests of a farm, in the lab's namespaces.
 *
 * - `server NAME PORT ADDRESS...` on a node tells what exactly arrived. UDP: each datagram is answered with
 *   `NAME BYTES SHA256`. TCP: it reads to the end of the stream, answers the same, and closes.
 * - `upload ADDRESS PORT BYTES FROM` on a client sends that many bytes by TCP from its address FROM, and prints the
 *   answer and what it should have been: `NAME BYTES SHA256 SHA256`.
 */

import { createHash } from "node:crypto";
import dgram from "node:dgram";
import net from "node:net";

const CHUNK_BYTES = 1 << 18;

async function serve(name: string, port: number, addresses: readonly string[]): Promise<never> {
  // Bound one by one, so that an answer comes from the address that was asked.
  await Promise.all(addresses.map((address) => {
    const socket = dgram.createSocket(address.includes(":") ? "udp6" : "udp4");
    socket.on("message", (message, from) => {
      const digest = createHash("sha256").update(message).digest("hex");
      socket.send(`${name} ${message.length} ${digest}`, from.port, from.address);
    });
    return new Promise<void>((resolve) => socket.bind(port, address, resolve));
  }));
  const listener = Deno.listen({ hostname: "::", port });
  console.log("ready");
  for (;;) void answer(name, await listener.accept());
}

async function answer(name: string, connection: Deno.Conn): Promise<void> {
  const hash = createHash("sha256");
  const buffer = new Uint8Array(CHUNK_BYTES);
  let total = 0;
  try {
    for (let read = await connection.read(buffer); read !== null; read = await connection.read(buffer)) {
      hash.update(buffer.subarray(0, read));
      total += read;
    }
    await connection.write(new TextEncoder().encode(`${name} ${total} ${hash.digest("hex")}`));
  } catch (error) {
    // The test sees it as a missing answer; this says why.
    console.error(name, error);
  } finally {
    connection.close();
  }
}

async function upload(address: string, port: number, bytes: number, from: string): Promise<void> {
  const hash = createHash("sha256");
  const socket = net.connect({ host: address, port, localAddress: from, allowHalfOpen: true });
  let reply = "";
  socket.on("data", (data) => reply += data.toString());
  const ended = new Promise<void>((resolve, reject) => socket.on("end", resolve).on("error", reject));
  for (let left = bytes; left > 0; left -= CHUNK_BYTES) {
    const chunk = new Uint8Array(Math.min(left, CHUNK_BYTES));
    for (let at = 0; at < chunk.length; at += 65_536) {
      crypto.getRandomValues(chunk.subarray(at, Math.min(at + 65_536, chunk.length)));
    }
    hash.update(chunk);
    if (!socket.write(chunk)) {
      await Promise.race([new Promise((resolve) => socket.once("drain", resolve)), ended]);
    }
  }
  socket.end();
  await ended;
  console.log(`${reply} ${hash.digest("hex")}`);
}

if (import.meta.main) {
  const [verb, first, second, ...rest] = Deno.args;
  if (verb === "server") await serve(first, Number(second), rest);
  else await upload(first, Number(second), Number(rest[0]), rest[1]);
}

/**
 * The application of a lab node: over HTTP (IPv4 and IPv6, keep-alive) and over UDP it answers with the node's name,
 * so that a client sees who served it.
 *
 * - `GET /` the name; every answer also has the header `x-node`
 * - `GET /bytes?count=N` N bytes, for downloads
 * - `POST /` the number of bytes received, for uploads
 */

import dgram from "node:dgram";

/** What one node's service listens on. */
export interface ServiceSettings {
  readonly name: string;
  readonly tcpPorts: readonly number[];
  readonly udpPorts: readonly number[];
  /**
   * A UDP server that binds the wildcard address answers from the address that routing picks, not from the virtual
   * IP that was asked; so the echo binds each address by itself.
   */
  readonly udpAddresses: readonly string[];
}

/** Printed on standard output once everything listens. */
export const SERVICE_READY = "ready";

/** One chunk of a download; a multiple of the page size and large enough that the loop does not matter. */
const CHUNK_BYTES = 65_536;
/** Largest download that may be asked for. */
const DOWNLOAD_BYTES_MAX = 2 ** 34;

/** Serves until the process ends. */
export async function runService(settings: ServiceSettings): Promise<void> {
  const servers = settings.tcpPorts.map((port) =>
    // The IPv6 wildcard takes IPv4 too (net.ipv6.bindv6only is 0 in a new namespace).
    Deno.serve({ hostname: "::", port, onListen: () => {} }, (request) => answer(settings.name, request))
  );
  const name = new TextEncoder().encode(settings.name);
  const sockets = settings.udpAddresses.flatMap((address) =>
    settings.udpPorts.map((port) => ({ address, port }))
  );
  await Promise.all(sockets.map(({ address, port }) => echo(name, address, port)));
  console.log(SERVICE_READY);
  await Promise.all(servers.map((server) => server.finished));
}

async function answer(name: string, request: Request): Promise<Response> {
  const headers = { "x-node": name, "content-type": "text/plain" };
  if (request.method === "POST") {
    let count = 0;
    for await (const chunk of request.body ?? []) count += chunk.byteLength;
    return new Response(`${count}\n`, { headers });
  }
  const url = new URL(request.url);
  if (url.pathname === "/bytes") {
    const count = Number(url.searchParams.get("count"));
    if (!Number.isInteger(count) || count < 0 || count > DOWNLOAD_BYTES_MAX) {
      return new Response(`count must be 0 to ${DOWNLOAD_BYTES_MAX}\n`, { status: 400, headers });
    }
    return new Response(download(count), { headers: { ...headers, "content-length": String(count) } });
  }
  return new Response(`${name}\n`, { headers });
}

function download(count: number): ReadableStream<Uint8Array> {
  const chunk = new Uint8Array(CHUNK_BYTES);
  let left = count;
  return new ReadableStream({
    pull(controller) {
      if (left === 0) return controller.close();
      const size = Math.min(left, chunk.length);
      controller.enqueue(chunk.subarray(0, size));
      left -= size;
    },
  });
}

function echo(name: Uint8Array, address: string, port: number): Promise<void> {
  const socket = dgram.createSocket(address.includes(":") ? "udp6" : "udp4");
  const bound = Promise.withResolvers<void>();
  socket.once("error", bound.reject);
  socket.on("message", (_message, from) => socket.send(name, from.port, from.address));
  socket.bind(port, address, () => bound.resolve());
  return bound.promise;
}

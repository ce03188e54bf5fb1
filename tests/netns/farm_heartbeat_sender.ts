/**
 * Sends datagrams to the heartbeat group, each once or as many as fit into a time. Run in a namespace of a lab; on
 * standard input a {@link Sending} as JSON, on standard output {@link Sent}.
 */

import { interfaceByName } from "../../ffi/interface.ts";
import { setIntOption } from "../../ffi/socket.ts";
import { UdpSocket } from "../../ffi/udp_socket.ts";

/** What to send. */
export interface Sending {
  readonly interfaceName: string;
  /** IPv4 group. */
  readonly group: readonly number[];
  readonly port: number;
  /** In base64; sent in this order. */
  readonly datagrams: readonly string[];
  /** How many a second, if each is sent once; without, as many as no receiver loses. */
  readonly perSecond?: number;
  /** Sends them again and again for this long, at `perSecond`; without, each is sent once, without haste. */
  readonly flood?: { readonly durationMs: number; readonly perSecond: number };
}

/** What was sent. */
export interface Sent {
  readonly count: number;
  readonly durationMs: number;
}

/** Distance of datagrams that are sent once: no receiver loses one. */
const UNHURRIED_PER_SECOND = 2_000;
/** Datagrams in one call of a flood, below UDP_MAX_SEGMENTS (linux/udp.h). */
const SEGMENTS = 60;
/** Largest datagram that the kernel takes to cut up. */
const CALL_BYTES_MAX = 60_000;
/** linux/udp.h and linux/in.h. */
const SOL_UDP = 17, UDP_SEGMENT = 103;

/** Sleeps until `count` datagrams at that rate are due. */
function pace(count: number, perSecond: number, beganMs: number): void {
  const aheadMs = count / perSecond * 1000 - (performance.now() - beganMs);
  if (aheadMs > 1) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, aheadMs);
}

/**
 * Datagrams of one length each as one buffer, which the kernel cuts up (UDP_SEGMENT, udp(7)) as late as it can: so
 * the flood does not end at what the sender can do.
 */
function calls(
  datagrams: readonly Uint8Array<ArrayBuffer>[],
): Array<{ bytes: Uint8Array<ArrayBuffer>; length: number }> {
  return [...Map.groupBy(datagrams, ({ length }) => length)].flatMap(([length, some]) => {
    const each = Math.min(SEGMENTS, Math.floor(CALL_BYTES_MAX / length));
    return Array.from({ length: Math.ceil(some.length / each) }, (_, i) => {
      const part = some.slice(i * each, (i + 1) * each);
      const bytes = new Uint8Array(part.length * length);
      part.forEach((datagram, at) => bytes.set(datagram, at * length));
      return { bytes, length };
    });
  });
}

function sendOnce(
  socket: UdpSocket,
  group: Uint8Array,
  datagrams: readonly Uint8Array<ArrayBuffer>[],
  perSecond = UNHURRIED_PER_SECOND,
): number {
  const beganMs = performance.now();
  let count = 0;
  for (const datagram of datagrams) {
    pace(count, perSecond, beganMs);
    if (socket.sendTo(datagram, group, socket.port)) count++;
  }
  return count;
}

function sendFlood(
  socket: UdpSocket,
  group: Uint8Array,
  datagrams: readonly Uint8Array<ArrayBuffer>[],
  { durationMs, perSecond }: NonNullable<Sending["flood"]>,
): number {
  const batches = calls(datagrams);
  const beganMs = performance.now();
  let count = 0;
  for (let batch = 0; performance.now() - beganMs < durationMs; batch++) {
    pace(count, perSecond, beganMs);
    const { bytes, length } = batches[batch % batches.length];
    setIntOption(socket.fd, SOL_UDP, UDP_SEGMENT, length, "send many datagrams at once");
    if (socket.sendTo(bytes, group, socket.port)) count += bytes.length / length;
  }
  return count;
}

function send({ interfaceName, group, port, datagrams, perSecond, flood }: Sending): Sent {
  const { index } = interfaceByName(interfaceName);
  const address = new Uint8Array(group);
  const socket = UdpSocket.openMulticast({ interfaceIndex: index, interfaceName, group: address, port });
  const decoded = datagrams.map((text) => Uint8Array.fromBase64(text));
  const beganMs = performance.now();
  const count = flood === undefined
    ? sendOnce(socket, address, decoded, perSecond)
    : sendFlood(socket, address, decoded, flood);
  const durationMs = performance.now() - beganMs;
  socket.close();
  return { count, durationMs };
}

if (import.meta.main) console.log(JSON.stringify(send(await new Response(Deno.stdin.readable).json())));

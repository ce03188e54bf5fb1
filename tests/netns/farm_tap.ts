/** Raw frames into a lab and captures out of it that are known to be complete. */

import { BPF_REJECT_ALL } from "../../ffi/bpf.ts";
import { interfaceByName } from "../../ffi/interface.ts";
import { withNetworkNamespace } from "../../ffi/namespace.ts";
import { PacketSocket } from "../../ffi/packet_socket.ts";
import { type Capture, SNAP_BYTES_HEADERS } from "../../src/lab/capture.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { readPcap, type SeenFrame } from "./farm_frames.ts";

/** tcpdump may wait this long for a processor. */
const SYNC_TIMEOUT_MS = 20_000;
/** EtherType for local experiments (IEEE 802, 88-b5), and the IP protocol for experiments (RFC 3692). */
const ETHER_TYPE_EXPERIMENT = 0x88b5;
const PROTOCOL_EXPERIMENT = 253;

/** Sends raw frames out of a device of a namespace; on a TUN device, raw IP packets. */
export class RawSender implements Disposable {
  readonly #socket: PacketSocket;

  constructor(lab: Lab, name: string, device = "eth0") {
    this.#socket = withNetworkNamespace(lab.namespace(name).path, () =>
      PacketSocket.open({
        interfaceIndex: interfaceByName(device).index,
        frameCount: 1,
        frameBytes: 2048,
        filter: BPF_REJECT_ALL,
        memberships: [],
      }));
  }

  send(frame: Uint8Array): void {
    this.#socket.send(frame);
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

/**
 * A capture whose end is known: a marked frame is sent out of the same device, and once tcpdump has written it, it
 * has written everything before it too.
 */
export class Tap {
  readonly #lab: Lab;
  readonly #name: string;
  readonly #device: string;
  readonly #capture: Capture;
  #frames: SeenFrame[] | undefined;

  private constructor(lab: Lab, name: string, device: string, capture: Capture) {
    this.#lab = lab;
    this.#name = name;
    this.#device = device;
    this.#capture = capture;
  }

  /** Captures what the pcap-filter(7) expression lets through, in both directions. */
  static async start(lab: Lab, name: string, device: string, filter: string): Promise<Tap> {
    const marker = device === "eth0"
      ? `ether proto ${ETHER_TYPE_EXPERIMENT}`
      : `ip proto ${PROTOCOL_EXPERIMENT}`;
    // Last, since what follows `vlan` in an expression is looked for behind the tag.
    const tagged = device === "eth0" ? " or vlan" : "";
    const expression = `(${filter}) or (${marker})${tagged}`;
    const capture = await lab.capture(name, device, expression, SNAP_BYTES_HEADERS);
    return new Tap(lab, name, device, capture);
  }

  /** Waits until everything that passed the device before this call is in the file; gives the frames so far. */
  async sync(): Promise<SeenFrame[]> {
    const id = crypto.getRandomValues(new Uint8Array(16));
    using sender = new RawSender(this.#lab, this.#name, this.#device);
    sender.send(this.#device === "eth0" ? markerFrame(id) : markerPacket(id));
    const bytes = await this.#lab.waitFor(
      async () => {
        const bytes = await this.#capture.bytes();
        return lastIndexOf(bytes, id) >= 0 && bytes;
      },
      SYNC_TIMEOUT_MS,
      `the capture on ${this.#name} ${this.#device} to be complete`,
    );
    return this.#read(bytes);
  }

  /** Everything up to now; the capture ends. @throws VipfarmError if frames are missing. */
  async stop(): Promise<SeenFrame[]> {
    if (this.#frames === undefined) {
      this.#frames = await this.sync();
      await this.#capture.stop();
    }
    return this.#frames;
  }

  #read(bytes: Uint8Array): SeenFrame[] {
    return readPcap(bytes).filter(({ packet, claim }) =>
      claim !== undefined || (packet !== undefined && packet.protocol !== PROTOCOL_EXPERIMENT)
    );
  }
}

/** To a unicast MAC that nobody has: the bridge floods it, and nobody takes it. */
function markerFrame(id: Uint8Array): Uint8Array {
  const frame = new Uint8Array(60);
  frame.set([
    0x02,
    0,
    0,
    0,
    0,
    1,
    0x02,
    0,
    0,
    0,
    0,
    2,
    ETHER_TYPE_EXPERIMENT >> 8,
    ETHER_TYPE_EXPERIMENT & 255,
  ]);
  frame.set(id, 14);
  return frame;
}

/** Between two addresses for documentation (RFC 5737). */
function markerPacket(id: Uint8Array): Uint8Array {
  const packet = new Uint8Array(20 + id.length);
  packet.set([
    0x45,
    0,
    0,
    packet.length,
    0,
    0,
    0,
    0,
    1,
    PROTOCOL_EXPERIMENT,
    0,
    0,
    192,
    0,
    2,
    1,
    192,
    0,
    2,
    2,
  ]);
  packet.set(id, 20);
  return packet;
}

function lastIndexOf(bytes: Uint8Array, wanted: Uint8Array): number {
  for (let at = bytes.length - wanted.length; at >= 0; at--) {
    let same = 0;
    while (same < wanted.length && bytes[at + same] === wanted[same]) same++;
    if (same === wanted.length) return at;
  }
  return -1;
}

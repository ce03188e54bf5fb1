/** Says goodbye for a worker that crashed, in its name and with the farm's key. */
import { realtimeMs } from "../../ffi/clock.ts";
import { UdpSocket } from "../../ffi/udp_socket.ts";
import { REACH_UNKNOWN } from "../membership/reach.ts";
import { SipHasher } from "../ownership/siphash.ts";
import { type Heartbeat, HeartbeatCodec } from "../wire/heartbeat.ts";
import { type GoodbyePlan } from "./messages.ts";

/** Each goodbye is repeated after these waits (ms): one lost message must not cost the others a timeout. */
const REPEATED_AFTER_MS = [10, 30];

/** Ready to speak: its sockets are open, so that nothing has to be set up when it counts. */
export class Goodbye {
  readonly #codec: HeartbeatCodec;
  readonly #sockets: Array<{ socket: UdpSocket; targets: readonly Uint8Array[] }>;

  constructor(readonly plan: GoodbyePlan) {
    const { keys, networks } = plan;
    this.#codec = new HeartbeatCodec({ ...keys, headerHash: new SipHasher(keys.headerKey) });
    this.#sockets = networks.filter(({ targets }) => targets.length > 0).map((network) => {
      const { interfaceName, interfaceIndex, targets } = network;
      const localAddress = new Uint8Array(targets[0].length);
      // Any free port: it receives nothing, so nothing piles up in it.
      const socket = UdpSocket.openUnicast({ interfaceName, interfaceIndex, localAddress, port: 0 });
      return { socket, targets };
    });
  }

  /** Sends the goodbye at once, and again, and closes. `incarnation` is later than any that the worker had. */
  async say(incarnation: number, holdMs: number): Promise<void> {
    let sequence = 1;
    this.#send(incarnation, sequence, holdMs);
    for (const waitMs of REPEATED_AFTER_MS) {
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      this.#send(incarnation, ++sequence, holdMs);
    }
    this.close();
  }

  #send(incarnation: number, sequence: number, holdMs: number): void {
    const { node, intervalMs, servicesDigest, port } = this.plan;
    const message: Heartbeat = {
      sender: node,
      incarnation,
      sequence,
      intervalMs,
      state: "left",
      binding: false,
      settingsVersion: 1,
      weights: [],
      servicesDigest,
      wallClockMs: Math.floor(realtimeMs()),
      vipFramesSeen: 0,
      vipReach: REACH_UNKNOWN,
      holdMs,
      heard: [],
      retained: [],
      holds: [],
      orders: [],
      answers: [],
    };
    const bytes = this.#codec.encode(message);
    for (const { socket, targets } of this.#sockets) {
      for (const target of targets) socket.sendTo(bytes, target, port);
    }
  }

  close(): void {
    for (const { socket } of this.#sockets) socket.close();
  }
}

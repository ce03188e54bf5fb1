/** The sockets of the membership thread: one for each heartbeat network, and one for the witness of the quorum. */
import { EchoSocket } from "../ffi/echo_socket.ts";
import { UdpSocket } from "../ffi/udp_socket.ts";
import { parseAddress } from "./core/address.ts";
import { messageOf } from "./core/errors.ts";
import { type FarmEventInit } from "./core/events.ts";
import { type MembershipPlan } from "./thread_messages.ts";

/** The socket for questions to the witness of the quorum, if there is one. */
export function openWitness({ quorum }: MembershipPlan): EchoSocket | undefined {
  if (quorum?.kind !== "witness") return undefined;
  const address = parseAddress(quorum.address);
  return address === undefined ? undefined : EchoSocket.open(address.bytes);
}

/** A heartbeat network in use. */
export interface HeartbeatSocket {
  interface: string;
  label: string;
  socket: UdpSocket;
  targets: Uint8Array[];
}

/**
 * One socket for each network. One that cannot be opened is told and left out, as long as there is another.
 * Throws the last failure when there is none.
 */
export function openSockets(
  plan: MembershipPlan,
  unusable: (event: FarmEventInit) => void,
): HeartbeatSocket[] {
  const sockets: HeartbeatSocket[] = [];
  let failure: unknown;
  for (const { interfaceName, interfaceIndex, via, group, localAddress, targets } of plan.networks) {
    const label = `${interfaceName} (${via})`;
    const where = { interfaceName, interfaceIndex, port: plan.port };
    try {
      const socket = group !== undefined
        ? UdpSocket.openMulticast({ ...where, group })
        : UdpSocket.openUnicast({
          ...where,
          localAddress: localAddress ?? new Uint8Array(targets[0].length),
        });
      sockets.push({ interface: interfaceName, label, socket, targets });
    } catch (error) {
      failure = error;
      unusable({
        severity: "error",
        kind: "heartbeat.network_unusable",
        message: `No heartbeats on ${label}: ${messageOf(error)}`,
      });
    }
  }
  if (sockets.length === 0) throw failure;
  return sockets;
}

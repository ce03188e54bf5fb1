/**
 * Membership of this host in an IPv6 multicast group, told to the LAN by MLD (RFC 3810), so that switches which snoop deliver
 * the group's frames. It ends with its socket. A packet socket's membership (PACKET_MR_MULTICAST) only opens the card's filter.
 */
import { addressFromBytes } from "../src/core/address.ts";
import { Descriptor } from "./descriptor.ts";
import { AF_INET6, SOCK_DGRAM } from "./layout/constants.ts";
import { libc } from "./libc.ts";
import { joinIpv6Group, openSocket } from "./socket.ts";

/** A group that is joined. Nothing is received by it. */
export class GroupMembership {
  readonly #descriptor: Descriptor;

  private constructor(fd: number) {
    this.#descriptor = new Descriptor(fd, "group membership");
  }

  /** Joins a group of 16 bytes on one interface. Throws SystemError, as where the interface has no IPv6. */
  static join(interfaceIndex: number, group: Uint8Array): GroupMembership {
    const fd = openSocket(AF_INET6, SOCK_DGRAM, 0, "socket for a group membership");
    try {
      joinIpv6Group(fd, group, interfaceIndex, addressFromBytes(group).text);
      return new GroupMembership(fd);
    } catch (error) {
      libc.close(fd);
      throw error;
    }
  }

  close(): void {
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

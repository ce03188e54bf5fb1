/** Tells that interfaces or addresses have changed: the multicast groups of rtnetlink(7). */

import { Descriptor } from "./descriptor.ts";
import * as C from "./layout/constants.ts";
import { sockaddr_nl } from "./layout/structs.ts";
import { check, libc } from "./libc.ts";
import { openSocket } from "./socket.ts";

const GROUPS = C.RTMGRP_LINK | C.RTMGRP_IPV4_IFADDR | C.RTMGRP_IPV6_IFADDR;
/** What is in the messages is not read: one byte of each will do. */
const MESSAGE_BYTES = 1;
/** Messages passed over at a time; what is left makes the descriptor readable again. */
const MESSAGES_MAX = 1_000;

/** A socket that is readable after a change, in the namespace of the thread that opened it. */
export class LinkNotifications {
  readonly #descriptor: Descriptor;
  readonly #message = new Uint8Array(MESSAGE_BYTES);

  private constructor(descriptor: Descriptor) {
    this.#descriptor = descriptor;
  }

  static open(): LinkNotifications {
    const what = "netlink socket for changes of interfaces";
    const fd = openSocket(C.AF_NETLINK, C.SOCK_RAW | C.SOCK_NONBLOCK, C.NETLINK_ROUTE, what);
    try {
      const name = new Uint8Array(sockaddr_nl.size);
      const view = new DataView(name.buffer);
      view.setUint16(sockaddr_nl.offsets.nl_family, C.AF_NETLINK, true);
      view.setUint32(sockaddr_nl.offsets.nl_groups, GROUPS, true);
      check(libc.bind(fd, name, name.length), "bind netlink socket", "changes of interfaces");
    } catch (error) {
      libc.close(fd);
      throw error;
    }
    return new LinkNotifications(new Descriptor(fd, "netlink socket"));
  }

  get fd(): number {
    return this.#descriptor.fd;
  }

  /**
   * Passes over what has been told. An error says that messages were lost (ENOBUFS): something has changed then too,
   * and the next read goes on.
   */
  drain(): void {
    for (let i = 0; i < MESSAGES_MAX; i++) {
      if (libc.recv(this.#descriptor.fd, this.#message, MESSAGE_BYTES, C.MSG_DONTWAIT) < 0) return;
    }
  }

  close(): void {
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Datagrams to a Unix socket: what sd_notify(3) and systemd-journald's native protocol are made of. See unix(7). Deno
 * has no addresses that begin with `@` (the abstract namespace), so this is by FFI.
 */

import { VipfarmError } from "../src/core/errors.ts";
import { Descriptor } from "./descriptor.ts";
import { AF_UNIX, MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_DGRAM } from "./layout/constants.ts";
import { sockaddr_un } from "./layout/structs.ts";
import { libc } from "./libc.ts";
import { openSocket } from "./socket.ts";

/** Sends to one address. Whoever listens there may come and go. */
export class UnixDatagramSender {
  readonly #descriptor: Descriptor;
  readonly #address: Uint8Array<ArrayBuffer>;

  /** `path` is absolute, or begins with `@` for an abstract name. Throws {@link VipfarmError}. */
  constructor(path: string) {
    this.#address = unixAddress(path);
    this.#descriptor = new Descriptor(openSocket(AF_UNIX, SOCK_DGRAM, 0, "Unix socket"), "Unix socket");
  }

  /** Sends one datagram without waiting. False if nobody takes it: no listener, or its queue is full. */
  send(bytes: Uint8Array<ArrayBuffer>): boolean {
    const { length } = this.#address;
    const flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    return libc.sendto(this.#descriptor.fd, bytes, bytes.length, flags, this.#address, length) >= 0;
  }

  close(): void {
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** `struct sockaddr_un`, as long as its name: zero bytes behind an abstract name would belong to it. */
function unixAddress(path: string): Uint8Array<ArrayBuffer> {
  const name = new TextEncoder().encode(path);
  const isAbstract = path.startsWith("@");
  const pathBytesMax = sockaddr_un.size - sockaddr_un.offsets.sun_path;
  // A path ends with a zero byte.
  const nameBytes = name.length + (isAbstract ? 0 : 1);
  if (!(isAbstract || path.startsWith("/")) || name.length < 2 || nameBytes > pathBytesMax) {
    throw new VipfarmError({
      operation: "address a Unix socket",
      problem: `expected an absolute path, or a name that begins with @, of at most ${pathBytesMax} bytes`,
      value: path,
    });
  }
  const address = new Uint8Array(sockaddr_un.offsets.sun_path + nameBytes);
  new DataView(address.buffer).setUint16(sockaddr_un.offsets.sun_family, AF_UNIX, true);
  address.set(name, sockaddr_un.offsets.sun_path);
  if (isAbstract) address[sockaddr_un.offsets.sun_path] = 0;
  return address;
}

/**
 * The TUN device: packets written to it enter the kernel's IP stack as if received. See the kernel's
 * `Documentation/networking/tuntap.rst` and `drivers/net/tun.c`.
 *
 * Each write is one packet: a virtio header (10 bytes, offsets counted from the IP header) and the IP packet. The
 * device lives as long as a descriptor of it is open, and the addresses on it too: a killed daemon falls silent.
 */

import { VipfarmError } from "../src/core/errors.ts";
import { Descriptor } from "./descriptor.ts";
import { SystemError } from "./errors.ts";
import {
  IFF_DETACH_QUEUE,
  IFF_MULTI_QUEUE,
  IFF_NO_PI,
  IFF_TUN,
  IFF_VNET_HDR,
  IFNAMSIZ,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  TUNSETIFF,
  TUNSETQUEUE,
  TUNSETVNETHDRSZ,
} from "./layout/constants.ts";
import { ifreq, iovec, virtio_net_hdr } from "./layout/structs.ts";
import { cString, errno, libc } from "./libc.ts";

/** What makes TUN devices, for whoever may open it. */
export const TUN_DEVICE = "/dev/net/tun";

/** One open TUN device. Threads share it by its number: one opens it, the others `adopt` it. */
export class TunDevice {
  /** The interface's name. */
  readonly name: string;
  readonly #descriptor: Descriptor;
  readonly #iovec = new Uint8Array(iovec.size);
  readonly #iovecWords = new Uint32Array(this.#iovec.buffer);

  private constructor(descriptor: Descriptor, name: string) {
    this.#descriptor = descriptor;
    this.name = name;
  }

  /**
   * Makes the device (down, without addresses). `name` has at most 15 bytes; `%d` in it becomes the next free number.
   * Throws {@link SystemError}: EPERM without CAP_NET_ADMIN, EBUSY when another process holds that name.
   *
   * A `shared` device has several descriptors, each a queue of its own (IFF_MULTI_QUEUE): who opens one that is there
   * already gets another queue of it.
   */
  static open(name: string, options: { readonly shared?: boolean } = {}): TunDevice {
    const nameBytes = cString(name);
    if (nameBytes.length > IFNAMSIZ) {
      throw new VipfarmError({
        operation: "create TUN device",
        problem: `an interface's name has at most ${IFNAMSIZ - 1} bytes`,
        value: name,
        remedy: "choose a shorter name",
      });
    }
    const fd = libc.open(cString(TUN_DEVICE), O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
      throw new SystemError({
        operation: "open TUN control device",
        errno: errno(),
        value: TUN_DEVICE,
        remedy:
          "load the kernel module tun (`modprobe tun`), and run as root, or let the user open the device " +
          "(`chmod 666 /dev/net/tun`, as udev does: what makes an interface is CAP_NET_ADMIN)",
      });
    }
    const descriptor = new Descriptor(fd, "TUN device");
    try {
      const request = new Uint8Array(ifreq.size);
      request.set(nameBytes, ifreq.offsets.ifr_name);
      new DataView(request.buffer).setUint16(
        ifreq.offsets.ifr_flags,
        IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | (options.shared ? IFF_MULTI_QUEUE : 0),
        true,
      );
      if (libc.ioctl(fd, TUNSETIFF, request) < 0) {
        throw new SystemError({ operation: "create TUN device", errno: errno(), value: name });
      }
      const size = new Uint8Array(new Int32Array([virtio_net_hdr.size]).buffer);
      if (libc.ioctl(fd, TUNSETVNETHDRSZ, size) < 0) {
        throw new SystemError({
          operation: "set virtio header size of TUN device",
          errno: errno(),
          value: name,
        });
      }
      const given = request.subarray(0, IFNAMSIZ);
      return new TunDevice(descriptor, new TextDecoder().decode(given.subarray(0, given.indexOf(0))));
    } catch (error) {
      descriptor.close();
      throw error;
    }
  }

  /** A handle for the device open as `fd` in another thread; closing this handle leaves the device open. */
  static adopt(fd: number, name: string): TunDevice {
    return new TunDevice(new Descriptor(fd, "TUN device", false), name);
  }

  get fd(): number {
    return this.#descriptor.fd;
  }

  /**
   * Takes this queue of a shared device out of use. The descriptor goes on holding the device, with all that stands on
   * it, and nothing else: no packet goes in or out here (drivers/net/tun.c, tun_set_queue).
   */
  detachQueue(): void {
    const request = new Uint8Array(ifreq.size);
    new DataView(request.buffer).setUint16(ifreq.offsets.ifr_flags, IFF_DETACH_QUEUE, true);
    if (libc.ioctl(this.#descriptor.fd, TUNSETQUEUE, request) < 0) {
      throw new SystemError({ operation: "set TUN queue aside", errno: errno(), value: this.name });
    }
  }

  /**
   * Writes `length` bytes of memory from `address` as one packet: no copy, no allocation. The caller keeps that memory
   * mapped. Returns the bytes written, or the negative errno (-5 EIO: the device is down; -22 EINVAL: not a packet).
   */
  writeAt(address: number, length: number): number {
    // writev(2), since a 64-bit address fits the fast call only inside a structure (see libc.ts).
    this.#iovecWords[0] = address >>> 0;
    this.#iovecWords[1] = address / 0x1_0000_0000;
    this.#iovecWords[2] = length;
    const written = libc.writev(this.#descriptor.fd, this.#iovec, 1);
    return written < 0 ? -errno() : written;
  }

  /**
   * Writes the first `length` bytes of `packet` as one packet. Returns as `writeAt`.
   */
  write(packet: Uint8Array<ArrayBuffer>, length: number): number {
    const written = libc.write(this.#descriptor.fd, packet, length);
    return written < 0 ? -errno() : written;
  }

  /** Reads one packet that the stack sent out through the device, virtio header first; 0 when none waits. */
  read(into: Uint8Array<ArrayBuffer>): number {
    const length = libc.read(this.#descriptor.fd, into, into.length);
    return length < 0 ? 0 : length;
  }

  /** Closes the descriptor; the device goes with its last one. A second call does nothing. */
  close(): void {
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

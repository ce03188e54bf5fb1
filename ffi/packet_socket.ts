/**
 * AF_PACKET with a memory-mapped receive ring: TPACKET_V2, virtio header, memberships. See packet(7) and the
 * kernel's `Documentation/networking/packet_mmap.rst` and `net/packet/af_packet.c`.
 *
 * Version 2 wakes the reader for each frame, where version 3 holds frames back up to its block timeout. Its frames
 * have one fixed size. A packet that is longer, such as one of GSO, is cut in the ring and marked, and waits whole in
 * the socket's queue (PACKET_COPY_THRESH), in the order of the frames. So frames are short, and many.
 *
 * The order of the steps in `open` matters: opened with protocol 0 the socket receives nothing; version and virtio
 * header are fixed before the ring exists; ring, filter and memberships are in place before bind() lets the first
 * packet in, so nothing unfiltered is ever in the ring.
 */

import { VipfarmError } from "../src/core/errors.ts";
import { attachFilter, type BpfInstruction } from "./bpf.ts";
import { Descriptor } from "./descriptor.ts";
import { attachProgram } from "./ebpf.ts";
import { SystemError } from "./errors.ts";
import { ERRNO } from "./layout/errno.ts";
import * as C from "./layout/constants.ts";
import {
  packet_mreq,
  sockaddr_ll,
  tpacket2_hdr,
  tpacket_req,
  tpacket_stats,
  virtio_net_hdr,
} from "./layout/structs.ts";
import { check, errno, libc } from "./libc.ts";
import {
  getOption,
  openSocket,
  setIntOption,
  setOption,
  setReceiveBuffer,
  takeSocketError,
} from "./socket.ts";

// Byte offsets inside a frame, from its start: `struct tpacket2_hdr`.
/** u32: length of the packet as it came. */
export const TP2_LEN = tpacket2_hdr.offsets.tp_len;
/** u32 each: when it was captured, CLOCK_REALTIME. */
export const TP2_SEC = tpacket2_hdr.offsets.tp_sec;
export const TP2_NSEC = tpacket2_hdr.offsets.tp_nsec;
/** u32: how many bytes of it are in the frame; less than TP2_LEN means it was cut. */
export const TP2_SNAPLEN = tpacket2_hdr.offsets.tp_snaplen;
/** u16: where the Ethernet header begins, from the start of the frame. The virtio header ends there. */
export const TP2_MAC = tpacket2_hdr.offsets.tp_mac;
/** u16: where the IP header begins. */
export const TP2_NET = tpacket2_hdr.offsets.tp_net;

export { TP_STATUS_COPY, TP_STATUS_KERNEL, TP_STATUS_USER } from "./layout/constants.ts";

/** `struct virtio_net_hdr`: its length, and the byte offset of each field in it. */
export const VIRTIO_HEADER_BYTES = virtio_net_hdr.size;
export const VIRTIO = virtio_net_hdr.offsets;

/** A frame for a packet of an ordinary LAN (1,500 bytes), its headers, and what the kernel says of it. */
export const FRAME_BYTES_ORDINARY = 2048;
/** How far behind the start of the frame the IP header stands: TPACKET_ALIGN(TPACKET2_HDRLEN + 16) + virtio header. */
const NETWORK_OFFSET = align(C.TPACKET2_HDRLEN + 16, C.TPACKET_ALIGNMENT) + VIRTIO_HEADER_BYTES;
/** A frame that holds any IP packet (total length 65,535) whole, behind an Ethernet header with or without a tag. */
export const FRAME_BYTES_WHOLE_PACKET = align(NETWORK_OFFSET + 4 + 65_535, C.TPACKET_ALIGNMENT);
/** A ring has one such frame in place of so many ordinary ones. */
const ORDINARY_FOR_WHOLE = 16;
/** Frames the ring may have: of the ordinary length, they are 32 MiB. */
export const FRAME_COUNT_MAX = 16_384;
/** Room for the longest packet: virtio header, Ethernet header with a tag, and 65,535 bytes of IP. */
const LONG_BYTES_MAX = VIRTIO_HEADER_BYTES + 18 + 65_535;
/** The same in whole pages, of any size that a machine has. */
const LONG_ROOM = align(LONG_BYTES_MAX, 65_536);
/** What mmap(2) returns when it fails: (void *) -1. */
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;
/** The kernel allocates each block in one piece, in powers of two: 1 MiB is found also in fragmented memory. */
const BLOCK_BYTES_MAX = 1 << 20;
/** The longest frame `send` takes: a jumbo frame. What this host sends itself is ARP and neighbour discovery. */
export const SEND_BYTES_MAX = 9216 + 18;

/** A MAC address that the NIC shall receive. */
export interface Membership {
  readonly kind: "multicast" | "unicast";
  /** 6 bytes. */
  readonly mac: Uint8Array;
}

/** What {@link PacketSocket.open} needs. */
export interface RingOptions {
  readonly interfaceIndex: number;
  /** How many packets may wait; rounded up to whole blocks. */
  readonly frameCount: number;
  /** Room for each, headers included; for most, {@link FRAME_BYTES_ORDINARY}. Rounded up. */
  readonly frameBytes: number;
  /**
   * Bytes of packets longer than a frame that may wait until they are read, by {@link PacketSocket.takeLong}; with its own
   * overhead, for which it doubles the number (socket(7)), the kernel takes them when it needs them. What does not fit is
   * cut, and so are all if this is left out. Where so much is not permitted (`net.core.rmem_max`, and no CAP_NET_ADMIN
   * outside user namespaces), there are fewer frames, for the longest packet.
   */
  readonly longBytes?: number;
  readonly filter: readonly BpfInstruction[];
  readonly memberships: readonly Membership[];
}

/** How a ring is laid out in memory. */
export interface RingGeometry {
  readonly frameStride: number;
  readonly framesPerBlock: number;
  readonly blockBytes: number;
  readonly blockCount: number;
}

/**
 * Lays a ring out so that all frames have one distance, also across blocks, which asks for blocks without rest.
 * A frame longer than a page takes whole pages (69,632 bytes for the longest: 6% more than needed); 15 of those fill a
 * block of 1 MiB to 99.6%, where a block of one frame would waste 47%, since the kernel allocates powers of two.
 */
export function ringGeometry(frameBytes: number, frameCount: number, pageBytes: number): RingGeometry {
  let frameStride: number;
  if (frameBytes > pageBytes) {
    frameStride = align(frameBytes, pageBytes);
  } else {
    frameStride = 256;
    while (frameStride < frameBytes) frameStride *= 2;
  }
  const framesPerPage = Math.max(1, pageBytes / frameStride);
  const mostPerBlock = Math.max(1, Math.floor(Math.max(BLOCK_BYTES_MAX, pageBytes) / frameStride));
  let framesPerBlock = Math.min(mostPerBlock, frameCount);
  framesPerBlock = Math.ceil(framesPerBlock / framesPerPage) * framesPerPage;
  return {
    frameStride,
    framesPerBlock,
    blockBytes: framesPerBlock * frameStride,
    blockCount: Math.ceil(frameCount / framesPerBlock),
  };
}

/** An open packet socket with its ring. */
export class PacketSocket {
  /** Address of the mapping, for system calls that take one. Meaningless after `close`. */
  readonly baseAddress: number;
  /**
   * The ring itself, without a copy; behind its frames, at {@link longOffset}, the place for a packet longer than one.
   * `close` detaches it: then it (and every view made from its buffer) has length 0, so that nothing can touch memory
   * which is no longer mapped.
   */
  readonly ring: Uint8Array<ArrayBuffer>;
  /** The same memory: the status word of frame i is at `i * frameStride / 4`. Use Atomics on it. */
  readonly status: Int32Array<ArrayBuffer>;
  /** Bytes from one frame to the next. */
  readonly frameStride: number;
  /** Frames in the ring: as many as asked for, or a few more. */
  readonly frameCount: number;
  /** Where the Ethernet header of a packet stands that {@link takeLong} took; its virtio header ends there. */
  readonly longOffset: number;
  readonly #long: Uint8Array<ArrayBuffer>;
  readonly #descriptor: Descriptor;
  readonly #interfaceIndex: number;
  readonly #sendBuffer = new Uint8Array(VIRTIO_HEADER_BYTES + SEND_BYTES_MAX);
  readonly #statistics = new Uint8Array(tpacket_stats.size);
  readonly #statisticsWords = new Uint32Array(this.#statistics.buffer);
  #packets = 0;
  #drops = 0;

  private constructor(
    descriptor: Descriptor,
    interfaceIndex: number,
    geometry: RingGeometry,
    address: bigint,
  ) {
    this.#descriptor = descriptor;
    this.#interfaceIndex = interfaceIndex;
    this.frameStride = geometry.frameStride;
    this.frameCount = geometry.framesPerBlock * geometry.blockCount;
    this.baseAddress = Number(address);
    const pointer = Deno.UnsafePointer.create(address)!;
    const ringBytes = bytesOf(geometry);
    const memory = Deno.UnsafePointerView.getArrayBuffer(pointer, ringBytes + LONG_ROOM);
    this.ring = new Uint8Array(memory);
    this.status = new Int32Array(memory);
    this.#long = this.ring.subarray(ringBytes);
    this.longOffset = ringBytes + VIRTIO_HEADER_BYTES;
  }

  /** Opens the socket and starts capturing. Throws {@link SystemError} (root or CAP_NET_RAW is needed). */
  static open(options: RingOptions): PacketSocket {
    const { interfaceIndex, frameCount, frameBytes, longBytes } = options;
    if (!(frameCount >= 1 && frameCount <= FRAME_COUNT_MAX)) {
      throw new VipfarmError({
        operation: "open packet socket",
        problem: `a ring has 1 to ${FRAME_COUNT_MAX} frames`,
        value: `${frameCount}`,
      });
    }
    const pageBytes = libc.sysconf(C._SC_PAGESIZE);
    let geometry = ringGeometry(frameBytes, frameCount, pageBytes);
    const descriptor = new Descriptor(
      openSocket(C.AF_PACKET, C.SOCK_RAW, 0, "packet socket"),
      "packet socket",
    );
    try {
      const fd = descriptor.fd;
      setIntOption(fd, C.SOL_PACKET, C.PACKET_VERSION, C.TPACKET_V2, "choose ring version");
      setIntOption(fd, C.SOL_PACKET, C.PACKET_VNET_HDR, 1, "ask for virtio headers");
      setIntOption(fd, C.SOL_PACKET, C.PACKET_IGNORE_OUTGOING, 1, "leave out outgoing packets");
      if (longBytes !== undefined) {
        setIntOption(fd, C.SOL_PACKET, C.PACKET_COPY_THRESH, 1, "ask for long packets");
        if (setReceiveBuffer(fd, longBytes) < 2 * longBytes) {
          geometry = ringGeometry(
            FRAME_BYTES_WHOLE_PACKET,
            Math.ceil(frameCount / ORDINARY_FOR_WHOLE),
            pageBytes,
          );
        }
      }
      setOption(
        fd,
        C.SOL_PACKET,
        C.PACKET_RX_RING,
        ringRequest(geometry),
        "allocate receive ring",
        shown(geometry),
      );
      attachFilter(fd, options.filter);
      for (const membership of options.memberships) joinMac(fd, interfaceIndex, membership);
      const address = map(fd, geometry);
      const socket = new PacketSocket(descriptor, interfaceIndex, geometry, address);
      try {
        bindToAll(fd, interfaceIndex);
      } catch (error) {
        socket.close();
        throw error;
      }
      return socket;
    } catch (error) {
      descriptor.close();
      throw error;
    }
  }

  get fd(): number {
    return this.#descriptor.fd;
  }

  /** Sends one raw Ethernet frame (at most {@link SEND_BYTES_MAX} bytes). Throws {@link SystemError}. */
  send(frame: Uint8Array): void {
    const fd = this.#descriptor.fd;
    if (frame.length > SEND_BYTES_MAX) {
      throw new VipfarmError({
        operation: "send frame",
        problem: `a frame has at most ${SEND_BYTES_MAX} bytes`,
        value: `${frame.length}`,
      });
    }
    // In front stands a virtio header of zeroes: checksums are finished, one packet.
    this.#sendBuffer.set(frame, VIRTIO_HEADER_BYTES);
    const length = VIRTIO_HEADER_BYTES + frame.length;
    check(
      libc.sendto(fd, this.#sendBuffer, length, C.MSG_DONTWAIT, null, 0),
      "send frame",
      `${frame.length} bytes, interface index ${this.#interfaceIndex}`,
    );
  }

  /**
   * Takes the packet that belongs to the frame which is being read, and is marked TP_STATUS_COPY, to {@link longOffset}.
   * Each is to be taken once, in the order of the frames. Returns its length as the ring counts it, 0 if there is none.
   */
  takeLong(): number {
    let length = this.#receiveLong();
    // The error of an interface that went down comes before the packets. It has been taken now.
    while (length < 0 && errno() === ERRNO.ENETDOWN[0]) length = this.#receiveLong();
    return length < VIRTIO_HEADER_BYTES || length > LONG_BYTES_MAX ? 0 : length - VIRTIO_HEADER_BYTES;
  }

  #receiveLong(): number {
    return libc.recv(this.#descriptor.fd, this.#long, LONG_BYTES_MAX, C.MSG_DONTWAIT | C.MSG_TRUNC);
  }

  /** Packets that passed the filter since `open`, and how many of them were lost because the ring was full. */
  statistics(): { packets: number; drops: number } {
    // The kernel sets its counters to 0 with each reading; tp_packets includes the lost ones.
    getOption(
      this.#descriptor.fd,
      C.SOL_PACKET,
      C.PACKET_STATISTICS,
      this.#statistics,
      "read ring statistics",
    );
    this.#packets += this.#statisticsWords[0];
    this.#drops += this.#statisticsWords[1];
    return { packets: this.#packets, drops: this.#drops };
  }

  /** Adds a MAC address that the NIC shall receive. It is given back when the socket closes. */
  join(membership: Membership): void {
    joinMac(this.#descriptor.fd, this.#interfaceIndex, membership);
  }

  /** The filter from now on, in place of the one before. */
  setFilter(filter: readonly BpfInstruction[]): void {
    attachFilter(this.#descriptor.fd, filter);
  }

  /** The same with an extended BPF program, given as its descriptor. Without success the filter stays. */
  setProgram(program: number): void {
    attachProgram(this.#descriptor.fd, program);
  }

  /** Why poll reported POLLERR, such as ENETDOWN after the interface went down; taken by reading it. */
  takeError(): SystemError | undefined {
    return takeSocketError(this.#descriptor.fd, "receive packets", `interface index ${this.#interfaceIndex}`);
  }

  /** Stops capturing, gives memberships back, detaches and unmaps the ring. A second call does nothing. */
  close(): void {
    if (this.#descriptor.closed) return;
    const bytes = this.ring.byteLength;
    this.#descriptor.close();
    // Reading unmapped memory would end the process. transfer() detaches the buffer from every view first.
    this.ring.buffer.transfer(0);
    libc.munmap(BigInt(this.baseAddress), BigInt(bytes));
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Maps the ring, and room for one long packet right behind it. Throws {@link SystemError}. */
function map(fd: number, geometry: RingGeometry): bigint {
  const ringBytes = BigInt(bytesOf(geometry)), bytes = ringBytes + BigInt(LONG_ROOM);
  const access = C.PROT_READ | C.PROT_WRITE;
  const address = libc.mmap(0n, bytes, access, C.MAP_PRIVATE | C.MAP_ANONYMOUS, -1, 0n);
  if (address === MAP_FAILED) {
    throw new SystemError({ operation: "make room for packets", errno: errno(), value: `${bytes} bytes` });
  }
  if (libc.mmap(address, ringBytes, access, C.MAP_SHARED | C.MAP_FIXED, fd, 0n) === MAP_FAILED) {
    const problem = errno();
    libc.munmap(address, bytes);
    throw new SystemError({ operation: "map receive ring", errno: problem, value: shown(geometry) });
  }
  return address;
}

function bytesOf({ blockBytes, blockCount }: RingGeometry): number {
  return blockBytes * blockCount;
}

function ringRequest(
  { blockBytes, blockCount, frameStride, framesPerBlock }: RingGeometry,
): Uint8Array<ArrayBuffer> {
  const request = new Uint8Array(tpacket_req.size);
  const view = new DataView(request.buffer);
  view.setUint32(tpacket_req.offsets.tp_block_size, blockBytes, true);
  view.setUint32(tpacket_req.offsets.tp_block_nr, blockCount, true);
  view.setUint32(tpacket_req.offsets.tp_frame_size, frameStride, true);
  view.setUint32(tpacket_req.offsets.tp_frame_nr, framesPerBlock * blockCount, true);
  return request;
}

function shown({ blockBytes, blockCount, frameStride }: RingGeometry): string {
  return `${blockCount} blocks of ${blockBytes} bytes, frames of ${frameStride} bytes`;
}

function joinMac(fd: number, interfaceIndex: number, { kind, mac }: Membership): void {
  const request = new Uint8Array(packet_mreq.size);
  const view = new DataView(request.buffer);
  view.setInt32(packet_mreq.offsets.mr_ifindex, interfaceIndex, true);
  view.setUint16(
    packet_mreq.offsets.mr_type,
    kind === "multicast" ? C.PACKET_MR_MULTICAST : C.PACKET_MR_UNICAST,
    true,
  );
  view.setUint16(packet_mreq.offsets.mr_alen, mac.length, true);
  request.set(mac, packet_mreq.offsets.mr_address);
  const text = Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join(":");
  setOption(fd, C.SOL_PACKET, C.PACKET_ADD_MEMBERSHIP, request, `receive ${kind} MAC address`, text);
}

function bindToAll(fd: number, interfaceIndex: number): void {
  const address = new Uint8Array(sockaddr_ll.size);
  const view = new DataView(address.buffer);
  view.setUint16(sockaddr_ll.offsets.sll_family, C.AF_PACKET, true);
  view.setUint16(sockaddr_ll.offsets.sll_protocol, C.ETH_P_ALL, false);
  view.setInt32(sockaddr_ll.offsets.sll_ifindex, interfaceIndex, true);
  check(libc.bind(fd, address, address.length), "bind packet socket", `interface index ${interfaceIndex}`);
}

function align(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

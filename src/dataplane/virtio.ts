/** The header in front of each frame in the ring and of each packet on the TUN: struct virtio_net_hdr (linux/virtio_net.h). */
import { ETHERNET_HEADER_BYTES } from "../wire/ethernet.ts";

/** Its length. */
export const VIRTIO_HEADER_BYTES = 10;
/** In its first byte, the flags: the checksum is unfinished (VIRTIO_NET_HDR_F_NEEDS_CSUM). */
const NEEDS_CSUM = 1;

/**
 * Moves the virtio header of the frame at `offset` over the end of the Ethernet header, right before the IP packet, so that
 * one write(2) takes both from the ring, and returns where it begins now. Its offsets count from the IP header there: 14
 * bytes less (drivers/net/tun.c, tun_get_user).
 */
export function moveVirtioHeader(bytes: Uint8Array, offset: number): number {
  const from = offset - VIRTIO_HEADER_BYTES;
  const to = from + ETHERNET_HEADER_BYTES;
  const flags = bytes[from];
  const gsoType = bytes[from + 1];
  bytes[to] = flags;
  bytes[to + 1] = gsoType;
  moveLess(bytes, from + 2, to + 2, gsoType !== 0);
  bytes[to + 4] = bytes[from + 4];
  bytes[to + 5] = bytes[from + 5];
  moveLess(bytes, from + 6, to + 6, (flags & NEEDS_CSUM) !== 0);
  bytes[to + 8] = bytes[from + 8];
  bytes[to + 9] = bytes[from + 9];
  return to;
}

/** Copies a 16-bit host-order (little-endian on both machines that we run on) offset, less the Ethernet header. */
function moveLess(bytes: Uint8Array, from: number, to: number, counts: boolean): void {
  const value = bytes[from] | (bytes[from + 1] << 8);
  const moved = counts ? value - ETHERNET_HEADER_BYTES : value;
  bytes[to] = moved;
  bytes[to + 1] = moved >>> 8;
}

/**
 * Small notations inside configuration values: durations, ports and port ranges, places to listen on.
 * Each reader gives `undefined` for what it does not know; the caller knows the position and says what was expected.
 */
import { type IpAddress, parseAddress } from "../core/address.ts";

/** An inclusive range of ports; a single port has `from === to`. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** Where an HTTP server listens. `host` is an IP address without brackets. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** A whole or decimal number with its unit. The same pattern stands in the JSON Schema. */
export const DURATION_PATTERN = /^\d{1,9}(\.\d{1,3})?(ms|s|m|h)$/;
/** A port or a range of ports written as text. */
export const PORTS_PATTERN = /^\d{1,5}(-\d{1,5})?$/;
/** Farm, node and service names. The dot lets a full host name be a node name. */
export const NAME_PATTERN = /^[A-Za-z0-9._-]{1,63}$/;
/** What the kernel accepts as a device name (`dev_valid_name` in net/core/dev.c): at most 15 bytes. */
export const INTERFACE_PATTERN = /^(?!\.{1,2}$)[^\s/:]{1,15}$/;

export const PORT_MAX = 65_535;

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Milliseconds of `100ms`, `1.5s`, `2m`, `1h`. Fractions of a millisecond are not a duration here. */
export function parseDurationMs(text: string): number | undefined {
  if (!DURATION_PATTERN.test(text)) return undefined;
  const unit = text.endsWith("ms") ? "ms" : text.slice(-1);
  // Decimals are at most thousandths, so this is exact before the division.
  const ms = Math.round(Number(text.slice(0, -unit.length)) * 1_000) * UNIT_MS[unit] / 1_000;
  return Number.isInteger(ms) ? ms : undefined;
}

/** The shortest way to write a whole number of milliseconds: 100 is `100ms`, 2000 is `2s`. */
export function formatDuration(durationMs: number): string {
  if (durationMs === 0) return "0s";
  for (const unit of ["h", "m", "s"]) {
    if (durationMs % UNIT_MS[unit] === 0) return `${durationMs / UNIT_MS[unit]}${unit}`;
  }
  return `${durationMs}ms`;
}

/** Ports of `80`, `"80"` or `8000-8100`. Order and bounds are not checked: see {@link isPortRange}. */
export function parsePorts(value: number | string): PortRange | undefined {
  if (typeof value === "number") return Number.isInteger(value) ? { from: value, to: value } : undefined;
  if (!PORTS_PATTERN.test(value)) return undefined;
  const [from, to = from] = value.split("-").map(Number);
  return { from, to };
}

/** Whether both ends are ports (1 to 65535) in ascending order. */
export function isPortRange({ from, to }: PortRange): boolean {
  return from >= 1 && from <= to && to <= PORT_MAX;
}

export function formatPorts({ from, to }: PortRange): string {
  return from === to ? `${from}` : `${from}-${to}`;
}

/** `127.0.0.1:9010`, `[::1]:9010` or `localhost:9010`. Names other than localhost are not looked up. */
export function parseListen(text: string): ListenAddress | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (!match) return undefined;
  const port = Number(match[3]);
  if (port < 1 || port > PORT_MAX) return undefined;
  if (match[2] === "localhost") return { host: "127.0.0.1", port };
  const address = parseAddress(match[1] ?? match[2]);
  if (!address || (address.family === 6) !== (match[1] !== undefined)) return undefined;
  return { host: address.text, port };
}

export function isMulticast(address: IpAddress): boolean {
  return address.family === 4 ? address.bytes[0] >> 4 === 0xe : address.bytes[0] === 0xff;
}

/** 127.0.0.0/8 (RFC 1122 section 3.2.1.3) or ::1 (RFC 4291 section 2.5.3). */
export function isLoopback(address: IpAddress): boolean {
  if (address.family === 4) return address.bytes[0] === 127;
  return address.bytes.every((byte, i) => byte === (i === 15 ? 1 : 0));
}

/** fe80::/10: only with an interface does it name a host. */
export function isLinkLocal(address: IpAddress): boolean {
  return address.family === 6 && address.bytes[0] === 0xfe && (address.bytes[1] & 0xc0) === 0x80;
}

/**
 * What a VIP must be. The kernel takes a link-local address only on the link that has it, and a VIP stands on a TUN
 * device. 169.254.0.0/16 is to Linux as any other network.
 */
export function isVirtualIp(address: IpAddress): boolean {
  return isUnicast(address) && !isLinkLocal(address);
}

/** An address that one host can have and others can send to: what a peer must be. */
export function isUnicast(address: IpAddress): boolean {
  if (isMulticast(address) || isLoopback(address)) return false;
  if (address.family === 4) return address.bytes[0] !== 0 && address.bytes[0] < 0xf0;
  // ::/96 holds the unspecified and the deprecated IPv4-compatible ones; ::ffff:0:0/96 are IPv4 addresses in disguise.
  return !address.bytes.slice(0, 10).every((byte) => byte === 0) ||
    !((address.bytes[10] === 0 && address.bytes[11] === 0) ||
      (address.bytes[10] === 0xff && address.bytes[11] === 0xff));
}

/** A question to a name server and its answer (RFC 1035 section 4). Pure; any bytes may come. */
import { addressFromBytes } from "../core/address.ts";

const TYPES = { A: 1, AAAA: 28 } as const;
const INTERNET = 1;
const HEADER_BYTES = 12;
/** The server may ask others; it has to answer. */
const RECURSION_DESIRED = 0x0100;
const RESPONSE = 0x8000;
const FAILURES: Readonly<Record<number, string>> = {
  1: "the server calls the question malformed",
  2: "the server failed (SERVFAIL)",
  3: "there is no such name (NXDOMAIN)",
  4: "the server does not do this",
  5: "the server refused",
};
/** Records looked at in one answer: more do not fit in a datagram. */
const RECORDS_MAX = 256;

export type DnsType = keyof typeof TYPES;

export interface DnsAnswer {
  /** In words, if the server has none. */
  readonly failure?: string;
  readonly addresses: readonly string[];
}

/** One question for one name. */
export function dnsQuestion(id: number, name: string, type: DnsType): Uint8Array {
  const labels = name.replace(/\.$/, "").split(".").map((label) => new TextEncoder().encode(label));
  const bytes = new Uint8Array(HEADER_BYTES + labels.reduce((sum, label) => sum + label.length + 1, 1) + 4);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, id);
  view.setUint16(2, RECURSION_DESIRED);
  view.setUint16(4, 1);
  let at = HEADER_BYTES;
  for (const label of labels) {
    bytes[at] = label.length;
    bytes.set(label, at + 1);
    at += label.length + 1;
  }
  view.setUint16(at + 1, TYPES[type]);
  view.setUint16(at + 3, INTERNET);
  return bytes;
}

/** Undefined if this is no answer to the question `id`, or is malformed. */
export function readDnsAnswer(bytes: Uint8Array, id: number, type: DnsType): DnsAnswer | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const flags = view.getUint16(2);
  if (view.getUint16(0) !== id || (flags & RESPONSE) === 0) return undefined;
  const code = flags & 0xf;
  if (code !== 0) {
    return { failure: FAILURES[code] ?? `the server answered with code ${code}`, addresses: [] };
  }
  let at: number | undefined = HEADER_BYTES;
  for (let question = 0; question < view.getUint16(4); question++) {
    at = afterName(bytes, at);
    if (at === undefined || question >= RECORDS_MAX) return undefined;
    at += 4;
  }
  const addresses: string[] = [];
  for (let record = 0; record < Math.min(RECORDS_MAX, view.getUint16(6)); record++) {
    const header = afterName(bytes, at);
    if (header === undefined || header + 10 > bytes.length) return undefined;
    const length = view.getUint16(header + 8);
    const data = header + 10;
    if (data + length > bytes.length) return undefined;
    const isWanted = view.getUint16(header) === TYPES[type] && view.getUint16(header + 2) === INTERNET;
    if (isWanted && length === (type === "A" ? 4 : 16)) {
      addresses.push(addressFromBytes(bytes.slice(data, data + length)).text);
    }
    at = data + length;
  }
  return { addresses };
}

/** Where a name ends, without following the pointer that may end it (section 4.1.4). */
function afterName(bytes: Uint8Array, start: number): number | undefined {
  for (let at = start; at < bytes.length;) {
    const length = bytes[at];
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    at += 1 + length;
  }
  return undefined;
}

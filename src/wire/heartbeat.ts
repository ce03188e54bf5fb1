/**
 * Heartbeats as bytes: a fixed header, a bounded body, and an authentication code. All numbers in network order.
 *
 * ```text
 *  0  "VF"                       magic
 *  2  u8   protocol version      2; another one only when readers of this one would misunderstand
 *  3  u8   flags                 0
 *  4  4    farm tag              farms on one LAN tell each other apart without trying keys
 *  8  u16  length                of the whole message
 * 10  u48  incarnation           of the sender: grows with every start
 * 16  u48  sequence              of the message: grows with every message of an incarnation
 * 22  u16  reserved              0
 * 24  8    sender identity       SipHash-1-3(headerKey, name): the replay look-up needs no name
 * 32  8    header check          SipHash-1-3(headerKey, bytes 0 to 31)
 * 40  …    body                  heartbeat_body.ts
 * -16 16   HMAC-SHA-256(heartbeatKey, all before), cut to 16 bytes (RFC 2104 section 5 allows half the output)
 * ```
 *
 * A later version of the program may append fields to the body, and know orders that this one does not: both are passed
 * over, so that nodes of neighbouring versions form one farm while it is upgraded. Another protocol version keeps the header,
 * the beginning of the body (`BodyBeginning`) and the authentication code as they are: so each knows of nodes that speak it.
 *
 * A message is checked in the order of cost, so that a flood of forged ones costs about 100 ns each: length, magic
 * and version, farm tag, header check (a forger without the secret gets no further), replay (a forger who sends
 * what he recorded gets no further), HMAC, and only then the body. The 64-bit header check is a filter against
 * floods, never the proof: the HMAC covers header and body.
 */

import { timingSafeEqual } from "node:crypto";
import { VipfarmError } from "../core/errors.ts";
import { HEARTBEAT_BYTES_MAX, NAME_LENGTH_MAX } from "../core/limits.ts";
import { readInt32, readUint16 } from "./bytes.ts";
import {
  type BodyBeginning,
  type HeartbeatBody,
  readBody,
  readBodyBeginning,
  writeBody,
  writeName,
} from "./heartbeat_body.ts";
import { HmacSha256 } from "./hmac.ts";

export type {
  Answer,
  AnswerCode,
  HeardMember,
  HeartbeatBody,
  HeldNode,
  Order,
  OrderVerb,
  Retained,
  WireState,
} from "./heartbeat_body.ts";
export {
  ANSWERS_MAX,
  HOLD_MS_MAX,
  ORDERS_MAX,
  REPORT_BYTES_MAX,
  RETAINED_BITMAP_BYTES,
} from "./heartbeat_body.ts";

/** One heartbeat: what a member says of itself and of the others. */
export interface Heartbeat extends HeartbeatBody {
  /** Grows with every start of the sender, and when the sender doubts itself. Milliseconds of wall clock at first. */
  readonly incarnation: number;
  /** Grows with every message of this incarnation. */
  readonly sequence: number;
}

/** A genuine heartbeat of this farm, refused as `version`: as much of it as all versions have in common. */
export interface OtherVersion extends BodyBeginning {
  readonly incarnation: number;
  readonly sequence: number;
  readonly version: number;
  readonly ownVersion: number;
}

/** Why a message was refused. Every refusal is one of these, and is counted under this name. */
export const REJECT_REASONS = [
  "short",
  "length",
  "magic",
  "version",
  "foreignFarm",
  "headerCheck",
  "duplicate",
  "replayed",
  "hmac",
  "malformed",
] as const;

/** One of {@link REJECT_REASONS}. `duplicate`: the same message again, as by a second heartbeat network. */
export type RejectReason = typeof REJECT_REASONS[number];

/** A keyed 64-bit hash; the result of the last call stands in `low` and `high` (signed 32-bit). */
export interface KeyedHash {
  hash(bytes: Uint8Array, offset: number, length: number): void;
  readonly low: number;
  readonly high: number;
}

/** Knows the last message accepted from each sender. */
export interface ReplayGuard {
  /** Judges by the sender's identity (two halves of its hash, signed 32-bit), incarnation and sequence. */
  judge(
    idLow: number,
    idHigh: number,
    incarnation: number,
    sequence: number,
  ): "fresh" | "duplicate" | "replayed";
}

/** What a codec is made of: keys of {@link deriveKeys}, and SipHash-1-3 under `headerKey`. */
export interface HeartbeatCodecOptions {
  readonly farmTag: Uint8Array;
  readonly heartbeatKey: Uint8Array;
  readonly headerHash: KeyedHash;
}

export const HEARTBEAT_HEADER_BYTES = 40;
export const HEARTBEAT_HMAC_BYTES = 16;
/** No program goes on in the place of one that speaks another. */
export const PROTOCOL_VERSION = 3;
const AT_LENGTH = 8, AT_INCARNATION = 10, AT_SEQUENCE = 16, AT_SENDER = 24, AT_CHECK = 32;
/** Largest incarnation and sequence: 48 bits hold wall-clock milliseconds until the year 10889. */
const UINT48_MAX = 2 ** 48 - 1;

/** Writes and reads the heartbeats of one farm. Not to be shared between threads. */
export class HeartbeatCodec {
  readonly #farmTag: Uint8Array;
  readonly #hmac: HmacSha256;
  readonly #headerHash: KeyedHash;
  readonly #out = new Uint8Array(HEARTBEAT_BYTES_MAX);
  readonly #outView = new DataView(this.#out.buffer);
  readonly #nameBytes = new Uint8Array(NAME_LENGTH_MAX);

  constructor(options: HeartbeatCodecOptions) {
    this.#farmTag = options.farmTag.slice();
    this.#hmac = new HmacSha256(options.heartbeatKey, HEARTBEAT_BYTES_MAX);
    this.#headerHash = options.headerHash;
  }

  /**
   * The message as bytes, in a fresh array.
   * @throws VipfarmError if a value does not fit its field; within the bounds of the body a message always fits
   */
  encode(message: Heartbeat): Uint8Array<ArrayBuffer> {
    const out = this.#out, view = this.#outView;
    const bodyEnd = writeBody(message, out, HEARTBEAT_HEADER_BYTES);
    const length = bodyEnd + HEARTBEAT_HMAC_BYTES;
    out[0] = 0x56; // V
    out[1] = 0x46; // F
    out[2] = PROTOCOL_VERSION;
    out[3] = 0;
    out.set(this.#farmTag, 4);
    view.setUint16(AT_LENGTH, length);
    writeUint48(view, AT_INCARNATION, message.incarnation);
    writeUint48(view, AT_SEQUENCE, message.sequence);
    view.setUint16(AT_SEQUENCE + 6, 0);
    this.identify(message.sender);
    view.setInt32(AT_SENDER, this.#headerHash.high);
    view.setInt32(AT_SENDER + 4, this.#headerHash.low);
    this.#headerHash.hash(out, 0, AT_CHECK);
    view.setInt32(AT_CHECK, this.#headerHash.high);
    view.setInt32(AT_CHECK + 4, this.#headerHash.low);
    const mac = this.#hmac.digest(out.subarray(0, bodyEnd));
    out.set(mac.subarray(0, HEARTBEAT_HMAC_BYTES), bodyEnd);
    return out.slice(0, length);
  }

  /**
   * The message in `bytes`, or why it was refused. Never throws, whatever the bytes are. The caller tells the
   * guard of an accepted message before the next call, otherwise the same message is accepted again.
   */
  decode(bytes: Uint8Array, guard: ReplayGuard): Heartbeat | RejectReason {
    if (bytes.length < HEARTBEAT_HEADER_BYTES + HEARTBEAT_HMAC_BYTES) return "short";
    if (bytes[0] !== 0x56 || bytes[1] !== 0x46) return "magic";
    if (bytes[2] !== PROTOCOL_VERSION) return "version";
    const problem = this.#problem(bytes, guard);
    if (problem !== undefined) return problem;
    // From here on the sender knows the farm's secret; what is wrong now is a fault, not an attack.
    const body = readBody(bytes, HEARTBEAT_HEADER_BYTES, bytes.length - HEARTBEAT_HMAC_BYTES);
    if (body === undefined || !this.#isFrom(bytes, body.sender)) return "malformed";
    const { incarnation, sequence } = headerOf(bytes);
    return { ...body, incarnation, sequence };
  }

  /** What a message that was refused as `version` says, if it is genuine and new to the guard; as {@link decode}. */
  decodeOtherVersion(bytes: Uint8Array, guard: ReplayGuard): OtherVersion | undefined {
    if (this.#problem(bytes, guard) !== undefined) return undefined;
    const end = bytes.length - HEARTBEAT_HMAC_BYTES;
    const beginning = readBodyBeginning(bytes, HEARTBEAT_HEADER_BYTES, end);
    if (beginning === undefined || !this.#isFrom(bytes, beginning.sender)) return undefined;
    const { incarnation, sequence } = headerOf(bytes);
    return { ...beginning, incarnation, sequence, version: bytes[2], ownVersion: PROTOCOL_VERSION };
  }

  /** Why a message is not a genuine new one of this farm: what all versions have in common. */
  #problem(bytes: Uint8Array, guard: ReplayGuard): RejectReason | undefined {
    const { length } = bytes;
    if (readUint16(bytes, AT_LENGTH) !== length || length > HEARTBEAT_BYTES_MAX) return "length";
    for (let i = 0; i < 4; i++) if (bytes[4 + i] !== this.#farmTag[i]) return "foreignFarm";
    const hash = this.#headerHash;
    hash.hash(bytes, 0, AT_CHECK);
    if (hash.high !== readInt32(bytes, AT_CHECK) || hash.low !== readInt32(bytes, AT_CHECK + 4)) {
      return "headerCheck";
    }
    const { idLow, idHigh, incarnation, sequence } = headerOf(bytes);
    const judgement = guard.judge(idLow, idHigh, incarnation, sequence);
    if (judgement !== "fresh") return judgement;
    const bodyEnd = length - HEARTBEAT_HMAC_BYTES;
    const mac = this.#hmac.digest(bytes.subarray(0, bodyEnd));
    if (!timingSafeEqual(mac.subarray(0, HEARTBEAT_HMAC_BYTES), bytes.subarray(bodyEnd))) return "hmac";
    return undefined;
  }

  /** Whether the header names the sender that the body does. */
  #isFrom(bytes: Uint8Array, sender: string): boolean {
    const { high, low } = this.identify(sender), { idHigh, idLow } = headerOf(bytes);
    return high === idHigh && low === idLow;
  }

  /** Hashes a name to the sender identity of headers; it stands in the header hash afterwards. */
  identify(name: string): KeyedHash {
    writeName(name, this.#nameBytes, 0);
    this.#headerHash.hash(this.#nameBytes, 0, name.length);
    return this.#headerHash;
  }
}

/** What the header says of the sender; to be believed of a message whose header check was right. */
export interface HeartbeatHeader {
  /** The two halves of the sender's identity, signed 32-bit. */
  readonly idLow: number;
  readonly idHigh: number;
  readonly incarnation: number;
  readonly sequence: number;
}

/** Reads the header of a message that has a whole one. */
export function headerOf(bytes: Uint8Array): HeartbeatHeader {
  return {
    idHigh: readInt32(bytes, AT_SENDER),
    idLow: readInt32(bytes, AT_SENDER + 4),
    incarnation: readUint48(bytes, AT_INCARNATION),
    sequence: readUint48(bytes, AT_SEQUENCE),
  };
}

function readUint48(bytes: Uint8Array, at: number): number {
  return readUint16(bytes, at) * 2 ** 32 + (readInt32(bytes, at + 2) >>> 0);
}

function writeUint48(view: DataView, at: number, value: number): void {
  if (!(Number.isInteger(value) && value >= 0 && value <= UINT48_MAX)) {
    throw new VipfarmError({
      operation: "write heartbeat",
      problem: `incarnation and sequence must be integers from 0 to ${UINT48_MAX}`,
      value: String(value),
    });
  }
  view.setUint16(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 2, value >>> 0);
}

/**
 * The body of a heartbeat. Every list has a bound, and all lists at their bounds fit into one message
 * (a test adds them up), so writing never has to choose what to leave out.
 */

import { VipfarmError } from "../core/errors.ts";
import { MEMBERS_MAX, NAME_LENGTH_MAX, SERVICES_MAX, WEIGHT_MAX } from "../core/limits.ts";
import { isWeight } from "../core/weight.ts";

/** What a member says it is. */
export type WireState = "joining" | "up" | "draining" | "leaving" | "left";

/** One line of a member's list: whom it hears. */
export interface HeardMember {
  readonly name: string;
  readonly incarnation: number;
  /** The newest settings of that member which the sender has adopted. */
  readonly settingsVersion: number;
  /**
   * `heard`; `suspect`: silent for three intervals; `remembered`: not heard, but its messages are refused as
   * older than this incarnation, so it had better choose a greater one.
   */
  readonly status: "heard" | "suspect" | "remembered";
  /** Last 32 bits of the sequence number of the last heartbeat that the sender took in from it. */
  readonly echo: number;
}

/** Buckets of a table that the sender does not claim, but whose open connections it keeps. */
export interface Retained {
  /** 0 to S. */
  readonly table: number;
  /** 128 bytes; bit g (byte g >> 3, bit g & 7) stands for the buckets 64 g to 64 g + 63. */
  readonly bitmap: Uint8Array;
}

/** A node whose program crashed, and whose connections live on in its kernel. */
export interface HeldNode {
  readonly name: string;
  /** Of the goodbye that asked for the hold. */
  readonly incarnation: number;
  /** How long the hold still lasts. */
  readonly leftMs: number;
}

export type OrderVerb = "drain" | "resume" | "weight" | "start" | "stop" | "restart" | "reload";

/** Something that one node asks of another. */
export interface Order {
  /** 16 hexadecimal digits, unique: an order is carried out once, however often it is heard. */
  readonly id: string;
  readonly target: string;
  readonly verb: OrderVerb;
  /** The weight, for the verb `weight`; otherwise 0. */
  readonly value: number;
  readonly issuedBy: string;
}

/** The reasons that have a remedy of their own are told apart from other refusals. */
export type AnswerCode =
  | "done"
  | "refused"
  | "failed"
  | "unchanged"
  | "no_application"
  | "file_has_errors"
  | "needs_restart";

/** What became of an order. */
export interface Answer {
  readonly id: string;
  readonly code: AnswerCode;
  /** One sentence; cut to {@link ANSWER_TEXT_BYTES_MAX} bytes on the wire. */
  readonly text: string;
}

/** The body of a heartbeat as values. */
export interface HeartbeatBody {
  readonly sender: string;
  readonly intervalMs: number;
  readonly state: WireState;
  /** Whether a node that misses itself in `heard` must fall silent. False for who listens only. */
  readonly binding: boolean;
  /** Grows with every change of state or weights within one incarnation. */
  readonly settingsVersion: number;
  /** One for each table, each plain or a last resort (`core/weight.ts`); [0] is presence. */
  readonly weights: readonly number[];
  /** Over all that nodes must agree on: virtual IPs, services, affinity. */
  readonly servicesDigest: number;
  /** The sender's wall clock. Tells clock trouble, and recordings from live messages; decides nothing else. */
  readonly wallClockMs: number;
  /** Frames to the virtual IPs that the sender saw since its start. */
  readonly vipFramesSeen: number;
  /** Virtual IPs by which the sender is reached, and not: bit i stands for the i-th in the file. */
  readonly vipReach: { readonly reached: number; readonly unreached: number };
  /** With the state `left`, or if the sender is missed: its connections may be back within this time; 0 if not. */
  readonly holdMs: number;
  readonly heard: readonly HeardMember[];
  readonly retained: readonly Retained[];
  /** Holds that last, for members that came too late to hear the goodbye. */
  readonly holds: readonly HeldNode[];
  readonly orders: readonly Order[];
  readonly answers: readonly Answer[];
  /** What the sender has to tell people; not in every heartbeat. At most {@link REPORT_BYTES_MAX} bytes of UTF-8. */
  readonly report?: string;
}

/** 65,536 buckets in groups of 64: a bitmap of 128 bytes keeps all tables in one heartbeat. */
export const RETAINED_BITMAP_BYTES = 128;
/** Orders under way from one node: people type them. */
export const ORDERS_MAX = 4;
/** Answers under way from one node: more than ORDERS_MAX, since several nodes may give orders. */
export const ANSWERS_MAX = 8;
/** Long enough for one short sentence. */
export const ANSWER_TEXT_BYTES_MAX = 64;
/** Longest report: a few figures and names, in JSON. */
export const REPORT_BYTES_MAX = 1_024;
/** Shortest and longest interval: below, timers of the system are too coarse; above, the field is full. */
export const INTERVAL_MS_MIN = 5, INTERVAL_MS_MAX = 60_000;
/** Longest hold: clients whose connection has not moved for so long have given up. */
export const HOLD_MS_MAX = 60_000;

const TABLES_MAX = SERVICES_MAX + 1;
const STATES: readonly WireState[] = ["joining", "up", "draining", "leaving", "left"];
const STATUSES: readonly HeardMember["status"][] = ["heard", "suspect", "remembered"];
const VERBS: readonly OrderVerb[] = ["drain", "resume", "weight", "start", "stop", "restart", "reload"];
const CODES: readonly AnswerCode[] = [
  "done",
  "refused",
  "failed",
  "unchanged",
  "no_application",
  "file_has_errors",
  "needs_restart",
];
const NAME = /^[A-Za-z0-9._-]{1,63}$/;
const ORDER_ID = /^[0-9a-f]{16}$/;
const FLAG_BINDING = 1;
const UINT32_MAX = 2 ** 32 - 1, UINT48_MAX = 2 ** 48 - 1;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8");

/** Whether this can be the name of a node: 1 to 63 of letters, digits, dot, underscore, hyphen. */
export function isNodeName(name: string): boolean {
  return NAME.test(name);
}

/**
 * Writes a node's name from `at` on; room for it is the caller's affair. Every character is one byte. A text encoder takes
 * 20 µs where caches are cold, as they are whenever a heartbeat comes; this takes 4.
 */
export function writeName(name: string, out: Uint8Array, at: number): void {
  for (let i = 0; i < name.length; i++) out[at + i] = name.charCodeAt(i);
}

/**
 * Writes the body from `at` on and gives the offset behind it.
 * @throws VipfarmError if a value does not fit
 */
export function writeBody(body: HeartbeatBody, out: Uint8Array, at: number): number {
  const writer = new Writer(out, at);
  writer.name(body.sender);
  writer.uint(2, body.intervalMs, INTERVAL_MS_MAX);
  writer.choice(STATES, body.state);
  writer.uint(1, body.binding ? FLAG_BINDING : 0, 255);
  writer.uint(4, body.settingsVersion, UINT32_MAX);
  writer.uint(4, body.servicesDigest, UINT32_MAX);
  writer.uint(6, body.wallClockMs, UINT48_MAX);
  writer.uint(6, body.vipFramesSeen, UINT48_MAX);
  writer.uint(4, body.vipReach.reached, UINT32_MAX);
  writer.uint(4, body.vipReach.unreached, UINT32_MAX);
  writer.uint(2, body.holdMs, HOLD_MS_MAX);
  writer.list(body.weights, TABLES_MAX, (weight) => writer.weight(weight));
  writer.list(body.heard, MEMBERS_MAX, (member) => {
    writer.name(member.name);
    writer.uint(6, member.incarnation, UINT48_MAX);
    writer.uint(4, member.settingsVersion, UINT32_MAX);
    writer.choice(STATUSES, member.status);
    writer.uint(4, member.echo, UINT32_MAX);
  });
  writer.list(body.retained, TABLES_MAX, ({ table, bitmap }) => {
    writer.uint(1, table, SERVICES_MAX);
    writer.bytes(bitmap, RETAINED_BITMAP_BYTES);
  });
  writer.list(body.holds, MEMBERS_MAX, (hold) => {
    writer.name(hold.name);
    writer.uint(6, hold.incarnation, UINT48_MAX);
    writer.uint(2, hold.leftMs, HOLD_MS_MAX);
  });
  writer.list(body.orders, ORDERS_MAX, (order) => {
    writer.orderId(order.id);
    writer.name(order.target);
    writer.choice(VERBS, order.verb);
    writer.uint(2, order.value, WEIGHT_MAX);
    writer.name(order.issuedBy);
  });
  writer.list(body.answers, ANSWERS_MAX, (answer) => {
    writer.orderId(answer.id);
    writer.choice(CODES, answer.code);
    writer.text(answer.text, ANSWER_TEXT_BYTES_MAX);
  });
  writer.whole(body.report ?? "", REPORT_BYTES_MAX);
  return writer.at;
}

/** What every version of the protocol has at the beginning of its body, in this form: see `OtherVersion`. */
export type BodyBeginning = Pick<
  HeartbeatBody,
  "sender" | "intervalMs" | "state" | "binding" | "settingsVersion" | "servicesDigest" | "wallClockMs"
>;

/** The beginning of a body between `at` and `end`, whatever follows it; `undefined` if it is none. */
export function readBodyBeginning(bytes: Uint8Array, at: number, end: number): BodyBeginning | undefined {
  const reader = new Reader(bytes, at, end);
  const beginning = readBeginning(reader);
  return reader.failed || beginning.intervalMs < INTERVAL_MS_MIN ? undefined : beginning;
}

function readBeginning(reader: Reader): BodyBeginning {
  return {
    sender: reader.name(),
    intervalMs: reader.uint(2, INTERVAL_MS_MAX),
    state: reader.choice(STATES),
    binding: reader.uint(1, FLAG_BINDING) === FLAG_BINDING,
    settingsVersion: reader.uint(4),
    servicesDigest: reader.uint(4),
    wallClockMs: reader.uint(6),
  };
}

/** The body between `at` and `end`, or `undefined` if the bytes are anything but exactly one body. */
export function readBody(bytes: Uint8Array, at: number, end: number): HeartbeatBody | undefined {
  const reader = new Reader(bytes, at, end);
  const beginning = readBeginning(reader);
  const vipFramesSeen = reader.uint(6);
  const vipReach = { reached: reader.uint(4), unreached: reader.uint(4) };
  const holdMs = reader.uint(2, HOLD_MS_MAX);
  const weights = reader.list(TABLES_MAX, () => reader.weight());
  const heard = reader.list(MEMBERS_MAX, (): HeardMember => ({
    name: reader.name(),
    incarnation: reader.uint(6),
    settingsVersion: reader.uint(4),
    status: reader.choice(STATUSES),
    echo: reader.uint(4),
  }));
  const retained = reader.list(TABLES_MAX, (): Retained => ({
    table: reader.uint(1, SERVICES_MAX),
    bitmap: reader.bytes(RETAINED_BITMAP_BYTES),
  }));
  const holds = reader.list(MEMBERS_MAX, (): HeldNode => ({
    name: reader.name(),
    incarnation: reader.uint(6),
    leftMs: reader.uint(2, HOLD_MS_MAX),
  }));
  const orders = reader.list(ORDERS_MAX, () => ({
    id: reader.orderId(),
    target: reader.name(),
    verb: reader.known(VERBS),
    value: reader.uint(2, WEIGHT_MAX),
    issuedBy: reader.name(),
  }));
  const answers = reader.list(ANSWERS_MAX, (): Answer => ({
    id: reader.orderId(),
    code: reader.known(CODES) ?? "failed",
    text: reader.text(ANSWER_TEXT_BYTES_MAX),
  }));
  const report = reader.whole(REPORT_BYTES_MAX);
  // What a later version has appended here is not read.
  if (reader.failed || beginning.intervalMs < INTERVAL_MS_MIN) return undefined;
  return {
    ...beginning,
    weights,
    vipFramesSeen,
    vipReach,
    holdMs,
    heard,
    retained,
    holds,
    // One of a later version is for nodes that know it.
    orders: orders.filter((order): order is Order => order.verb !== undefined),
    answers,
    ...(report !== "" && { report }),
  };
}

/** Appends fields; refuses what a reader would refuse, so that a fault shows where it is made. */
class Writer {
  constructor(readonly out: Uint8Array, public at: number) {}

  uint(size: number, value: number, max: number): void {
    if (!(Number.isInteger(value) && value >= 0 && value <= max)) {
      this.#refuse(`a number must be an integer from 0 to ${max}`, String(value));
    }
    const start = this.#take(size);
    for (let i = size - 1; i >= 0; i--) {
      this.out[start + i] = value % 256;
      value = Math.floor(value / 256);
    }
  }

  bytes(value: Uint8Array, length: number): void {
    if (value.length !== length) this.#refuse(`${length} bytes are needed`, `${value.length} bytes`);
    this.out.set(value, this.#take(length));
  }

  name(value: string): void {
    if (!isNodeName(value)) this.#refuse("a name has 1 to 63 letters, digits, dots, hyphens", value);
    this.uint(1, value.length, NAME_LENGTH_MAX);
    writeName(value, this.out, this.#take(value.length));
  }

  text(value: string, max: number): void {
    let bytes = encoder.encode(value);
    // Cut between characters: bytes 10xxxxxx continue one.
    let length = Math.min(bytes.length, max);
    while (length < bytes.length && (bytes[length] & 0xc0) === 0x80) length--;
    bytes = bytes.subarray(0, length);
    this.uint(1, length, max);
    this.bytes(bytes, length);
  }

  /** Text that makes sense as a whole only. */
  whole(value: string, max: number): void {
    const bytes = encoder.encode(value);
    if (bytes.length > max) this.#refuse(`a text has at most ${max} bytes`, `${bytes.length} bytes`);
    this.uint(2, bytes.length, max);
    this.bytes(bytes, bytes.length);
  }

  orderId(value: string): void {
    if (!ORDER_ID.test(value)) this.#refuse("an order's id has 16 hexadecimal digits", value);
    for (let i = 0; i < 16; i += 2) this.uint(1, parseInt(value.slice(i, i + 2), 16), 255);
  }

  weight(value: number): void {
    if (!isWeight(value)) {
      this.#refuse(`a weight is an integer from 0 to ${WEIGHT_MAX}, or a last resort`, `${value}`);
    }
    this.uint(2, value, 0xffff);
  }

  choice<T>(choices: readonly T[], value: T): void {
    this.uint(1, choices.indexOf(value), choices.length - 1);
  }

  list<T>(values: readonly T[], max: number, write: (value: T) => void): void {
    if (values.length > max) this.#refuse(`a list has at most ${max} entries`, String(values.length));
    this.uint(1, values.length, max);
    for (const value of values) write(value);
  }

  /** Gives where bytes of this length are to be written. */
  #take(length: number): number {
    if (this.at + length > this.out.length) this.#refuse("the message is full", `${this.at} bytes`);
    this.at += length;
    return this.at - length;
  }

  #refuse(problem: string, value: string): never {
    throw new VipfarmError({ operation: "write heartbeat", problem, value });
  }
}

/** Takes fields off; after the first one that does not fit it gives zeros and remembers that it failed. */
class Reader {
  failed = false;
  constructor(readonly source: Uint8Array, public at: number, readonly end: number) {}

  uint(size: number, max = Infinity): number {
    const start = this.#take(size);
    if (this.failed) return 0;
    let value = 0;
    for (let i = 0; i < size; i++) value = value * 256 + this.source[start + i];
    return value > max ? this.#fail(0) : value;
  }

  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    return this.failed ? new Uint8Array(0) : this.source.slice(start, start + length);
  }

  name(): string {
    const length = this.uint(1, NAME_LENGTH_MAX);
    const start = this.#take(length);
    let name = "";
    for (let i = 0; i < length && !this.failed; i++) name += String.fromCharCode(this.source[start + i]);
    return isNodeName(name) ? name : this.#fail("");
  }

  text(max: number): string {
    return decoder.decode(this.bytes(this.uint(1, max)));
  }

  whole(max: number): string {
    return decoder.decode(this.bytes(this.uint(2, max)));
  }

  orderId(): string {
    let id = "";
    for (let i = 0; i < 8; i++) id += this.uint(1).toString(16).padStart(2, "0");
    return id;
  }

  weight(): number {
    const value = this.uint(2);
    return isWeight(value) ? value : this.#fail(0);
  }

  choice<T>(choices: readonly T[]): T {
    return choices[this.uint(1, choices.length - 1)];
  }

  /** One that this version may not know. */
  known<T>(choices: readonly T[]): T | undefined {
    return choices[this.uint(1, 255)];
  }

  list<T>(max: number, read: () => T): T[] {
    const count = this.uint(1, max);
    const values: T[] = [];
    for (let i = 0; i < count && !this.failed; i++) values.push(read());
    return values;
  }

  /** Gives where the next bytes of this length begin. */
  #take(length: number): number {
    if (this.failed || this.at + length > this.end) return this.#fail(this.at);
    this.at += length;
    return this.at - length;
  }

  #fail<T>(value: T): T {
    this.failed = true;
    return value;
  }
}

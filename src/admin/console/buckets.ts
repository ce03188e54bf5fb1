/** The 65,536 buckets of a service as the node tells them, and how they are drawn. Pure. */

import type { BucketsAnswer } from "../detail_schemas.ts";

export const BUCKETS = 65_536;
/** Edge of the picture: 256 × 256 buckets. */
export const SIDE = 256;
/** What `owners` says where nobody takes new flows. */
export const NOBODY = 255;
/** How long a bucket that changed hands stays marked: long enough to be seen. */
export const MOVED_SHOWN_MS = 4_000;

/** One answer, decoded. */
export interface BucketMap {
  readonly service: string | null;
  /** Whose bits `contested` and `retained` are. */
  readonly node: string;
  readonly names: readonly string[];
  readonly owners: Uint8Array;
  /** 1 where something is moving: changed hands just now, contested, or retained. */
  readonly moving: Uint8Array;
  /** Moment at which each bucket last changed hands, on the caller's clock; 0: not while we looked. */
  readonly changedMs: Float64Array;
  readonly contested: number;
  readonly retained: number;
  readonly awaited: number;
}

function decode(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/** Decodes an answer and compares it with the one before. */
export function decodeBuckets(
  answer: BucketsAnswer,
  before: BucketMap | undefined,
  nowMs: number,
): BucketMap {
  const owners = decode(answer.owners);
  const comparable = before !== undefined && before.service === answer.service;
  const changedMs = comparable ? before.changedMs.slice() : new Float64Array(BUCKETS);
  if (comparable) {
    // Names may come in another order: compare who, not which number.
    const same = before.names.map((name) => answer.nodes.indexOf(name));
    for (let b = 0; b < BUCKETS; b++) {
      const was = before.owners[b] === NOBODY ? NOBODY : same[before.owners[b]];
      if (was !== owners[b]) changedMs[b] = nowMs;
    }
  }
  const map = {
    service: answer.service,
    node: answer.node,
    names: answer.nodes,
    owners,
    moving: new Uint8Array(BUCKETS),
    changedMs,
    ...answer.counts,
  };
  for (const bitmap of [answer.contested, answer.retained]) {
    if (bitmap === null) continue;
    const bits = decode(bitmap);
    for (let b = 0; b < BUCKETS; b++) map.moving[b] |= (bits[b >> 3] >> (b & 7)) & 1;
  }
  return map;
}

/** Whether a bucket is to be drawn as moving. */
export function isMoving(map: BucketMap, bucket: number, nowMs: number): boolean {
  const changed = map.changedMs[bucket];
  return map.moving[bucket] === 1 || (changed > 0 && nowMs - changed < MOVED_SHOWN_MS);
}

/** How many buckets each node owns, and how many of them are moving; nobody's under null. */
export function tally(
  map: BucketMap,
  nowMs: number,
): Array<{ name: string | null; owned: number; moving: number }> {
  const owned = new Uint32Array(256);
  const moving = new Uint32Array(256);
  for (let b = 0; b < BUCKETS; b++) {
    owned[map.owners[b]]++;
    if (isMoving(map, b, nowMs)) moving[map.owners[b]]++;
  }
  const rows: Array<{ name: string | null; owned: number; moving: number }> = map.names.map((name, i) => ({
    name,
    owned: owned[i],
    moving: moving[i],
  }));
  if (owned[NOBODY] > 0) rows.push({ name: null, owned: owned[NOBODY], moving: moving[NOBODY] });
  return rows;
}

/** Which bucket stands at which place of the picture: by number, or each node's together, moving ones last. */
export function arrange(map: BucketMap, grouped: boolean, nowMs: number): Uint16Array {
  const places = Uint16Array.from({ length: BUCKETS }, (_, b) => b);
  if (!grouped) return places;
  // A counting sort by (owner, moving); nobody's come last.
  const key = (b: number) => map.owners[b] * 2 + (isMoving(map, b, nowMs) ? 1 : 0);
  const starts = new Uint32Array(513);
  for (let b = 0; b < BUCKETS; b++) starts[key(b) + 1]++;
  for (let i = 1; i < starts.length; i++) starts[i] += starts[i - 1];
  for (let b = 0; b < BUCKETS; b++) places[starts[key(b)]++] = b;
  return places;
}

/** Red, green and blue, 0 to 255. */
export type Rgb = readonly [number, number, number];

/** The picture's pixels: each bucket in its owner's colour, what moves in `movingColor` on every other pixel. */
export function paint(
  map: BucketMap,
  places: Uint16Array,
  color: (owner: number) => Rgb,
  movingColor: Rgb,
  nowMs: number,
): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint8ClampedArray(BUCKETS * 4);
  const palette = Array.from({ length: 256 }, (_, owner) => color(owner));
  for (let place = 0; place < BUCKETS; place++) {
    const bucket = places[place];
    // A chequered pattern tells also those who do not see the colour.
    const chequered = ((place ^ (place >> 8)) & 1) === 1 && isMoving(map, bucket, nowMs);
    const [red, green, blue] = chequered ? movingColor : palette[map.owners[bucket]];
    pixels[place * 4] = red;
    pixels[place * 4 + 1] = green;
    pixels[place * 4 + 2] = blue;
    pixels[place * 4 + 3] = 255;
  }
  return pixels;
}

/**
 * Keeps the store fresh: follows the node's live view, which tells the farm every second and at once when something
 * happens, and looks at the rest whenever it does. When the stream ends it begins anew, less and less often, and
 * the page says so.
 */

import type { BucketsAnswer, ChecksAnswer, HistoryAnswer } from "../detail_schemas.ts";
import type { FarmStatus } from "../schemas.ts";
import { follow, get, getIfChanged, Refusal } from "./api.ts";
import { decodeBuckets, MOVED_SHOWN_MS } from "./buckets.ts";
import { chosenService } from "./choice.ts";
import { joinHistory } from "./history.ts";
import { askForToken, me, type Principal, token, tokenWanted } from "./session.ts";
import * as store from "./store.ts";

/** Before the first new try; doubled with each further one. */
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 8_000;
/** How often ages and moving things are drawn anew. */
const TICK_MS = 250;
/** Events that the page keeps; as many as the node does. */
const EVENTS_MAX = 1_000;

let failures = 0;
let wake: () => void = () => {};
let looking = false;
let cursor = "";
let bucketTag = "";
let notes = 0;

/** Starts following; never ends. */
export function start(): void {
  setInterval(() => store.nowMs.value = performance.now(), TICK_MS);
  void followForEver();
}

/** Tries now in place of later. */
export function tryNow(): void {
  wake();
}

async function followForEver(): Promise<never> {
  while (true) {
    const used = token.peek();
    if (tokenWanted.peek() === undefined) await followOnce(used);
    if (token.peek() !== used && tokenWanted.peek() === undefined) continue; // somebody else signed in meanwhile
    // Signed out, nothing is asked until somebody signs in: wrong tokens are counted.
    const waitMs = tokenWanted.peek() === undefined ? retryMs() : undefined;
    store.nextTryMs.value = performance.now() + (waitMs ?? 0);
    await pause(waitMs);
  }
}

function retryMs(): number {
  const doubled = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** (failures - 1));
  return doubled * (0.75 + Math.random() / 2); // many pages must not ask a node that comes back all at once
}

/** Waits until the time is up, if there is one, or {@link tryNow} is called. */
function pause(ms: number | undefined): Promise<void> {
  return new Promise((resolve) => {
    const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

/** Follows the stream until it ends, for whatever reason, or another token is to be used. */
async function followOnce(used: string): Promise<void> {
  const stop = new AbortController();
  const unsubscribe = token.subscribe((now) => now !== used && stop.abort());
  try {
    me.value ??= await get<Principal>("/api/v1/whoami");
    for await (const { event, data, id } of follow(cursor, stop.signal)) {
      if (event === "farm") {
        takeFarm(data);
        void lookAside((error) => stop.abort(error));
      } else if (event === "missed") {
        note(`${JSON.parse(data).missed} earlier events are no longer kept by this node`);
      } else {
        takeEvent(data, id);
      }
    }
    lost("the node ended the connection");
  } catch (error) {
    if (token.peek() === used) failed(error);
  } finally {
    unsubscribe();
  }
}

function lost(why: string): void {
  failures++;
  store.problem.value = why;
}

/** A refusal for the token's sake asks for another; everything else is tried again. */
function failed(error: unknown): void {
  if (error instanceof Refusal && error.status === 401) {
    askForToken(token.peek() === "" ? "" : "This token is not known to the node.");
  } else if (error instanceof Refusal && error.code === "too_many_attempts") {
    askForToken("Too many wrong tokens came from this address. Wait a minute.");
  } else {
    lost(error instanceof Refusal ? error.message : "the node does not answer");
  }
}

function takeFarm(data: string): void {
  const farm: FarmStatus = JSON.parse(data);
  store.farm.value = farm;
  const chosen = chosenService(farm.services, store.bucketService.peek());
  if (chosen !== store.bucketService.peek()) showBucketsOf(chosen);
  store.nowMs.value = performance.now();
  store.answered.value = { atMs: performance.now(), date: new Date() };
  store.problem.value = "";
  failures = 0;
}

function takeEvent(data: string, id: string): void {
  const run = id.split("-")[0];
  if (cursor !== "" && run !== cursor.split("-")[0]) note("this node's daemon was restarted");
  cursor = id;
  add({ ...JSON.parse(data), key: id });
}

function add(event: store.LoggedEvent): void {
  store.events.value = [event, ...store.events.peek()].slice(0, EVENTS_MAX);
}

/** A line of our own in the log. */
function note(message: string): void {
  const key = `note-${++notes}`;
  add({ id: 0, at: new Date().toISOString(), severity: "info", kind: "console", message, key });
}

/** Looks at what the stream does not tell, one look at a time; `refuse` is called if the token is not good any more. */
async function lookAside(refuse: (error: Refusal) => void): Promise<void> {
  if (looking) return;
  looking = true;
  // A part that does not come any more must not look alive: it goes, and the rest stays.
  const look = (lookAt: () => Promise<void>, forget: () => void) =>
    lookAt().catch((error) => {
      if (error instanceof Refusal && error.status === 401) refuse(error);
      forget();
    });
  await Promise.all([
    look(lookAtHistory, () => store.history.value = undefined),
    look(lookAtChecks, () => store.checks.value = undefined),
    look(lookAtBuckets, forgetBuckets),
  ]);
  looking = false;
}

async function lookAtHistory(): Promise<void> {
  const last = store.history.peek()?.atMs.at(-1);
  const query = last === undefined ? "" : `?after=${last}`;
  store.history.value = joinHistory(
    store.history.peek(),
    await get<HistoryAnswer>(`/api/v1/history${query}`),
  );
}

async function lookAtChecks(): Promise<void> {
  store.checks.value = await get<ChecksAnswer>("/api/v1/checks");
}

async function lookAtBuckets(): Promise<void> {
  const service = store.bucketService.peek();
  const query = service === "" ? "" : `?service=${encodeURIComponent(service)}`;
  const answer = await getIfChanged<BucketsAnswer>(`/api/v1/buckets${query}`, bucketTag);
  const before = store.buckets.peek();
  const nowMs = performance.now();
  if (answer !== undefined) {
    bucketTag = answer.tag;
    store.buckets.value = decodeBuckets(answer.body, before, nowMs);
  } else if (before?.changedMs.some((at) => at > 0 && nowMs - at < 2 * MOVED_SHOWN_MS)) {
    store.buckets.value = { ...before }; // the marks of what moved fade
  }
}

function forgetBuckets(): void {
  store.buckets.value = undefined;
  bucketTag = "";
}

/** Shows another service's buckets from the next look on. */
export function showBucketsOf(service: string): void {
  store.bucketService.value = service;
  bucketTag = "";
}

/**
 * One worker in the place of another, so that nobody outside notices.
 *
 * Both have a packet ring, so every frame is captured twice for a moment; it must be decided once. Until the end of the
 * hand-over the new worker throws away what it captures. It rehearses with the state of the old one as it is then: code
 * that runs for the first time is slow, and no heartbeat goes out between 1 and 5. Then:
 *
 * 1. freeze: the old worker stops the protocol and says its state; its packet threads go on with claims that do not
 *    change any more, for as long as its lease holds. Its last heartbeat asks the others to hold its connections should
 *    they miss it: on a machine that is too busy all this takes longer than a lease. New flows are theirs then, and
 *    whichever worker goes on joins anew with the connections that its kernel has.
 * 2. takeOver: the new worker publishes the same claims and the same lease, and from here on lets frames wait.
 * 3. finish: the old worker chooses a moment, the cut. It decides the frames that were captured up to it, and no others.
 * 4. decideFrom: the new worker decides the frames that were captured after it, those that wait first.
 * 5. begin: once the packet threads of the old worker have ended, the new one takes part in the protocol. Not before: it
 *    may give buckets up by its first message, and then nobody may decide by claims of before.
 *
 * Until 3 the old worker goes on if a step takes too long. From there on there is no way back, and none of the steps is
 * waited for beyond its time: the new worker goes on whatever becomes of the old one.
 */
import { boottimeMs, realtimeMs } from "../../ffi/clock.ts";
import { VipfarmError } from "../core/errors.ts";
import { type WorkerProcess } from "./worker_process.ts";

/** A new program loads, compiles and sets up its rings within this, on a busy machine too. Nobody waits for it but the old one. */
const PREPARE_MS_MAX = 60_000;
/** The old worker says its state once beforehand, with all of its UDP flows. */
const SAVE_MS_MAX = 10_000;
/** Each step of the hand-over is a few messages between threads and processes. */
const STEP_MS_MAX = 1_000;
/** The old worker ends its connections to the admin endpoint. */
const END_MS_MAX = 5_000;

/**
 * Ends a worker whose successor is started later: no word to the others, which hear of it from the supervisor, and no
 * connection cut. One that does not follow is killed.
 */
export async function retireWorker(worker: WorkerProcess): Promise<void> {
  const stuck = setTimeout(() => worker.kill(), END_MS_MAX);
  try {
    await worker.snapshot("freeze", STEP_MS_MAX);
    worker.tell({ do: "finish" });
    await worker.said("stopped", STEP_MS_MAX);
  } catch {
    worker.kill();
  }
  await worker.ended;
  clearTimeout(stuck);
}

/** The moment up to which a worker decides frames; one that cannot say it any more is ended. */
async function cutOf(former: WorkerProcess): Promise<number> {
  try {
    return (await former.said("cut", STEP_MS_MAX)).cutUs;
  } catch {
    former.kill();
    await former.ended;
    return realtimeMs() * 1e3;
  }
}

/**
 * Replaces `former` by `next`; gives the time without heartbeats, in ms, and whether `former` had to be killed. `succeeded` is called when there is no way back:
 * from then on `next` is the worker, whose end is dealt with as any worker's.
 * @throws VipfarmError before that, also when `next` was called off; `former` goes on if it lives
 */
export async function replaceWorker(
  former: WorkerProcess,
  next: WorkerProcess,
  succeeded: () => void,
): Promise<{ pausedMs: number; wasKilled: boolean }> {
  await next.said("prepared", PREPARE_MS_MAX);
  next.tell({ do: "rehearse", snapshot: await former.snapshot("save", SAVE_MS_MAX) });
  await next.said("rehearsed", PREPARE_MS_MAX);
  const frozenMs = boottimeMs();
  try {
    next.tell({ do: "takeOver", snapshot: await former.snapshot("freeze", STEP_MS_MAX) });
    await next.said("tookOver", STEP_MS_MAX);
    if (next.calledOff !== undefined) {
      throw new VipfarmError({ operation: "replace the program", problem: next.calledOff });
    }
  } catch (error) {
    former.tell({ do: "thaw" });
    throw error;
  }
  succeeded();
  former.tell({ do: "finish" });
  next.tell({ do: "decideFrom", cutUs: await cutOf(former) });
  await former.said("stopped", STEP_MS_MAX).catch(() => {
    former.kill();
    return former.silent;
  });
  next.tell({ do: "begin" });
  const pausedMs = boottimeMs() - frozenMs;
  const stuck = setTimeout(() => former.kill(), END_MS_MAX);
  const { signal } = await former.ended;
  clearTimeout(stuck);
  next.tell({ do: "serve" });
  return { pausedMs, wasKilled: signal !== null };
}

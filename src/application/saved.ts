/** The machine as it stands in a file, for the next process of the same node. */
import { z } from "zod";
import { STATES } from "./states.ts";
import { type Machine } from "./types.ts";

const afterStop = z.union([
  z.object({ to: z.literal("stopped") }),
  z.object({ to: z.literal("failed"), reason: z.string() }),
  z.object({ to: z.literal("start"), atMs: z.number() }),
]);

const job = z.union([
  z.object({ kind: z.literal("drain"), then: z.enum(["stop", "restart"]), untilMs: z.number() }),
  z.object({ kind: z.literal("pause"), run: z.enum(["start", "restart"]), atMs: z.number() }),
  z.object({ kind: z.literal("scripts"), run: z.enum(["start", "restart"]), id: z.number() }),
  z.object({ kind: z.literal("scripts"), run: z.literal("stop"), id: z.number(), then: afterStop }),
]);

const saved = z.object({
  /** The process that this node's processes are started by. */
  supervisor: z.number(),
  /** When that one started: in a container every supervisor has the same number. */
  supervisorStart: z.string().optional(),
  /** Its end was no crash: another process goes on. */
  handed: z.boolean(),
  /** Times are of one boot. */
  boot: z.string(),
  machine: z.object({
    state: z.enum(STATES),
    sinceMs: z.number(),
    reason: z.string(),
    job: job.optional(),
    scriptsRun: z.number(),
    drained: z.boolean(),
    maintenance: z.boolean(),
    attempts: z.array(z.number()),
  }),
});

/** What is kept. */
export type Saved = z.infer<typeof saved>;

/** What was saved; undefined if it is nothing of ours. */
export function readSaved(value: unknown): Saved | undefined {
  return saved.safeParse(value).data;
}

/** Everything but what checks say: they are asked anew. */
export function toSave(machine: Machine): Saved["machine"] {
  const { services: _services, demand: _demand, attempts, ...rest } = machine;
  return { ...rest, attempts: [...attempts] };
}

/** The machine again. */
export function fromSaved(machine: Saved["machine"]): Machine {
  return { ...machine, services: {}, demand: { demand: "none", reason: "" } };
}

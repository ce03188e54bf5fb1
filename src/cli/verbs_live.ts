/** The verbs that ask or steer a running daemon: status, events, drain, resume, start, stop, restart, weight. */

import { type Command, Option } from "commander";
import type { EventListAnswer, ExplanationAnswer, FarmStatus, OrderAnswer } from "../admin/schemas.ts";
import { EXIT, VipfarmError } from "../core/errors.ts";
import { EVENTS_KEPT_MAX, WEIGHT_MAX } from "../core/limits.ts";
import { integerBetween, withRuntimeDir } from "./arguments.ts";
import { AdminClient, type ConnectionOptions } from "./client.ts";
import { type Paint, painter, renderEvent, renderStatus } from "./live_output.ts";
import { coloursWanted, writeAll } from "./output.ts";

/** How often `status --watch` asks. */
const WATCH_INTERVAL_MS = 1_000;
/** How long `events --follow` waits before it looks for a lost daemon again. */
const RECONNECT_MS = 1_000;

/** Where the verbs write and what ends those that go on. Tests pass their own. */
export interface LiveIo {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether `out` is a terminal: a watched table is then drawn in place. */
  readonly terminal: boolean;
  readonly colours: boolean;
  /** Runs `task` with a signal that is aborted when the user has seen enough (Ctrl-C). */
  readonly untilInterrupted: (task: (signal: AbortSignal) => Promise<void>) => Promise<void>;
}

/** The terminal of this process. */
export function processIo(): LiveIo {
  const terminal = Deno.stdout.isTerminal();
  const writer = (stream: typeof Deno.stdout | typeof Deno.stderr) => (text: string) => {
    // `vipfarm events --follow | head`: the reader has seen enough.
    if (!writeAll(stream, text)) Deno.exit(EXIT.done);
  };
  return {
    out: writer(Deno.stdout),
    err: writer(Deno.stderr),
    terminal,
    colours: coloursWanted(terminal),
    untilInterrupted: async (task) => {
      const interrupted = new AbortController();
      const stop = () => interrupted.abort();
      Deno.addSignalListener("SIGINT", stop);
      Deno.addSignalListener("SIGTERM", stop);
      try {
        await task(interrupted.signal);
      } finally {
        Deno.removeSignalListener("SIGINT", stop);
        Deno.removeSignalListener("SIGTERM", stop);
      }
    },
  };
}

/** Adds the verbs to the command line. Their failures are VipfarmErrors with an exit code. */
export function registerLiveVerbs(program: Command, io: LiveIo = processIo()): void {
  const paint = painter(io.colours);
  live(program.command("status"), "the farm as this node sees it")
    .option("--json", "print it for programs, as GET /api/v1/farm gives it")
    .option("--watch", "go on, and show changes")
    .action((options) =>
      withClient(
        options,
        (client) => options.watch ? watch(client, io, options) : status(client, io, options),
      )
    );
  live(program.command("events"), "what happened in the farm")
    .option("--follow", "go on with what happens")
    .option("--json", "print one JSON object a line")
    .addOption(
      new Option("--severity <SEVERITY>", "only this severe, or worse").choices(["info", "warning", "error"]),
    )
    .option("--kind <KIND>", "only this kind, or kinds that begin with it: member, member.dead")
    .option("--node <NAME>", "only what is about this node")
    .option("--limit <N>", "only the last N of those that are kept", integerBetween(1, EVENTS_KEPT_MAX))
    .action((options: LiveOptions & EventFilter) =>
      withClient(options, async (client) => {
        const print = eventPrinter(io, paint, options.json === true);
        if (options.follow) await follow(client, io, print, options);
        else await showEvents(client, io, print, options);
      })
    );
  const verbs = {
    drain: "take no new flows to a node until it is resumed, over restarts too; open connections stay",
    resume: "give a drained node its share again",
    start: "start the application on a node",
    stop: "stop the application on a node (the daemon itself: systemctl stop vipfarm)",
    restart: "restart the application on a node",
    reload: "let a node read its configuration again",
  };
  for (const [verb, description] of Object.entries(verbs)) {
    live(
      program.command(verb).argument("[NODE]", "name of the node; default: the one that is asked"),
      description,
    )
      .option("--force", "also if no node is left to serve new flows")
      .action((node: string | undefined, options) =>
        withClient(options, (client) => order(client, io, verb, node, options))
      );
  }
  live(
    program.command("weight").argument("<NODE>", "name of the node").argument(
      "<WEIGHT>",
      `0 to ${WEIGHT_MAX}`,
    ),
    "change the weight of a node until its next start, after which it is the file's again",
  )
    .option("--force", "also if no node is left to serve new flows")
    .action((node: string, weight: string, options) =>
      withClient(options, (client) => order(client, io, "weight", node, options, readWeight(weight)))
    );
}

/** Options of the live verbs, all together. */
interface LiveOptions extends ConnectionOptions {
  readonly json?: boolean;
  readonly watch?: boolean;
  readonly follow?: boolean;
  readonly force?: boolean;
}

function live(command: Command, description: string): Command {
  return withRuntimeDir(command.description(description))
    .option(
      "--admin <URL>",
      "admin endpoint of a daemon, in place of --runtime-dir; token in VIPFARM_TOKEN, an authority of your own in VIPFARM_CA",
    );
}

async function withClient(
  options: ConnectionOptions,
  task: (client: AdminClient) => Promise<void>,
): Promise<void> {
  const client = new AdminClient(options);
  try {
    await task(client);
  } finally {
    client.close();
  }
}

// ---- status ----

function readFarm(client: AdminClient): Promise<FarmStatus> {
  return client.get<FarmStatus>("read the farm's status", "/api/v1/farm");
}

async function status(client: AdminClient, io: LiveIo, options: LiveOptions): Promise<void> {
  const farm = await readFarm(client);
  io.out((options.json ? JSON.stringify(farm, null, 2) : renderStatus(farm, painter(io.colours))) + "\n");
}

/** Draws in place on a terminal; elsewhere prints each state that differs from the one before. */
async function watch(client: AdminClient, io: LiveIo, options: LiveOptions): Promise<void> {
  let farm = await readFarm(client); // a daemon that is not there at the start is an error
  let answeredMs = performance.now();
  let shown = "";
  await io.untilInterrupted(async (signal) => {
    if (io.terminal && !options.json) io.out("\x1b[2J");
    let lost: string | undefined;
    while (!signal.aborted) {
      const ageS = Math.round((performance.now() - answeredMs) / 1000);
      const text = watchText(farm, lost, ageS, io, options);
      if (text !== shown) io.out(io.terminal && !options.json ? inPlace(text) : `${text}\n`);
      shown = text;
      await pause(WATCH_INTERVAL_MS, signal);
      if (signal.aborted) break;
      try {
        farm = await readFarm(client);
        answeredMs = performance.now();
        lost = undefined;
      } catch (error) {
        if (!(error instanceof VipfarmError)) throw error;
        lost = error.problem;
      }
    }
  });
}

/** What is old is never shown as if it were fresh. */
function watchText(
  farm: FarmStatus,
  lost: string | undefined,
  ageS: number,
  io: LiveIo,
  options: LiveOptions,
): string {
  const paint = painter(io.colours);
  if (options.json) return JSON.stringify(lost === undefined ? farm : { lost });
  if (lost === undefined) return renderStatus(farm, paint);
  if (!io.terminal) return `connection lost: ${lost}`;
  const stale = renderStatus(farm, painter(false)).split("\n").map((line) => paint("dim", line)).join("\n");
  return `${paint("red", `connection lost: ${lost}; below is what it said ${ageS} s ago`)}\n${stale}`;
}

/** From the top left corner; every line and the screen are cleared to their end. */
function inPlace(text: string): string {
  return `\x1b[H${text.replaceAll("\n", "\x1b[K\n")}\x1b[K\n\x1b[J`;
}

/** Ends after `durationMs`, or at once when interrupted. */
async function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, durationMs);
  const stop = () => resolve();
  signal.addEventListener("abort", stop);
  if (signal.aborted) resolve();
  await promise;
  clearTimeout(timer);
  signal.removeEventListener("abort", stop);
}

// ---- events ----

interface EventPrinter {
  event(event: EventListAnswer["events"][number]): void;
  missed(count: number): void;
}

function eventPrinter(io: LiveIo, paint: Paint, json: boolean): EventPrinter {
  return {
    event: (event) => io.out((json ? JSON.stringify(event) : renderEvent(event, paint)) + "\n"),
    missed: (count) => io.err(`${count} events before this are no longer kept\n`),
  };
}

/** What of the options the API filters by. */
interface EventFilter {
  readonly severity?: string;
  readonly kind?: string;
  readonly node?: string;
  readonly limit?: number;
}

function eventQuery({ severity, kind, node, limit }: EventFilter): URLSearchParams {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries({ severity, kind, node, limit })) {
    if (value !== undefined) query.set(key, String(value));
  }
  return query;
}

/** Prints what is kept, and gives the cursor to go on from. */
async function listEvents(client: AdminClient, print: EventPrinter, filter: EventFilter): Promise<string> {
  const query = eventQuery(filter);
  const list = await client.get<EventListAnswer>("read events", `/api/v1/events?format=json&${query}`);
  if (list.missed > 0) print.missed(list.missed);
  for (const event of list.events) print.event(event);
  return list.cursor;
}

/** Prints what is kept, and says so if nothing of it was meant. */
async function showEvents(
  client: AdminClient,
  io: LiveIo,
  print: EventPrinter,
  filter: EventFilter,
): Promise<void> {
  let count = 0;
  await listEvents(client, {
    ...print,
    event: (event) => {
      count++;
      print.event(event);
    },
  }, filter);
  if (count > 0) return;
  const { severity, kind, node } = filter;
  const asked = Object.entries({ severity, kind, node }).flatMap(([key, value]) =>
    value === undefined ? [] : `--${key} ${value}`
  ).join(" ");
  io.err(`no event is kept${asked === "" ? "" : ` that fits ${asked}`}\n`);
  if (node === undefined) return;
  const names = (await readFarm(client)).members.map(({ name }) => name);
  if (!names.includes(node)) io.err(`the farm has no node ${node}; it has ${names.join(", ")}\n`);
}

/** Goes on over a restart of the daemon: what happens around one is what somebody who follows wants to see. */
async function follow(
  client: AdminClient,
  io: LiveIo,
  print: EventPrinter,
  { limit, ...filter }: EventFilter,
): Promise<void> {
  let cursor = await listEvents(client, print, { limit, ...filter }); // a daemon that is not there at the start is an error
  await io.untilInterrupted(async (signal) => {
    let lost = false;
    while (!signal.aborted) {
      try {
        for await (const item of client.events(cursor, signal, eventQuery(filter))) {
          if (item.kind === "open" && lost) io.err("connected again\n");
          lost = false;
          if (item.kind === "missed") print.missed(item.missed);
          if (item.kind === "event") {
            print.event(item.event);
            cursor = item.cursor;
          }
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof VipfarmError) || error.exitCode !== EXIT.unreachable) throw error;
      }
      if (signal.aborted) return;
      if (!lost) io.err("connection lost; waiting for the daemon\n");
      lost = true;
      await pause(RECONNECT_MS, signal);
    }
  });
}

// ---- actions ----

function readWeight(text: string): number {
  const weight = /^[0-9]{1,4}$/.test(text) ? Number(text) : NaN;
  if (weight <= WEIGHT_MAX) return weight;
  throw new VipfarmError({
    operation: "change weight",
    problem: `a weight is a whole number from 0 to ${WEIGHT_MAX}`,
    value: text,
    exitCode: EXIT.usage,
  });
}

async function order(
  client: AdminClient,
  io: LiveIo,
  verb: string,
  node: string | undefined,
  options: LiveOptions,
  weight?: number,
): Promise<void> {
  const name = node ?? (await readFarm(client)).node;
  const path = `/api/v1/nodes/${encodeURIComponent(name)}/${verb}${options.force ? "?force=true" : ""}`;
  const answer = weight === undefined
    ? await client.send<OrderAnswer>(`${verb} ${name}`, "POST", path)
    : await client.send<OrderAnswer>(`${verb} ${name} ${weight}`, "PUT", path, { weight });
  io.out(`${answer.message}\n`);
}

// ---- explain ----

/** What `explain` asks. */
export interface LiveQuestion {
  /** Address of the client, as text. */
  readonly client: string;
  readonly port?: number;
  readonly service?: string;
}

/**
 * Who serves this client now, as the running daemon sees it.
 * @throws VipfarmError if the daemon refuses the question, or cannot be reached.
 */
export function explainLive(daemon: AdminClient, question: LiveQuestion): Promise<ExplanationAnswer> {
  const query = new URLSearchParams({ client: question.client });
  if (question.port !== undefined) query.set("port", String(question.port));
  if (question.service !== undefined) query.set("service", question.service);
  return daemon.get<ExplanationAnswer>(`explain ${question.client}`, `/api/v1/explain?${query}`);
}

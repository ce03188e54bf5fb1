/** `vipfarm explain`: who answers a client, from the daemon or, without one, from the file. */
import { deriveKeys } from "../core/keys.ts";
import { EXIT, VipfarmError } from "../core/errors.ts";
import { type FarmConfig, formatProblem, loadConfig, type ServiceConfig, weightsOf } from "../config/load.ts";
import { readSecret } from "../config/secret.ts";
import { suggest } from "../config/suggest.ts";
import { formatPorts } from "../config/values.ts";
import type { ExplanationAnswer, FarmStatus } from "../admin/schemas.ts";
import { AFFINITY } from "../ownership/flow_hash.ts";
import { explainFlow } from "../ownership/explain.ts";
import { type ClientArgument } from "./arguments.ts";
import { type Output } from "./output.ts";
import { AdminClient } from "./client.ts";
import { explainLive } from "./verbs_live.ts";

export interface ExplainOptions {
  readonly config?: string;
  readonly service?: string;
  readonly runtimeDir: string;
  /** The user named the runtime directory, so the answer must come from there. */
  readonly runtimeDirIsGiven: boolean;
  readonly admin?: string;
  readonly offline?: true;
  readonly json?: true;
}

/** @returns the exit code: `EXIT.no` if nobody answers the client */
export async function explain(
  argument: ClientArgument,
  options: ExplainOptions,
  output: Output,
): Promise<number> {
  const mustAskDaemon = options.admin !== undefined || options.runtimeDirIsGiven ||
    options.config === undefined;
  if (options.offline && options.config === undefined) {
    throw new VipfarmError({
      operation: "explain",
      problem: "the offline answer comes from the configuration, and none was named",
      remedy: "Add -c FILE.",
      exitCode: EXIT.usage,
    });
  }
  const config = options.config === undefined ? undefined : await loaded(options.config, output);
  if (config && options.service !== undefined) serviceOf(config, options.service);

  let answers: ExplanationAnswer[] | undefined;
  if (!options.offline) answers = await askDaemon(argument, options, config, mustAskDaemon, output);
  if (!answers && config) answers = await fromFile(argument, options, config, output);
  const found = answers ?? [];
  if (options.json) output.answer(JSON.stringify(found.length === 1 ? found[0] : found, undefined, 2));
  else output.answer(found.map((answer) => format(answer, config)).join("\n"));
  return found.length > 0 && found.every(({ owner }) => owner !== null) ? EXIT.done : EXIT.no;
}

/** @returns `undefined` if the file has to answer, which is then said */
async function askDaemon(
  argument: ClientArgument,
  options: ExplainOptions,
  config: FarmConfig | undefined,
  mustAnswer: boolean,
  output: Output,
): Promise<ExplanationAnswer[] | undefined> {
  const daemon = new AdminClient({ runtimeDir: options.runtimeDir, admin: options.admin });
  try {
    const running = await daemon.get<FarmStatus>("explain", "/api/v1/farm");
    if (config && running.farm !== config.farm) {
      throw new VipfarmError({
        operation: "explain",
        problem: `the daemon here belongs to the farm ${running.farm}, the file to ${config.farm}`,
        exitCode: EXIT.unreachable,
      });
    }
    const named = running.services.filter(({ name }) => name === options.service);
    // The daemon refuses a name that it does not know.
    const services = options.service !== undefined && named.length === 0
      ? [{ name: options.service }]
      : answerable(argument, options.service === undefined ? running.services : named, output);
    const names: Array<string | undefined> = services.map(({ name }) => name);
    // A farm without services still decides, by the table of presence.
    if (names.length === 0) names.push(undefined);
    const answers: ExplanationAnswer[] = [];
    for (const service of names) {
      answers.push(await explainLive(daemon, { client: argument.client.text, port: argument.port, service }));
    }
    return answers;
  } catch (error) {
    const isOut = error instanceof VipfarmError &&
      (error.exitCode === EXIT.unreachable || error.exitCode === EXIT.privilege);
    if (mustAnswer || !isOut) throw error;
    output.note(`From the file, as if every node that it lists were alive: ${error.problem}.`);
    return undefined;
  } finally {
    daemon.close();
  }
}

/** The services that can be answered; which cannot, for want of the client's port, is said. */
function answerable<Service extends { readonly name: string; readonly affinity: string }>(
  { client, port }: ClientArgument,
  services: readonly Service[],
  output: Output,
): readonly Service[] {
  const open = services.filter(({ affinity }) => port === undefined && affinity === "connection");
  if (open.length === 0) return services;
  const names = open.map(({ name }) => name).join(", ");
  const problem = `${names}: the client's port decides (affinity connection), and none was given`;
  const remedy = `Ask for ADDRESS:PORT, such as ${formatClient(client.text, 51000)}.`;
  if (open.length < services.length) output.note(`${problem}. ${remedy}`);
  else throw new VipfarmError({ operation: "explain", problem, remedy, exitCode: EXIT.usage });
  return services.filter((service) => !open.includes(service));
}

async function fromFile(
  argument: ClientArgument,
  options: ExplainOptions,
  config: FarmConfig,
  output: Output,
): Promise<ExplanationAnswer[]> {
  const { client, port } = argument;
  const nodes = Object.keys(config.nodes);
  if (nodes.length === 0) {
    throw new VipfarmError({
      operation: "explain",
      problem: "the configuration lists no nodes, so only a daemon knows who is in the farm",
      value: options.config,
      remedy: "Ask on a node where the daemon runs, or list the nodes under `nodes`.",
    });
  }
  const { flowKey, rendezvousKey } = deriveKeys(await readSecret(config.secretFile), config.farm);
  const services = options.service === undefined ? config.services : [serviceOf(config, options.service)];
  const tables = answerable(argument, services, output).map((service) => ({
    name: service.name as string | null,
    affinity: service.affinity,
    grouped: service.flowTimeoutMs !== undefined,
    number: config.services.indexOf(service) + 1,
  }));
  // A farm without services still decides who answers pings and what no service covers: table 0, by client.
  if (tables.length === 0) tables.push({ name: null, affinity: "client", grouped: false, number: 0 });
  return tables.map(({ name: service, affinity, grouped, number }) => {
    const members = nodes.map((name) => ({ name, weight: weightsOf(config, name)[number] }));
    const question = { client, port, affinity: AFFINITY[affinity], grouped, flowKey, rendezvousKey };
    const { bucket, owner, runnerUp, scores, why } = explainFlow(question, members);
    return {
      client: client.text,
      ...(port !== undefined && { port }),
      service,
      affinity,
      bucket,
      owner: owner ?? null,
      runner_up: runnerUp ?? null,
      why,
      scores: [...scores],
    };
  });
}

async function loaded(path: string, output: Output): Promise<FarmConfig> {
  const { config, problems } = await loadConfig(path);
  for (const problem of problems) output.note(formatProblem(problem));
  if (config) return config;
  throw new VipfarmError({
    operation: "explain",
    problem: "the configuration is not valid",
    value: path,
    remedy: "The problems are listed above.",
  });
}

function serviceOf(config: FarmConfig, name: string): ServiceConfig {
  const service = config.services.find((each) => each.name === name);
  if (service) return service;
  const names = config.services.map((each) => each.name);
  const meant = suggest(name, names);
  throw new VipfarmError({
    operation: "explain",
    problem: "the farm has no such service",
    value: name,
    remedy: meant ? `Did you mean ${meant}?` : `It has ${names.join(", ") || "none"}.`,
    exitCode: EXIT.usage,
  });
}

function format(answer: ExplanationAnswer, config: FarmConfig | undefined): string {
  const { client, port, affinity, bucket, owner, runner_up, why } = answer;
  const service = config?.services.find(({ name }) => name === answer.service);
  const ports = service ? ` (${service.protocol} ${service.ports.map(formatPorts).join(", ")})` : "";
  return `client:    ${port === undefined ? client : formatClient(client, port)}
service:   ${answer.service === null ? "none" : `${answer.service}${ports}`}
affinity:  ${affinity}
bucket:    ${bucket}
owner:     ${owner ?? "none"}
runner-up: ${runner_up ?? "none"}
why:       ${why}
`;
}

function formatClient(client: string, port: number): string {
  return client.includes(":") ? `[${client}]:${port}` : `${client}:${port}`;
}

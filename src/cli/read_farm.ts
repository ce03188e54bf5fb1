/** The configuration for a verb: read, checked, and its problems told. */
import { checkAgainstHost } from "../config/host_check.ts";
import { hostInterfaces } from "../config/host_interfaces.ts";
import {
  type FarmConfig,
  formatProblem,
  hasErrors,
  loadConfig,
  type Problem,
  problemAt,
} from "../config/load.ts";
import { suggest } from "../config/suggest.ts";
import { checkApplicationHere } from "../host/application_check.ts";
import { checkFilesHere } from "../host/file_findings.ts";
import { type Output } from "./output.ts";

/**
 * Reads the file and checks it, against this host as `node` too. Every problem goes to stderr, a line each.
 * @param absent how bad a configured interface is that this host does not have; `not asked` leaves this host out
 * @returns `undefined` if there was an error
 */
export async function readFarm(
  path: string,
  node: string,
  output: Output,
  absent: Problem["severity"] | "not asked",
): Promise<FarmConfig | undefined> {
  const { config, placement, problems } = await loadConfig(path, absent === "error");
  const onHost = placement && absent !== "not asked"
    ? checkAgainstHost(config ?? placement, node, hostInterfaces(), absent)
    : [];
  const here = config && absent !== "not asked" ? await checkApplicationHere(config, absent) : [];
  // The daemon itself reads them, and says what is wrong with them.
  const files = config && absent === "warning" ? await checkFilesHere(config) : [];
  const all = [...problems, ...onHost, ...here, ...files].sort((a, b) =>
    a.line - b.line || a.column - b.column
  );
  for (const problem of all) output.note(formatProblem(problem));
  return hasErrors(all) ? undefined : config;
}

/** Warns of a node that the file does not list, if it lists any: it may join all the same. */
export function tellUnlisted(config: FarmConfig, node: string, output: Output): void {
  const names = Object.keys(config.nodes);
  if (names.length === 0 || names.includes(node)) return;
  const meant = suggest(node, names);
  output.note(formatProblem(problemAt(config, {
    path: ["nodes"],
    atKey: true,
    message: `no node ${node} is listed: it would have the weights of the services`,
    expected: `one of ${names.join(", ")}${meant === undefined ? "" : `; did you mean \`${meant}\`?`}`,
    severity: "warning",
  })));
}

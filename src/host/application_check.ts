/** Whether this host has what the sections `application` and `notify` name: scripts, the user, systemd. */
import { existsSync } from "node:fs";
import { type Command, SCRIPT_NAMES } from "../config/application_config.ts";
import { type FarmConfig, type Problem } from "../config/load.ts";
import { problemAt } from "../config/load.ts";
import { VipfarmError } from "../core/errors.ts";
import { userByName } from "./user.ts";

/** sd_booted(3): systemd is the init system if there is this directory. */
const SYSTEMD_DIRECTORY = "/run/systemd/system";

/**
 * What is missing, at its place in the file.
 * @param severity how bad it is: a warning for whoever checks the file elsewhere, an error for the node itself. Who
 * is told of what happens is never worth an error.
 */
export async function checkApplicationHere(
  config: FarmConfig,
  severity: Problem["severity"],
): Promise<Problem[]> {
  const { application, notify } = config;
  const problems: Problem[] = [];
  const report = (path: string[], message: string, expected: string, worst = severity) =>
    problems.push(problemAt(config, { path, message, expected, severity: worst }));
  const reportScript = (path: string[], command: Command | undefined, worst = severity) => {
    const problem = command && scriptProblem(command[0]);
    if (problem !== undefined) report(path, problem.message, problem.expected, worst);
  };
  for (const name of SCRIPT_NAMES) reportScript(["application", name], application?.scripts[name]);
  reportScript(["notify", "script"], notify?.script, "warning");
  reportScript(["notify", "mail", "sendmail"], notify?.mail && [notify.mail.sendmail], "warning");
  if (application?.systemdUnit !== undefined && !existsSync(SYSTEMD_DIRECTORY)) {
    report(
      ["application", "systemd_unit"],
      "systemd does not run on this host",
      "start, stop and restart scripts",
    );
  }
  if (application?.user !== undefined) {
    try {
      await userByName(application.user);
    } catch (error) {
      if (!(error instanceof VipfarmError)) throw error;
      report(["application", "user"], `this host has no user ${application.user}`, "a user of this host");
    }
  }
  return problems;
}

function scriptProblem(path: string): { message: string; expected: string } | undefined {
  const expected = "a program that may be executed";
  try {
    const { isFile, mode } = Deno.statSync(path);
    if (!isFile) return { message: `${path} is no file`, expected };
    // Whoever may execute it; root too needs one of the bits.
    return (mode ?? 0) & 0o111
      ? undefined
      : { message: `${path} is not executable`, expected: `${expected}: chmod +x` };
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) return undefined;
    return { message: `this host has no ${path}`, expected };
  }
}

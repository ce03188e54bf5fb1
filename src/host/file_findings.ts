/** Whether the daemon will be able to read the files that the configuration names, besides itself. */
import { existsSync } from "node:fs";
import { type FarmConfig, type Problem, problemAt } from "../config/load.ts";
import { readSecretFile } from "../config/secret_file.ts";
import { VipfarmError } from "../core/errors.ts";
import { type Finding } from "./finding.ts";

/** Whom the daemon runs as, if not as who asks. */
export interface Reader {
  readonly name: string;
  mayRead(path: string): Promise<boolean>;
}

type SecretFile = [key: string, path: string | undefined];

/** What the configuration names that only the daemon may read, beside the secret. */
function secretFiles({ admin: { tokensFile, tls }, notify }: FarmConfig): SecretFile[] {
  return [
    ["admin.tokens_file", tokensFile],
    ["admin.tls.key", tls?.keyFile],
    ["notify.webhook.token_file", notify?.webhook?.tokenFile],
  ];
}

/** Those that the daemon would refuse since others may read them. What is not here may be on the farm's hosts. */
export async function checkFilesHere(config: FarmConfig): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const [key, file] of secretFiles(config)) {
    if (file === undefined) continue;
    const open = await readSecretFile("read", file, key).then(() => undefined, (error) => error);
    if (!(open instanceof VipfarmError) || open.cause !== undefined) continue;
    problems.push(problemAt(config, {
      path: key.split("."),
      message: `\`${key}\`: ${open.problem} (${open.value})`,
      expected: `mode 0600: ${open.remedy}`,
    }));
  }
  return problems;
}

/** What speaks against each; where nothing does, one finding that is good. The secret itself is judged elsewhere. */
export async function fileFindings(config: FarmConfig, reader: Reader | undefined): Promise<Finding[]> {
  const files: Array<[...SecretFile, read?: (path: string) => Promise<unknown>]> = [
    ["secret_file", config.secretFile, () => Promise.resolve()],
    ...secretFiles(config),
    ["admin.tls.certificate", config.admin.tls?.certificateFile, Deno.readTextFile],
  ];
  const findings: Finding[] = [];
  for (const [key, path, read = (file: string) => readSecretFile("read", file, key)] of files) {
    if (path === undefined) continue;
    try {
      await read(path);
    } catch (error) {
      findings.push(cannotRead(key, path, error));
      continue;
    }
    if (reader !== undefined && existsSync(path) && !await reader.mayRead(path)) {
      findings.push({
        ok: false,
        what: `${key}: ${path} may not be read by ${reader.name}, which the service runs as`,
        remedy: `chown ${reader.name} ${path}; and ${reader.name} needs x on every directory above it.`,
      });
    } else if (key !== "secret_file") findings.push({ ok: true, what: `${key}: ${path} can be read` });
  }
  return findings;
}

/** Who only looks may have fewer rights than the daemon. */
function cannotRead(key: string, path: string, error: unknown): Finding {
  const { cause = error, remedy, message, problem = message } = error as Partial<VipfarmError> & Error;
  return {
    ok: cause instanceof Deno.errors.PermissionDenied ? "warning" : false,
    what: `${key}: ${path}: ${problem}`,
    remedy: remedy ?? `Check ${key} and the permissions of the file.`,
  };
}

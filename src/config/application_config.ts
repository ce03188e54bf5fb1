/** The sections about the node's application, as the rest of the program sees them, and how they are read. */
import { type z } from "zod";
import {
  type application,
  type notify,
  RECOVERY_DEFAULT,
  WEBHOOK_TIMEOUT_DEFAULT,
} from "./application_schema.ts";
import { read } from "./read_checked.ts";
import { parseDurationMs } from "./values.ts";

/** Program and arguments; the program's path is absolute, or relative to the working directory. */
export type Command = readonly [string, ...string[]];

export const SCRIPT_NAMES = ["prestart", "start", "stop", "poststop", "restart", "transition"] as const;
export type ScriptName = typeof SCRIPT_NAMES[number];

/** When restarting is given up, and how long it waits between two. */
export interface RecoveryConfig {
  readonly restarts: number;
  readonly withinMs: number;
  readonly backoffMs: number;
  readonly backoffMsMax: number;
}

export interface ApplicationConfig {
  readonly scripts: Readonly<Partial<Record<ScriptName, Command>>>;
  /** Does what `start`, `stop` and `restart` would. */
  readonly systemdUnit?: string;
  readonly user?: string;
  readonly timeoutMs: number;
  readonly recovery: RecoveryConfig;
}

export interface NotifyConfig {
  readonly script?: Command;
  readonly webhook?: { readonly url: string; readonly tokenFile?: string; readonly timeoutMs: number };
  readonly mail?: { readonly to: readonly string[]; readonly from?: string; readonly sendmail: string };
  readonly severity: "info" | "warning" | "error";
  /** Kinds of events, or their first words. */
  readonly events: readonly string[];
}

/** What tells an administrator of what happened to the farm, unless the file says otherwise. */
export const NOTIFIED_EVENTS: readonly string[] = [
  "state",
  "application",
  "member",
  "check",
  "rule",
  "program",
];

/** Without scripts there is no application to look after. `path` finds a file that is named beside the configuration. */
export function readApplication(
  content: z.output<typeof application> | undefined,
  path: (path: string) => string,
): ApplicationConfig | undefined {
  if (content === undefined || !(content.start || content.systemd_unit)) return undefined;
  const scripts: Partial<Record<ScriptName, Command>> = {};
  for (const name of SCRIPT_NAMES) {
    const script = content[name];
    if (script !== undefined) scripts[name] = command(script, path);
  }
  const { restarts, within, backoff, backoff_max } = content.recovery ?? RECOVERY_DEFAULT;
  return {
    scripts,
    ...(content.systemd_unit !== undefined && { systemdUnit: content.systemd_unit }),
    ...(content.user !== undefined && { user: content.user }),
    timeoutMs: duration(content.timeout),
    recovery: {
      restarts,
      withinMs: duration(within),
      backoffMs: duration(backoff),
      backoffMsMax: duration(backoff_max),
    },
  };
}

/** Who is told, if anybody. */
export function readNotify(
  content: z.output<typeof notify> | undefined,
  path: (path: string) => string,
): NotifyConfig | undefined {
  if (content === undefined) return undefined;
  const { script, webhook, mail, severity, events } = content;
  const hook = typeof webhook === "string" ? { url: webhook, timeout: WEBHOOK_TIMEOUT_DEFAULT } : webhook;
  return {
    ...(script !== undefined && { script: command(script, path) }),
    ...(hook !== undefined && {
      webhook: {
        url: hook.url,
        timeoutMs: duration(hook.timeout),
        ...(hook.token_file !== undefined && { tokenFile: path(hook.token_file) }),
      },
    }),
    ...(mail !== undefined && { mail: { ...mail, sendmail: path(mail.sendmail) } }),
    severity,
    events: events ?? NOTIFIED_EVENTS,
  };
}

function command(script: string | readonly [string, ...string[]], path: (path: string) => string): Command {
  const [file, ...args] = typeof script === "string" ? [script] : script;
  return [path(file), ...args];
}

function duration(text: string): number {
  return read(text, parseDurationMs);
}

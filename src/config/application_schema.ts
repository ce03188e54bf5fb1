/** The sections of the file about the node's application, who is told about it, and maintenance. */
import { z } from "zod";
import { between, choice, duration, expecting, filePath, name, section, someOf } from "./schema_values.ts";

/** Arguments of a script: a command line, not a data set. */
const ARGUMENTS_MAX = 64;
/** Recipients of mail: more are a mailing list's work. */
const RECIPIENTS_MAX = 16;
/** Restarts within a window: whoever wants more wants no limit, which is what a limit is against. */
const RESTARTS_MAX = 100;

/** systemd.unit(5): letters, digits and `:-_.\@`, with a suffix. */
const UNIT_PATTERN = /^[A-Za-z0-9:_.\\@-]{1,240}\.(service|target|scope|socket)$/;
/** Enough to keep a mistyped address, or an option of sendmail's, off the command line and the header. */
const MAIL_PATTERN = /^[^\s<>,;:@-][^\s<>,;:@]*(@[A-Za-z0-9.-]+)?$/;

const argument = () => z.string().max(4_095);

const script = (what: string) =>
  expecting(
    z.union([
      filePath(what),
      z.tuple([filePath(what)]).rest(argument()).refine((argv) => argv.length <= ARGUMENTS_MAX),
    ]),
    `the path of ${what}, or a list of the path and its arguments, such as [/usr/local/bin/web, start]`,
  );

export const RECOVERY_DEFAULT = { restarts: 3, within: "10m", backoff: "1s", backoff_max: "1m" } as const;
export const SCRIPT_TIMEOUT_DEFAULT = "30s";
export const SCRIPT_TIMEOUT_MS = { min: 100, max: 3_600_000 } as const;
export const RECOVERY_WITHIN_MS = { min: 1_000, max: 24 * 3_600_000 } as const;
export const BACKOFF_MS = { min: 0, max: 3_600_000 } as const;
export const STATE_DIR_DEFAULT = "/var/lib/vipfarm";
export const MAINTENANCE_FILE_DEFAULT = "/etc/vipfarm/maintenance";
export const WEBHOOK_TIMEOUT_DEFAULT = "5s";
export const WEBHOOK_TIMEOUT_MS = { min: 100, max: 60_000 } as const;

const recovery = section({
  restarts: expecting(
    z.int().min(0).max(RESTARTS_MAX),
    `a whole number from 0 (never restart) to ${RESTARTS_MAX}`,
  ).default(RECOVERY_DEFAULT.restarts).describe(
    "how often the application is restarted within the window below, before the node gives up and is `failed`",
  ),
  within: duration("10m").default(RECOVERY_DEFAULT.within).describe(
    `the window in which restarts are counted, ${between(RECOVERY_WITHIN_MS)}`,
  ),
  backoff: duration("1s").default(RECOVERY_DEFAULT.backoff).describe(
    `wait before the second restart in a row, ${
      between(BACKOFF_MS)
    }; it doubles with each one, and the first comes at once`,
  ),
  backoff_max: duration("1m").default(RECOVERY_DEFAULT.backoff_max).describe(
    `longest wait before a restart, ${between(BACKOFF_MS)}`,
  ),
});

export const application = section({
  prestart: script("the script").optional().describe("runs before `start`; if it fails, `start` is not run"),
  start: script("the script that starts the application").optional().describe(
    "starts the application and ends; it must also succeed if the application runs already",
  ),
  stop: script("the script that stops the application").optional().describe(
    "stops it; called with VIPFARM_STOP=graceful, and with VIPFARM_STOP=forced if that fails or takes too long",
  ),
  poststop: script("the script").optional().describe("runs after `stop`, whatever became of that"),
  restart: script("the script that restarts the application").optional().describe(
    "restarts it; default: stop, poststop, prestart, start",
  ),
  transition: script("the script").optional().describe(
    "runs at every change of the node's state, told by VIPFARM_STATE and VIPFARM_NEXT_STATE",
  ),
  systemd_unit: expecting(
    z.string().regex(UNIT_PATTERN),
    "the full name of a systemd unit, such as nginx.service",
  ).optional().describe("a systemd unit to start, stop and restart, in place of the scripts for that"),
  user: name().optional().describe("who runs the scripts; default: the daemon's user"),
  timeout: duration("30s").default(SCRIPT_TIMEOUT_DEFAULT).describe(
    `a script that takes longer is killed with its process group, and has failed; ${
      between(SCRIPT_TIMEOUT_MS)
    }`,
  ),
  recovery: recovery.optional().describe("what happens when the application fails"),
});

export const notify = section({
  script: script("the script").optional().describe(
    "runs for every notification, told by environment variables; one that takes longer than 30 s is killed",
  ),
  webhook: expecting(
    z.union([
      z.url({ protocol: /^https?$/ }).max(2_000),
      section({
        url: expecting(z.url({ protocol: /^https?$/ }).max(2_000), "an http or https URL").describe(
          "where to, by http or https",
        ),
        token_file: filePath("a file with a token").optional().describe(
          "sent as `Authorization: Bearer`; the file must not be readable by others",
        ),
        timeout: duration("5s").default(WEBHOOK_TIMEOUT_DEFAULT).describe(
          `longest wait for the answer, ${between(WEBHOOK_TIMEOUT_MS)}`,
        ),
      }),
    ]),
    "an http or https URL, or a mapping with url, token_file, timeout",
  ).optional().describe("gets every notification as JSON, by POST"),
  mail: section({
    to: someOf(
      expecting(z.string().max(254).regex(MAIL_PATTERN), "a mail address, such as admin@example.com"),
      RECIPIENTS_MAX,
      "mail addresses",
    ).describe("who gets it"),
    from: expecting(z.string().max(254).regex(MAIL_PATTERN), "a mail address, such as admin@example.com")
      .optional()
      .describe("default: whom sendmail takes it from"),
    sendmail: filePath("the sendmail program").default("/usr/sbin/sendmail").describe(
      "the host's sendmail; killed when it takes longer than 30 s",
    ),
  }).optional().describe("mail by the host's sendmail"),
  severity: choice(["info", "warning", "error"]).default("info").describe(
    "the least severe event that is worth a notification",
  ),
  events: someOf(
    expecting(
      z.string().regex(/^[a-z_]{1,32}(\.[a-z_]{1,32}){0,2}$/),
      "a kind of event or its first word, such as state.failed",
    ),
    32,
    "kinds of events",
  ).optional().describe(
    "kinds of events, or their first words; default: [state, application, member, check, rule, program]",
  ),
});

export const maintenanceFile = () =>
  expecting(
    z.union([z.literal(false), filePath("a file")]),
    "the path of a file, or false",
  ).default(MAINTENANCE_FILE_DEFAULT).describe(
    "while there is such a file the node drains; false looks for none",
  );

export const stateDir = () =>
  filePath("a directory").default(STATE_DIR_DEFAULT).describe(
    "where a node keeps what must survive a restart: that it was drained",
  );

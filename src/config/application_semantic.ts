/** What needs more than one value of the sections `application` and `notify` to judge. */
import {
  BACKOFF_MS,
  RECOVERY_WITHIN_MS,
  SCRIPT_TIMEOUT_MS,
  WEBHOOK_TIMEOUT_MS,
} from "./application_schema.ts";
import { EVENT_GROUPS, EVENT_KINDS } from "./event_kinds.ts";
import { formatValue, type Path, type Report } from "./problem.ts";
import { suggest } from "./suggest.ts";
import { checkDuration, items, keys, name, type ValidValues } from "./semantic_values.ts";

export function checkApplication(values: ValidValues, report: Report): void {
  const at = (key: string): Path => ["application", key];
  const present = new Set(keys(values, ["application"]));
  if (present.size === 0) checkNobodyIsAsked(values, report);
  const unit = present.has("systemd_unit");
  if (present.size > 0) {
    for (const key of ["start", "stop", "restart"]) {
      if (unit && present.has(key)) {
        report({
          path: at(key),
          atKey: true,
          message: `\`application.${key}\` stands beside \`application.systemd_unit\``,
          expected: "either scripts or a unit; prestart, poststop and transition may stand beside the unit",
        });
      } else if (!unit && key !== "restart" && !present.has(key)) {
        report({
          path: ["application"],
          message: `\`application.${key}\` is missing`,
          expected: "scripts that start and stop the application, or systemd_unit",
        });
      }
    }
  }
  checkDuration(values, report, at("timeout"), SCRIPT_TIMEOUT_MS.min, SCRIPT_TIMEOUT_MS.max);
  const recovery = (key: string): Path => ["application", "recovery", key];
  checkDuration(values, report, recovery("within"), RECOVERY_WITHIN_MS.min, RECOVERY_WITHIN_MS.max);
  for (const key of ["backoff", "backoff_max"]) {
    checkDuration(values, report, recovery(key), BACKOFF_MS.min, BACKOFF_MS.max);
  }
}

/** Notifications that would reach nobody, or be of nothing. */
export function checkNotify(values: ValidValues, report: Report): void {
  const present = keys(values, ["notify"]);
  const ways = ["script", "webhook", "mail"];
  if (present.length > 0 && !present.some((key) => ways.includes(key))) {
    report({
      path: ["notify"],
      atKey: true,
      message: "`notify` names nobody to tell",
      expected: "script, webhook or mail",
    });
  }
  checkDuration(
    values,
    report,
    ["notify", "webhook", "timeout"],
    WEBHOOK_TIMEOUT_MS.min,
    WEBHOOK_TIMEOUT_MS.max,
  );
  const known = [...EVENT_GROUPS, ...EVENT_KINDS];
  for (const path of items(values, ["notify", "events"])) {
    const kind = values.get(path);
    if (typeof kind !== "string" || known.includes(kind)) continue;
    const meant = suggest(kind, kind.includes(".") ? EVENT_KINDS : known);
    report({
      path,
      message: `${name(path)} is ${formatValue(kind)}, and there are no such events`,
      expected: meant === undefined
        ? `a kind of event, such as state.failed, or a first word of ${EVENT_GROUPS.join(", ")}`
        : `a kind of event or its first word; did you mean \`${meant}\`?`,
    });
  }
}

/** Checks and rules that ask for what nobody can do. */
function checkNobodyIsAsked(values: ValidValues, report: Report): void {
  const asking = [
    ...items(values, ["checks"]).map((path) => [...path, "on_failure"]),
    ...items(values, ["rules"]).map((path) => [...path, "do"]),
  ];
  for (const path of asking) {
    const action = values.get(path);
    if (action !== "restart" && action !== "stop") continue;
    report({
      path,
      message: `${name(path)} is ${action}, and there is no application to ${action}`,
      expected: "a section `application` with scripts or systemd_unit; without one: leave, fail or none",
    });
  }
}

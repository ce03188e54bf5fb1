/**
 * A SafeKit farm module's `userconfig.xml` as a vipfarm file: what has a counterpart is translated, and what has not is
 * told, line by line. Pure: the same input gives the same output.
 */
import { Document, isMap, isScalar } from "yaml";
import { EXIT, VipfarmError } from "../core/errors.ts";
import { type ImportNote, ImportNotes } from "./notes.ts";
import { importChecks, milliseconds, seconds } from "./safekit_checks.ts";
import { importVip } from "./safekit_services.ts";
import { commentsIn, elementsNamed, parseUserconfig, type XmlElement } from "./userconfig.ts";

/** What the file does not say. */
export interface ImportOptions {
  readonly farm: string;
  readonly interface: string;
  readonly secretFile: string;
  /** Directory of the module's scripts on the nodes. */
  readonly scripts: string;
}

export interface Imported {
  /** Text of the vipfarm file. */
  readonly yaml: string;
  readonly notes: readonly ImportNote[];
}

/** SafeKit waits this long for a script; vipfarm's own default is shorter. */
const SCRIPT_TIMEOUT = "300s";

/**
 * Translates the file.
 * @throws VipfarmError if it is no configuration of a farm module
 */
export function importSafekit(text: string, options: ImportOptions): Imported {
  const safe = parseUserconfig(text);
  const service = safe.children.find(({ name }) => name === "service");
  if (service?.attributes.mode !== "farm") {
    throw new VipfarmError({
      operation: "import SafeKit's userconfig.xml",
      problem: "it is not of a farm module",
      value: service === undefined ? "no <service>" : `mode ${service.attributes.mode}`,
      remedy: "vipfarm is for farms: a mirror module replicates files, which vipfarm does not.",
      exitCode: EXIT.no,
    });
  }
  const notes = new ImportNotes();
  const vip = importVip(service, notes);
  const application = importApplication(service, options, notes);
  const { checks, rules } = importChecks(service, application !== undefined, notes);
  const heartbeat = importHeartbeat(service, notes);
  for (const { name, line } of service.children) {
    if (KNOWN.has(name)) continue;
    notes.untranslated("farm", line, `<${name}> has no counterpart.`);
  }
  const file = {
    farm: options.farm,
    secret_file: options.secretFile,
    interface: options.interface,
    virtual_ips: vip.virtual_ips,
    services: vip.services,
    ...(heartbeat !== undefined && { heartbeat }),
    ...(Object.keys(vip.nodes).length > 0 && { nodes: vip.nodes }),
    ...(checks.length > 0 && { checks }),
    ...(rules.length > 0 && { rules }),
    ...(application !== undefined && { application }),
  };
  return { yaml: render(file, notes.all, commentsIn(safe)), notes: notes.all };
}

const KNOWN = new Set(["farm", "vip", "user", "check", "errd", "failover", "macro"]);

function importHeartbeat(service: XmlElement, notes: ImportNotes): { interval: string } | undefined {
  const farm = elementsNamed(service, "farm")[0];
  if (farm === undefined) return undefined;
  const { pulse, mlost_count: leader, slost_count: follower } = farm.attributes;
  if (leader !== undefined || follower !== undefined) {
    notes.changed(
      "heartbeat",
      farm.line,
      "mlost_count and slost_count: every node is suspected after 3 silent intervals and replaced after 5; a longer interval is more patient.",
    );
  }
  const networks = elementsNamed(farm, "lan").map(({ attributes }) => attributes.name);
  if (networks.length > 1) {
    notes.untranslated(
      "heartbeat",
      farm.line,
      `the networks ${networks.join(", ")}: name their interfaces under heartbeat.interfaces.`,
    );
  }
  return pulse === undefined ? undefined : { interval: milliseconds(pulse) };
}

/** Scripts, or the unit where farm.safe's list of services has one of them. */
function importApplication(
  service: XmlElement,
  options: ImportOptions,
  notes: ImportNotes,
): Record<string, unknown> | undefined {
  const user = elementsNamed(service, "user")[0];
  if (user === undefined) return undefined;
  const { maxloop, loop_interval: within } = service.attributes;
  const recovery = {
    ...(maxloop !== undefined && Number(maxloop) >= 0 && { restarts: Number(maxloop) }),
    ...(within !== undefined && { within: seconds(within) }),
  };
  const common = {
    timeout: seconds(user.attributes.nicestoptimeout ?? SCRIPT_TIMEOUT),
    ...(Object.keys(recovery).length > 0 && { recovery }),
  };
  const services = elementsNamed(user, "var").find(({ attributes }) => attributes.name === "SERVICES")
    ?.attributes.value?.split(",").map((each) => each.trim()).filter((each) => each !== "") ?? [];
  if (services.length === 1) {
    return { systemd_unit: `${services[0].replace(/\.service$/, "")}.service`, ...common };
  }
  if (services.length > 1) {
    notes.changed(
      "application",
      user.line,
      `the services ${
        services.join(", ")
      } are started by the module's scripts, which use SafeKit's commands: put them under one ` +
        "systemd target and name it as systemd_unit, or rewrite the scripts.",
    );
  }
  notes.changed(
    "application",
    user.line,
    "start_both and stop_both become start and stop. They are called without arguments: VIPFARM_STOP is graceful, then forced, " +
      "where stop_both got `force`. Add prestart, poststop and transition if the module has them, and take `safekit` commands out.",
  );
  for (const { attributes, line } of elementsNamed(user, "var")) {
    if (attributes.name === "SERVICES") continue;
    notes.untranslated(
      "application",
      line,
      `the variable ${attributes.name}=${attributes.value}: set it in the scripts.`,
    );
  }
  const directory = options.scripts.replace(/\/$/, "");
  return { start: `${directory}/start_both`, stop: `${directory}/stop_both`, ...common };
}

/** The file with every note, and the old file's own comments, where a reader of it looks. */
function render(file: object, notes: readonly ImportNote[], comments: readonly string[]): string {
  const document = new Document(file);
  const indent = (text: string) => text.split("\n").map((line) => ` ${line.trim()}`).join("\n");
  document.commentBefore = [
    " Imported from SafeKit's userconfig.xml. What is marked LINE stands on that line of it.",
    ...comments.map((comment) => indent(`Its comment: ${comment}`)),
  ].join("\n");
  if (isMap(document.contents)) {
    for (const { key } of document.contents.items) {
      const about = notes.filter(({ section }) => isScalar(key) && section === key.value);
      if (!isScalar(key) || about.length === 0) continue;
      key.commentBefore = about.map(({ line, text }) => indent(`LINE ${line}: ${text}`)).join("\n");
    }
  }
  const homeless = notes.filter(({ section }) => !(section in file));
  if (homeless.length > 0) {
    document.comment = homeless.map(({ line, section, text }) => indent(`${section}, LINE ${line}: ${text}`))
      .join("\n");
  }
  return document.toString({ lineWidth: 120 });
}

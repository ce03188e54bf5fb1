/** What the live verbs print: the farm as a table that is read at a glance, events and explanations as lines. */

import type { FarmStatus, MemberStatus, ServiceStatus } from "../admin/schemas.ts";
import { formatPorts } from "../config/values.ts";
import type { FarmEvent } from "../core/events.ts";

/** More services than this do not fit beside each other: their shares are in `--json` only. */
const SERVICE_COLUMNS_MAX = 4;

/** What a node holds is told in rounded numbers: less than this is no difference. */
const SHARE_DIFFERENCE = 0.001;

/** Wraps text in a colour, or leaves it as it is. */
export type Paint = (colour: Colour, text: string) => string;
export type Colour = "green" | "yellow" | "red" | "dim" | "bold";

const CODES: Record<Colour, string> = { green: "32", yellow: "33", red: "31", dim: "2", bold: "1" };

/** Gives text its colour, if there is a terminal that shows it. */
export function painter(colours: boolean): Paint {
  return colours ? (colour, text) => `\x1b[${CODES[colour]}m${text}\x1b[0m` : (_, text) => text;
}

/** Text from elsewhere, without what would steer the terminal. */
export function plain(text: string): string {
  // deno-lint-ignore no-control-regex -- control characters are what it is about
  return text.replace(/[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+/g, " ");
}

interface Cell {
  readonly text: string;
  readonly colour?: Colour;
}

const STATE_COLOUR: Record<MemberStatus["state"], Colour> = {
  up: "green",
  joining: "yellow",
  draining: "yellow",
  suspect: "yellow",
  leaving: "dim",
  silent: "red",
  dead: "red",
};

/** The whole status: a sentence, the nodes, the services. Ends without a line feed. */
export function renderStatus(farm: FarmStatus, paint: Paint): string {
  const bad = farm.members.some((member) => member.state === "dead" || member.state === "silent");
  const calm = farm.warnings.length === 0 && farm.members.every((member) => member.state === "up");
  const lines = [
    `${paint("bold", `farm ${plain(farm.farm)}`)} as ${plain(farm.node)} sees it ` +
    paint("dim", `(vipfarm ${plain(farm.version)})`),
    paint(bad ? "red" : calm ? "green" : "yellow", plain(farm.health)),
    ...farm.warnings.flatMap(({ message, remedy }) => [
      paint("yellow", `! ${plain(message)}`),
      paint("dim", `  ${plain(remedy)}`),
    ]),
    ...farm.members.flatMap((member) =>
      (member.checks_down ?? []).map(({ check, reason }) =>
        paint("yellow", `! ${plain(member.name)}: check ${plain(check)} is down: ${plain(reason)}`)
      )
    ),
    "",
    ...table(nodeRows(farm), paint),
  ];
  if (farm.services.length > 0) {
    lines.push("", ...table(serviceRows(farm.services), paint));
    if (!sameShares(farm) && farm.services.length > SERVICE_COLUMNS_MAX) {
      lines.push(
        paint("dim", `Shares of the first ${SERVICE_COLUMNS_MAX} services are shown; --json has all.`),
      );
    }
  }
  return lines.join("\n");
}

/** Whether one column of shares says it all. */
function sameShares(farm: FarmStatus): boolean {
  return farm.members.every((member) => {
    const shares = farm.services.map((service) => shareText(member, service.name));
    return shares.every((share) => share === shares[0]);
  });
}

/** Columns of what nodes report of themselves; those that nobody fills are left out. */
const TOLD: ReadonlyArray<{ title: string; of: (member: MemberStatus) => string | undefined }> = [
  { title: "APPLICATION", of: ({ application }) => application?.state },
  {
    title: "OPEN",
    of: ({ connections, retained }) =>
      connections === undefined ? undefined : `${connections}${retained ? ` (${retained} stay)` : ""}`,
  },
  { title: "NEW/S", of: ({ flows_per_s: flows }) => flows?.toFixed(flows < 10 ? 1 : 0) },
];

function nodeRows(farm: FarmStatus): Cell[][] {
  const columns = sameShares(farm)
    ? farm.services.slice(0, 1).map(({ name }) => ({ name, title: "SHARE" }))
    : farm.services.slice(0, SERVICE_COLUMNS_MAX).map(({ name }) => ({ name, title: plain(name) }));
  const told = TOLD.filter(({ of }) => farm.members.some((member) => of(member) !== undefined));
  const head = [
    ...["NODE", "STATE"],
    ...columns.map(({ title }) => title),
    "WEIGHT",
    ...told.map(({ title }) => title),
    ...["ADDRESS", "REASON"],
  ];
  const rows = farm.members.map((member): Cell[] => [
    { text: plain(member.name) + (member.self ? " *" : "") },
    { text: member.state, colour: STATE_COLOUR[member.state] },
    ...columns.map(({ name }): Cell => ({ text: shareText(member, name) })),
    { text: String(member.weight) },
    ...told.map(({ of }): Cell => ({ text: plain(of(member) ?? "-") })),
    { text: plain(member.address ?? "-"), colour: "dim" },
    { text: plain(member.reason) },
  ]);
  return [head.map((text): Cell => ({ text, colour: "dim" })), ...rows];
}

function shareText(member: MemberStatus, service: string): string {
  const wanted = percent(member.shares[service] ?? 0);
  const held = member.claimed?.[service];
  const same = held === undefined || Math.abs(held - (member.shares[service] ?? 0)) < SHARE_DIFFERENCE;
  return same ? wanted : `${wanted} (holds ${percent(held)})`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}

function serviceRows(services: readonly ServiceStatus[]): Cell[][] {
  const head = ["SERVICE", "PROTOCOL", "PORTS", "VIRTUAL IPS", "AFFINITY"];
  return [
    head.map((text): Cell => ({ text, colour: "dim" })),
    ...services.map((service) =>
      [
        plain(service.name),
        service.protocol,
        service.ports.map(formatPorts).join(", "),
        service.virtual_ips.map(plain).join(", "),
        service.affinity,
      ].map((text): Cell => ({ text }))
    ),
  ];
}

/** Lines with aligned columns; the last column is not padded. Colours do not count as width. */
function table(rows: readonly Cell[][], paint: Paint): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].text.length)));
  return rows.map((row) =>
    row.map(({ text, colour }, column) => {
      const padding = column === row.length - 1 ? "" : " ".repeat(widths[column] - text.length);
      return (colour === undefined ? text : paint(colour, text)) + padding;
    }).join("  ").trimEnd()
  );
}

/** One event as one line. */
export function renderEvent(event: FarmEvent, paint: Paint): string {
  const colour = event.severity === "error" ? "red" : event.severity === "warning" ? "yellow" : undefined;
  const message = plain(event.message);
  const at = localTime(new Date(event.at));
  return `${paint("dim", at)}  ${event.severity.padEnd(7)}  ${
    colour === undefined ? message : paint(colour, message)
  }  ${paint("dim", plain(event.kind))}`;
}

function localTime(date: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ` +
    `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

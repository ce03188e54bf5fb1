/** The nodes: how each stands and why, what is meant for it and what it does, and what can be asked of it. */

import type { MemberStatus } from "../schemas.ts";
import { wantAction } from "./action_dialog.tsx";
import { type Verb } from "./consequence.ts";
import { count, duration, percent, plural } from "./format.ts";
import { Icon, State } from "./icons.tsx";
import { type Measure } from "./history.ts";
import { colorOf } from "./palette.ts";
import { mayAct, mayAll } from "./session.ts";
import { Sparkline } from "./sparkline.tsx";
import { farm, fresh, history } from "./store.ts";

export function Nodes() {
  const { members } = farm.value!;
  return (
    <section class="panel" aria-labelledby="nodes-title">
      <h2 id="nodes-title">Nodes</h2>
      {!mayAct() && <p class="soft">Your token has the role monitor: it may look, and not act.</p>}
      <ul id="nodes">{members.map((member) => <Node key={member.name} member={member} />)}</ul>
    </section>
  );
}

function Node({ member }: { member: MemberStatus }) {
  const { name, state } = member;
  return (
    <li class="node" data-node={name} data-state={state}>
      <div class="who">
        <h3>
          <i class="swatch" style={{ backgroundColor: colorOf(name) }} />
          {name}
          {member.self ? <span class="tag">this node</span> : <span class="address">{member.address}</span>}
        </h3>
        <State state={state} />
        <p class="reason">{member.reason}</p>
      </div>
      <Share member={member} />
      <Rate member={member} measure="flows_per_s" label="New connections" />
      <Rate member={member} measure="packets_per_s" label="Packets" />
      <Facts member={member} />
      <Actions member={member} />
      <Draining member={member} />
    </li>
  );
}

/** What is meant for it (the mark) and what it holds (the bar): one line where all services agree. */
function Share({ member }: { member: MemberStatus }) {
  const services = Object.keys(member.shares);
  const key = (service: string) =>
    `${member.shares[service].toFixed(4)} ${member.claimed?.[service]?.toFixed(4)} ${
      member.weights[service]
    }`;
  const agree = services.every((service) => key(service) === key(services[0]));
  return (
    <div class="share">
      <span class="label">Share of new clients</span>
      {(agree ? services.slice(0, 1) : services).map((service) => (
        <ShareBar key={service} member={member} service={service} label={agree ? undefined : service} />
      ))}
    </div>
  );
}

function ShareBar({ member, service, label }: { member: MemberStatus; service: string; label?: string }) {
  const wanted = member.shares[service];
  const held = member.claimed?.[service];
  const weight = member.weights[service];
  const settled = held !== undefined && Math.abs(held - wanted) < 0.0005;
  if (member.state === "dead") return <b>0%</b>;
  const told = held === undefined
    ? `wants ${percent(wanted)}`
    : settled
    ? "holds it all"
    : `holds ${percent(held)}`;
  return (
    <div class="share-bar">
      <div>
        {label && <span class="service">{label}</span>}
        <b>{percent(wanted)}</b>{" "}
        <span class="soft">{wanted === 0 && settled ? "" : `${told}, `}weight {weight}</span>
      </div>
      <div class="track">
        <i style={{ width: `${100 * (held ?? 0)}%`, backgroundColor: colorOf(member.name) }} />
        <u style={{ left: `${100 * wanted}%` }} />
      </div>
    </div>
  );
}

function Rate(
  { member, measure, label }: { member: MemberStatus; measure: Measure & keyof MemberStatus; label: string },
) {
  const value = member[measure] as number | undefined;
  const gone = member.state === "dead";
  return (
    <div class="rate">
      <span class="label">{label}</span>
      <b>
        {value === undefined || gone ? "–" : `${count(value)}`}
        <small>{value === undefined || gone ? "" : "/s"}</small>
      </b>
      <Sparkline series={history.value?.nodes[member.name]?.[measure]} color={colorOf(member.name)} />
    </div>
  );
}

/** What is left to tell; a line is there only if it says something. */
function Facts({ member }: { member: MemberStatus }) {
  const own = farm.value!.members.find(({ self }) => self);
  const { application, checks_down: down = [], version, digest, lateness_ms: lateness } = member;
  return (
    <ul class="facts">
      {application && application.state !== "up" && application.state !== member.state && (
        <li>
          application <State state={application.state} />
        </li>
      )}
      {application && application.state !== "up" && <li>{application.reason}</li>}
      {member.connections !== undefined && member.state !== "dead" && (
        <li class="connections">{plural(member.connections, "open connection")}</li>
      )}
      {down.map(({ check, reason }) => (
        <li key={check} class="bad">
          <Icon shape="cross" />
          {check}: {reason}
        </li>
      ))}
      {(member.last_resort ?? []).length > 0 && (
        <li class="warn">
          <Icon shape="triangle" />last resort for {member.last_resort!.join(", ")}
        </li>
      )}
      {lateness !== undefined && member.state !== "dead" && (
        <li class={lateness > 20 ? "warn" : "soft"}>heartbeats {duration(lateness)} late</li>
      )}
      {member.last_heard_ms !== undefined && member.last_heard_ms > 1_000 && (
        <li class="warn">
          <Icon shape="triangle" />last heard {duration(member.last_heard_ms)} ago
        </li>
      )}
      {version !== undefined && version !== farm.value!.version && (
        <li class="warn">
          <Icon shape="triangle" />version {version}
        </li>
      )}
      {digest !== undefined && own?.digest !== undefined && digest !== own.digest && (
        <li class="warn">
          <Icon shape="triangle" />its configuration differs
        </li>
      )}
    </ul>
  );
}

/** The way out of the farm: connections that are left, going down. */
function Draining({ member }: { member: MemberStatus }) {
  const left = member.retained ?? 0;
  if (member.state !== "draining" && left === 0) return null;
  const series = history.value?.nodes[member.name]?.retained;
  const most = Math.max(left, ...(series ?? []).map((value) => value ?? 0));
  return (
    <p class="draining">
      <State
        state="draining"
        text={left === 0 ? "Nothing is left on it." : `${plural(left, "open connection")} left`}
      />
      {most > 0 && (
        <>
          <progress
            max={most}
            value={most - left}
            aria-label={`Connections of ${member.name} that have ended`}
          />
          <span class="soft">
            {left === 0
              ? `${count(most)} stayed when their buckets moved, and have ended`
              : `of ${count(most)} that stayed when their buckets moved`}
          </span>
        </>
      )}
    </p>
  );
}

/** Beside drain and resume. */
interface Action {
  readonly verb: Verb;
  readonly text: string;
  readonly forApplication?: true;
  readonly forAdmin?: true;
}

const MORE: readonly Action[] = [
  { verb: "weight", text: "Change weight" },
  { verb: "reload", text: "Reload configuration", forAdmin: true },
  { verb: "restart", text: "Restart application", forApplication: true },
  { verb: "stop", text: "Stop application", forApplication: true },
  { verb: "start", text: "Start application", forApplication: true },
];

function Actions({ member }: { member: MemberStatus }) {
  if (member.state === "dead") {
    return <p class="actions soft small">Start vipfarm there; nothing can be asked of it.</p>;
  }
  const disabled = !fresh.value || !mayAct();
  const { name } = member;
  const first: Verb = member.state === "draining" || member.weight === 0 ? "resume" : "drain";
  const more = MORE.filter(({ forAdmin }) => !forAdmin || mayAll());
  const hasNone = member.application?.configured === false;
  return (
    <div class="actions">
      <button type="button" disabled={disabled} onClick={() => wantAction(name, first)}>
        {first === "drain" ? "Drain" : "Resume"}
        <span class="hidden">{name}</span>
      </button>
      <select
        aria-label={`More actions on ${name}`}
        disabled={disabled}
        value=""
        onChange={(event) => {
          wantAction(name, event.currentTarget.value as Verb);
          event.currentTarget.value = "";
        }}
      >
        <option value="">More</option>
        {more.map(({ verb, text, forApplication }) => {
          const impossible = forApplication && hasNone;
          return (
            <option key={verb} value={verb} disabled={impossible}>
              {text}
              {impossible ? " (none is configured)" : "…"}
            </option>
          );
        })}
      </select>
    </div>
  );
}

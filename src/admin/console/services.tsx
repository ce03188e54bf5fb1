/** What the farm serves and where, and the networks that its heartbeats use. */

import { duration, portsText } from "./format.ts";
import { Icon } from "./icons.tsx";
import { percent } from "./format.ts";
import { colorOf } from "./palette.ts";
import { farm } from "./store.ts";

export function Services() {
  const { services, virtual_ips: addresses, members } = farm.value!;
  return (
    <section class="panel" aria-labelledby="services-title">
      <h2 id="services-title">Services</h2>
      <div class="scroll" tabindex={0} role="group" aria-label="Table of services">
        <table>
          <thead>
            <tr>
              <th scope="col">Service</th>
              <th scope="col">Where</th>
              <th scope="col">Affinity</th>
              <th scope="col">Served by</th>
            </tr>
          </thead>
          <tbody>
            {services.map((service) => (
              <tr key={service.name}>
                <th scope="row">{service.name}</th>
                <td>
                  {service.protocol} {portsText(service.ports)}
                  <div class="soft small">{service.virtual_ips.join(", ")}</div>
                </td>
                <td>{service.affinity}</td>
                <td>
                  <ul class="stacked thin">
                    {members.filter((member) => member.shares[service.name] > 0).map((member) => (
                      <li
                        key={member.name}
                        title={`${member.name} ${percent(member.shares[service.name])}`}
                        style={{
                          flexGrow: String(member.shares[service.name]),
                          backgroundColor: colorOf(member.name),
                        }}
                      >
                        <span class="hidden">{member.name} {percent(member.shares[service.name])}</span>
                      </li>
                    ))}
                  </ul>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <h3>Virtual IPs</h3>
      <ul class="plain">
        {addresses.map(({ address, mode, mac, interface: name }) => (
          <li key={address}>
            {address} <span class="soft">{mode}, {mac} on {name}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Age from which a heartbeat network counts as lost to a member; the node itself tells to within a second. */
const HEARD_LATE_MS = 3_000;

export function HeartbeatNetworks() {
  const networks = farm.value!.heartbeat_networks;
  return (
    <section class="panel" aria-labelledby="networks-title">
      <h2 id="networks-title">Heartbeat networks</h2>
      <ul class="plain networks">
        {networks.map(({ network, sending, members }) => (
          <li key={network}>
            <b>{network}</b>
            <span class={sending ? "state good" : "state bad"}>
              <Icon shape={sending ? "disc" : "cross"} />
              {sending ? "sending" : "cannot send"}
            </span>
            {members.map(({ name, last_heard_ms: age }) => {
              const late = age === null || age > HEARD_LATE_MS;
              return (
                <span key={name} class={late ? "state warn" : "soft"}>
                  {late && <Icon shape="triangle" />}
                  {name} {age === null ? "never heard" : late ? `heard ${duration(age)} ago` : "heard"}
                </span>
              );
            })}
          </li>
        ))}
      </ul>
    </section>
  );
}

import assert from "node:assert/strict";
import { parseConfig } from "../../../src/config/load.ts";
import { needsRestart, Reloader } from "../../../src/control/reload.ts";

const FILE = `
farm: web
secret_file: secret
interface: eth0
virtual_ips: [{ address: 192.0.2.100 }]
services:
  - { name: http, protocol: tcp, ports: [80], weight: 100 }
nodes: { n1: { weight: 100 }, n2: { interface: ens3 } }
admin: { listen: "127.0.0.1:9010" }
`;

function config(change: (text: string) => string = (text) => text) {
  const { config, problems } = parseConfig(change(FILE), "farm.yaml");
  assert.ok(config, JSON.stringify(problems));
  return config;
}

Deno.test("weights, new nodes and drain_on_stop are taken up without a restart", () => {
  const changes = [
    (text: string) =>
      text.replace("n1: { weight: 100 }", "n1: { weight: 7, services: { http: { weight: 9 } } }, n3: {}"),
    (text: string) => text.replace("ports: [80], weight: 100", "ports: [80], weight: 50"),
    (text: string) => `${text}drain_on_stop: 5s\n`,
  ];
  for (const change of changes) assert.deepEqual(needsRestart(config(), config(change)), []);
});

Deno.test("everything else needs a restart, and is named as in the file", () => {
  const changes: Array<[string, string, string]> = [
    ["farm", "farm: web", "farm: other"],
    ["secret_file", "secret_file: secret", "secret_file: other"],
    ["virtual_ips", "192.0.2.100 }", "192.0.2.100, mode: unicast }"],
    ["services", "ports: [80]", "ports: [80, 81]"],
    ["nodes", "interface: ens3", "interface: ens4"],
    ["admin", "9010", "9011"],
    ["uncovered", "admin:", "uncovered: owner\nadmin:"],
    ["heartbeat", "admin:", "heartbeat: { interval: 50ms }\nadmin:"],
  ];
  for (const [key, from, to] of changes) {
    assert.deepEqual(needsRestart(config(), config((text) => text.replace(from, to))), [key]);
  }
});

Deno.test("a file that cannot be read again is a refusal, and the next reload runs", async () => {
  const told: string[] = [];
  const next = config((text) => text.replace("n1: { weight: 100 }", "n1: { weight: 7 }"));
  let isReadable = false;
  const reloader = new Reloader(config(), {
    reread: () => isReadable ? Promise.resolve(next) : Promise.reject(new Error("too many open files")),
    takers: [],
    record: ({ kind, message }) => told.push(`${kind}: ${message}`),
  });
  assert.deepEqual(await reloader.reload(), { code: "refused", text: "too many open files" });
  assert.deepEqual(told, ["config.not_reloaded: The configuration stays as it was: too many open files."]);
  assert.equal(reloader.refused?.text, "too many open files");
  isReadable = true;
  assert.equal((await reloader.reload()).code, "done");
  assert.equal(reloader.refused, undefined);
  assert.equal(reloader.config, next);
});

Deno.test("catching up with a process before: the file is taken up if it is another one, and not told of if not", async () => {
  const told: string[] = [];
  let file = config();
  const reloader = new Reloader(config(), {
    reread: () => Promise.resolve(file),
    takers: [],
    record: ({ message }) => told.push(message),
  });
  await reloader.catchUp();
  assert.deepEqual(told, []);
  file = config((text) => text.replace("n1: { weight: 100 }", "n1: { weight: 40 }"));
  await reloader.catchUp();
  assert.deepEqual(told, ["The configuration was read again; changed: nodes.n1.weight."]);
  assert.equal(reloader.config, file);
  // The nodes need not agree on this one, so it is not in the file's digest.
  file = config((text) =>
    `${text.replace("n1: { weight: 100 }", "n1: { weight: 40 }")}maintenance_file: other\n`
  );
  await reloader.catchUp();
  assert.equal(told.at(-1), "The configuration was read again; changed: maintenance_file.");
});

Deno.test("all or nothing: who could not take all of a file is given the former one again", async () => {
  const before = config(), next = config((text) => `${text}drain_on_stop: 5s\n`);
  const taken: string[] = [];
  const taker = (name: string, refuses: (given: unknown) => boolean) => (given: typeof before) => {
    taken.push(`${name} ${given === before ? "before" : "next"}`);
    if (refuses(given)) throw new Error(`${name} cannot`);
  };
  const reloader = (refuses: (given: unknown) => boolean) =>
    new Reloader(before, {
      reread: () => Promise.resolve(next),
      takers: [taker("a", () => false), taker("b", refuses), taker("c", () => false)],
      record: () => {},
    });
  assert.deepEqual(await reloader((given) => given === next).reload(), { code: "refused", text: "b cannot" });
  assert.deepEqual(taken, ["a next", "b next", "a before", "b before"]);
  assert.deepEqual(await reloader(() => true).reload(), {
    code: "refused",
    text: "b cannot; the former configuration was not taken up again: b cannot",
  });
});

/**
 * The examples of config/examples with the real applications, each on one node: it is started and serves, is started
 * again when it is killed, and is stopped with the node. Only places are replaced: addresses, ports and paths.
 */
import assert from "node:assert/strict";
import { Lab } from "../../src/lab/lab.ts";
import { type LabNode } from "../../src/lab/node.ts";
import { eventOf, PATIENCE_MS, runs, SCRIPTS } from "./application_support.ts";
import { farmUnavailable } from "./farm_support.ts";

const EXAMPLES = new URL("../../config/examples/", import.meta.url);

/** How to run one example here. */
interface Rehearsal {
  readonly example: string;
  /** Files without which it cannot be run. */
  readonly needs: readonly string[];
  /** Makes the application's files in this folder, and gives what stands in the place of what in the example. */
  prepare(directory: string): Promise<Record<string, string>>;
  readonly pidFile: string;
  /** What a client runs, and what it has to print. */
  client(address: string): string[];
  readonly says: RegExp;
}

const curl =
  (port: number) => (address: string) => ["curl", "-s", "-m", "5", `http://${address}:${port}/health`];

const REHEARSALS: readonly Rehearsal[] = [
  {
    example: "nginx.yaml",
    needs: ["/usr/sbin/nginx"],
    async prepare(directory) {
      await Deno.writeTextFile(
        `${directory}/nginx.conf`,
        `pid ${directory}/pid;\nerror_log stderr;\nevents {}\nhttp { access_log off; server { listen 80; return 200 "nginx\\n"; } }\n`,
      );
      return { "/etc/nginx/nginx.conf": `${directory}/nginx.conf`, "/run/nginx.pid": `${directory}/pid` };
    },
    pidFile: "pid",
    client: curl(80),
    says: /^nginx$/,
  },
  {
    example: "apache.yaml",
    needs: ["/usr/sbin/apache2", "/usr/lib/apache2/modules/mod_mpm_event.so"],
    async prepare(directory) {
      const module = (name: string) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`;
      await Deno.writeTextFile(`${directory}/health`, "apache\n");
      await Deno.writeTextFile(
        `${directory}/apache2.conf`,
        `ServerName localhost
ServerRoot ${directory}
PidFile ${directory}/pid
DefaultRuntimeDir ${directory}
Mutex file:${directory}
ErrorLog ${directory}/log
${module("mpm_event")}
${module("authz_core")}
User www-data
Group www-data
Listen 80
DocumentRoot ${directory}
`,
      );
      return {
        "/etc/apache2/apache2.conf": `${directory}/apache2.conf`,
        "/run/apache2/apache2.pid": `${directory}/pid`,
      };
    },
    pidFile: "pid",
    client: curl(80),
    says: /^apache$/,
  },
  {
    example: "java-service.yaml",
    needs: ["/usr/bin/java"],
    async prepare(directory) {
      await Deno.writeTextFile(
        `${directory}/Orders.java`,
        `import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;

class Orders {
  public static void main(String[] arguments) throws Exception {
    HttpServer server = HttpServer.create(new InetSocketAddress(8080), 0);
    server.createContext("/health", exchange -> {
      byte[] up = "{\\"status\\":\\"UP\\"}".getBytes();
      exchange.sendResponseHeaders(200, up.length);
      exchange.getResponseBody().write(up);
      exchange.close();
    });
    server.start();
  }
}
`,
      );
      return {
        "/run/orders/orders.pid": `${directory}/pid`,
        "/var/log/orders/orders.log": `${directory}/log`,
        "-jar,\n    /opt/orders/orders.jar": `${directory}/Orders.java`,
        "user: orders": "user: nobody",
      };
    },
    pidFile: "pid",
    client: curl(8080),
    says: /^{"status":"UP"}$/,
  },
  {
    example: "postgresql-replica.yaml",
    needs: ["/usr/bin/psql", "/usr/lib/postgresql"],
    async prepare(directory) {
      const data = `${directory}/data`;
      const script = `PATH=$(echo /usr/lib/postgresql/*/bin):$PATH initdb --auth=trust --no-sync ${data} &&
        echo "host all all all trust" >> ${data}/pg_hba.conf &&
        echo "listen_addresses = '*'
              unix_socket_directories = '${directory}'
              fsync = off" >> ${data}/postgresql.conf`;
      const made = await new Deno.Command("runuser", { args: ["-u", "postgres", "--", "sh", "-c", script] })
        .output();
      assert.ok(made.success, new TextDecoder().decode(made.stderr));
      return { "/var/lib/postgresql/15/main": data };
    },
    pidFile: "data/postmaster.pid",
    client: (address) => ["psql", "-h", address, "-U", "postgres", "-Atc", "select 6 * 7"],
    says: /^42$/,
  },
];

const OWNERS: Record<string, string> = {
  "java-service.yaml": "nobody",
  "postgresql-replica.yaml": "postgres",
};

function missing(needs: readonly string[]): string | undefined {
  return needs.find((path) => {
    try {
      Deno.statSync(path);
      return false;
    } catch {
      return true;
    }
  });
}

/** The example with the lab's places. */
async function exampleText(lab: Lab, name: string, replacements: Record<string, string>): Promise<string> {
  let text = await Deno.readTextFile(new URL(name, EXAMPLES));
  const places = {
    "/etc/vipfarm/secret": `${lab.directory}/secret`,
    "/etc/vipfarm/scripts": SCRIPTS,
    "192.0.2.100": lab.virtualIps.ipv4[0],
    ...replacements,
  };
  for (const [place, here] of Object.entries(places)) {
    assert.ok(text.includes(place), `${name} has ${place}`);
    text = text.replaceAll(place, here);
  }
  return `${text}state_dir: state\n`;
}

async function answers(lab: Lab, argv: string[], says: RegExp): Promise<void> {
  await lab.waitFor(
    async () => says.test((await lab.exec("c1", argv)).stdout.trim()),
    PATIENCE_MS,
    `an answer to ${argv.join(" ")}`,
  );
}

async function rehearse(lab: Lab, node: LabNode, directory: string, rehearsal: Rehearsal): Promise<void> {
  const { example, pidFile, client, says } = rehearsal;
  const [vip] = lab.virtualIps.ipv4;
  const configText = await exampleText(lab, example, await rehearsal.prepare(directory));
  const pid = () => parseInt(Deno.readTextFileSync(`${directory}/${pidFile}`));
  await lab.startNode(node.name, { configText });
  await answers(lab, client(vip), says);
  const first = pid();
  const killedMs = Date.now();
  Deno.kill(first, "SIGKILL");
  await eventOf(lab, node, "state.starting", killedMs);
  await eventOf(lab, node, "state.up", killedMs);
  await answers(lab, client(vip), says);
  const second = pid();
  assert.notEqual(second, first);
  await node.stopDaemon(PATIENCE_MS);
  assert.equal(runs(second), false);
}

Deno.test({
  name: "the examples, with the applications that are installed",
  ignore: farmUnavailable !== undefined,
}, async (t) => {
  await using lab = await Lab.create({ nodes: 1 });
  const [node] = lab.nodes;
  for (const rehearsal of REHEARSALS) {
    const { example, needs } = rehearsal;
    const absent = missing(needs);
    if (absent !== undefined) console.log(`skipped: ${example}, since ${absent} is not installed`);
    await t.step({
      name: example,
      ignore: absent !== undefined,
      fn: async () => {
        // Not in the lab's folder: the application's user has to reach it.
        const directory = await Deno.makeTempDir();
        try {
          const owner = OWNERS[example];
          if (owner === undefined) await Deno.chmod(directory, 0o755);
          else await new Deno.Command("chown", { args: [owner, directory] }).output();
          await rehearse(lab, node, directory, rehearsal);
        } catch (error) {
          console.log(`log of ${node.name}:\n${await node.log()}`);
          throw error;
        } finally {
          await node.killDaemon();
          await Deno.remove(directory, { recursive: true });
        }
      },
    });
  }
});

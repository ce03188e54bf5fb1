/** The command line as a process, in a directory with a farm. */
export const TOP = new URL("../../../", import.meta.url);
export const MAIN = new URL("src/main.ts", TOP).pathname;

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface RunOptions {
  readonly env?: Record<string, string>;
  readonly permissions?: string[];
}

/** Runs `vipfarm ARGS` in a directory, with nobody at the terminal. */
export async function vipfarm(cwd: string, args: string[], options: RunOptions = {}): Promise<Result> {
  const { env = {}, permissions = ["-A"] } = options;
  const config = new URL("deno.json", TOP).pathname;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--config", config, ...permissions, MAIN, ...args],
    cwd,
    env: { VIPFARM_NODE: "", ...env },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

// An interface that no host has, so that the outcome does not depend on the networks of this one.
export const FARM = `farm: web
secret_file: secret
interface: no-such-if0
virtual_ips: [{ address: 192.0.2.100 }]
services: [{ name: http, ports: [80, 443] }, { name: dns, ports: [53], protocol: udp, affinity: client, weight: 7 }]
nodes: { n1: {}, n2: { weight: 300 }, n3: {} }
`;

/** Runs the test in a directory with a valid farm.yaml and a fixed secret. */
export async function withFarm(test: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${directory}/farm.yaml`, FARM);
    const secret = Uint8Array.from({ length: 48 }, (_, index) => index * 5);
    await Deno.writeTextFile(`${directory}/secret`, secret.toBase64(), { mode: 0o600 });
    await test(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

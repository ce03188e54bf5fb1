/** Network namespaces for the tests of `ffi/`: made by the test, gone after it, also when it fails. */

import { withNetworkNamespace } from "../../ffi/namespace.ts";

/** Why these tests cannot run here, or `undefined`. */
export const missingPrivilege: string | undefined = Deno.uid() === 0
  ? undefined
  : "needs root for network namespaces";

/** Runs a command and returns what it printed. Throws with its error output when it fails. */
export function run(command: string, ...args: string[]): string {
  const { success, stdout, stderr } = new Deno.Command(command, { args }).outputSync();
  if (!success) throw new Error(`${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
  return new TextDecoder().decode(stdout);
}

/** One namespace of a test. */
export class Namespace {
  readonly name: string;

  constructor(label: string) {
    this.name = `vft-${label}-${crypto.randomUUID().slice(0, 8)}`;
    run("ip", "netns", "add", this.name);
    this.ip("link", "set", "lo", "up");
  }

  get path(): string {
    return `/run/netns/${this.name}`;
  }

  /** Runs `ip` inside. */
  ip(...args: string[]): string {
    return run("ip", "-n", this.name, ...args);
  }

  /** Runs synchronous code with this thread inside. */
  within<Result>(work: () => Result): Result {
    return withNetworkNamespace(this.path, work);
  }

  /** Sets a sysctl given as a path below `/proc/sys/net`. */
  sysctl(path: string, value: string): void {
    this.within(() => Deno.writeTextFileSync(`/proc/sys/net/${path}`, value));
  }

  /** Starts a program of Deno inside, given as its text; the program is ended by `[Symbol.asyncDispose]`. */
  script(text: string): Script {
    const args = ["netns", "exec", this.name, Deno.execPath(), "eval", "--no-config", text];
    return new Script(
      new Deno.Command("ip", { args, stdin: "piped", stdout: "piped", stderr: "inherit" }).spawn(),
    );
  }

  [Symbol.dispose](): void {
    run("ip", "netns", "delete", this.name);
  }
}

/** A running program whose output lines are its answers. */
export class Script {
  readonly #process: Deno.ChildProcess;
  readonly #reader: ReadableStreamDefaultReader<string>;
  #rest = "";

  constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** The next line that the program prints. */
  async line(): Promise<string> {
    while (!this.#rest.includes("\n")) {
      const { value, done } = await this.#reader.read();
      if (done) throw new Error(`the program ended; it printed: ${this.#rest}`);
      this.#rest += value;
    }
    const end = this.#rest.indexOf("\n");
    const line = this.#rest.slice(0, end);
    this.#rest = this.#rest.slice(end + 1);
    return line;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stdin.close().catch(() => {});
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#reader.cancel();
    await this.#process.status;
  }
}

/** Two namespaces joined by a veth pair: `va` at 10.77.0.1 and fd77::1, `vb` at 10.77.0.2 and fd77::2. */
export class Pair {
  readonly a: Namespace;
  readonly b: Namespace;

  constructor() {
    this.a = new Namespace("a");
    try {
      this.b = new Namespace("b");
    } catch (error) {
      this.a[Symbol.dispose]();
      throw error;
    }
    try {
      this.a.ip("link", "add", "va", "type", "veth", "peer", "name", "vb", "netns", this.b.name);
      for (const [namespace, device, number] of [[this.a, "va", 1], [this.b, "vb", 2]] as const) {
        namespace.ip("address", "add", `10.77.0.${number}/24`, "dev", device);
        namespace.ip("address", "add", `fd77::${number}/64`, "dev", device, "nodad");
        namespace.ip("link", "set", device, "up");
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.a[Symbol.dispose]();
    this.b[Symbol.dispose]();
  }
}

/** `vipfarm invite` and `vipfarm join`: the farm's file and secret, safely to the next node. */
import { dirname, resolve } from "node:path";
import { parseConfig } from "../config/load.ts";
import { judgeSecret, readSecret } from "../config/secret.ts";
import { EXIT, VipfarmError } from "../core/errors.ts";
import { exists, writeConfig, writeSecret } from "./farm_files.ts";
import { charactersOf, newPassphrase, open, PASSPHRASE_CHARS_MIN, seal, unwrap } from "./invitation.ts";
import { type Output } from "./output.ts";
import { canAsk, withPerson } from "./questions.ts";
import { readFarm } from "./read_farm.ts";
import { readText } from "./read_text.ts";

export interface InviteOptions {
  readonly config: string;
  readonly passphraseFile?: string;
}

export interface JoinOptions {
  readonly output: string;
  readonly passphraseFile?: string;
  /** Where the secret may go, if that is not beside the configuration. */
  readonly secretFile?: string;
  readonly force?: true;
  readonly node: string;
}

/** Prints the invitation to stdout, and to stderr a new passphrase, unless there is a file with one. Gives the exit code. */
export async function invite(
  { config: path, passphraseFile }: InviteOptions,
  output: Output,
): Promise<number> {
  const config = await readFarm(path, "", output, "not asked");
  if (config === undefined) return EXIT.no;
  const passphrase = passphraseFile === undefined ? newPassphrase() : await readPassphrase(
    passphraseFile,
    "leave --passphrase-file out: a good one is made then",
    output,
  );
  const secret = await readSecret(config.secretFile);
  output.answer(seal(
    { farm: config.farm, config: await Deno.readTextFile(path), secret: secret.toBase64() },
    passphrase,
  ));
  if (passphraseFile === undefined) {
    output.note(
      `Passphrase: ${passphrase}\nSend it another way than the text above. On the other node: vipfarm join`,
    );
  }
  return EXIT.done;
}

/** Writes file and secret of an invitation, from a file or stdin. Gives the exit code. */
export async function join(file: string | undefined, options: JoinOptions, output: Output): Promise<number> {
  const text = file === undefined ? await pastedText(output) : await readText("read invitation", file);
  unwrap(text); // nobody is asked for the passphrase of what cannot be opened
  const { farm, config, secret } = open(text, await passphraseOf(options, output));
  const { output: path, force = false, node } = options;
  const bytes = secretIn(secret);
  const secretPath = parseConfig(config, path).config?.secretFile;
  if (secretPath === undefined) {
    throw new VipfarmError({
      operation: "join the farm",
      problem: "the file in the invitation cannot be read by this version",
      remedy: "Install the version that the other nodes run.",
    });
  }
  refuseOtherPlace(secretPath, path, options.secretFile);
  output.note(`The configuration goes to ${path}, the secret to ${secretPath}.`);
  const writes = [
    { path, text: config, write: writeConfig },
    { path: secretPath, text: `${bytes.toBase64()}\n`, write: writeSecret },
  ];
  // All or nothing: what is in the way is named before anything is written.
  const pending: typeof writes = [];
  for (const each of writes) {
    if (!await exists(each.path)) pending.push(each);
    else if ((await readText("join the farm", each.path)).trim() === each.text.trim()) continue;
    else if (force) pending.push(each);
    else {
      throw new VipfarmError({
        operation: "join the farm",
        problem: "there is another file of that name",
        value: each.path,
        remedy: "Move it away, or replace it with --force.",
      });
    }
  }
  for (const { path, text, write } of pending) await write(path, text, force);
  output.note(`${path} and ${secretPath} are those of the farm ${farm}.`);
  const read = await readFarm(path, node, output, "warning");
  output.note(
    `Next:\n  1. vipfarm preflight -c ${path}\n` +
      `  2. vipfarm run -c ${path}, or as a service: systemctl enable --now vipfarm`,
  );
  return read === undefined ? EXIT.no : EXIT.done;
}

/** What comes from elsewhere is written only when it is what it says. */
function secretIn(text: string): Uint8Array {
  const { secret, problem } = judgeSecret(text, "its secret", "ask for another invitation");
  if (secret !== undefined) return secret;
  throw new VipfarmError({
    operation: "read invitation",
    problem: problem.message,
    remedy: `Expected ${problem.expected}.`,
  });
}

/** The text says where the secret goes, and root may be reading it: anywhere else than expected is asked for. */
function refuseOtherPlace(secretPath: string, path: string, allowed: string | undefined): void {
  const isBeside = dirname(resolve(secretPath)) === dirname(resolve(path));
  if (isBeside || (allowed !== undefined && resolve(allowed) === resolve(secretPath))) return;
  throw new VipfarmError({
    operation: "join the farm",
    problem: `the configuration wants the secret elsewhere than beside itself, where ${path} goes`,
    value: secretPath,
    remedy: `If that is right, say so: --secret-file ${secretPath}`,
  });
}

/** @param otherwise what else can be done about one that is too short */
async function readPassphrase(file: string, otherwise: string, output: Output): Promise<string> {
  const passphrase = await readText("read passphrase", file);
  if (((await Deno.stat(file)).mode ?? 0) & 0o077) {
    output.note(`warning: others may read the passphrase in ${file}: chmod 600 ${file}`);
  }
  const { length } = charactersOf(passphrase);
  if (length >= PASSPHRASE_CHARS_MIN) return passphrase;
  throw new VipfarmError({
    operation: "read passphrase",
    problem: `it has ${length} character${length === 1 ? "" : "s"}, without blanks and hyphens`,
    value: file,
    remedy: `A passphrase has ${PASSPHRASE_CHARS_MIN} or more: take another, or ${otherwise}.`,
  });
}

async function passphraseOf({ passphraseFile }: JoinOptions, output: Output): Promise<string> {
  if (passphraseFile !== undefined) {
    return await readPassphrase(passphraseFile, "leave --passphrase-file out: it is asked for then", output);
  }
  if (canAsk()) return await withPerson((ask) => ask("Passphrase"));
  throw new VipfarmError({
    operation: "read passphrase",
    problem: "nobody is there to ask",
    remedy: "Give it in a file: --passphrase-file FILE.",
    exitCode: EXIT.usage,
  });
}

/** On a terminal the text is pasted; it ends with its last line, so that no Ctrl-D is needed. */
async function pastedText(output: Output): Promise<string> {
  if (!canAsk()) return await new Response(Deno.stdin.readable).text();
  output.note("Paste the text that `vipfarm invite` printed:");
  return await withPerson(async (ask) => {
    const lines: string[] = [];
    while (!/^[\s>]*-----END /.test(lines.at(-1) ?? "")) lines.push(await ask(""));
    return lines.join("\n");
  });
}

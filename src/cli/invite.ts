/** `vipfarm invite` and `vipfarm join`: the farm's file and secret, safely to the next node. */
import { parseConfig } from "../config/load.ts";
import { readSecret } from "../config/secret.ts";
import { EXIT, VipfarmError } from "../core/errors.ts";
import { exists, writeConfig, writeSecret } from "./farm_files.ts";
import { newPassphrase, open, PASSPHRASE_CHARS_MIN, seal } from "./invitation.ts";
import { type Output } from "./output.ts";
import { canAsk, withPerson } from "./questions.ts";
import { readFarm } from "./read_farm.ts";

export interface InviteOptions {
  readonly config: string;
  readonly passphraseFile?: string;
}

export interface JoinOptions {
  readonly output: string;
  readonly passphraseFile?: string;
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
  const passphrase = passphraseFile === undefined ? newPassphrase() : await readPassphrase(passphraseFile);
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
  const text = file === undefined ? await pastedText(output) : await Deno.readTextFile(file);
  const { farm, config, secret } = open(text, await passphraseOf(options));
  const { output: path, force = false, node } = options;
  const secretPath = parseConfig(config, path).config?.secretFile;
  if (secretPath === undefined) {
    throw new VipfarmError({
      operation: "join the farm",
      problem: "the file in the invitation cannot be read by this version",
      remedy: "Install the version that the other nodes run.",
    });
  }
  const writes = [
    { path, text: config, write: writeConfig },
    { path: secretPath, text: `${secret}\n`, write: writeSecret },
  ];
  // All or nothing: what is in the way is named before anything is written.
  const pending: typeof writes = [];
  for (const each of writes) {
    if (!await exists(each.path)) pending.push(each);
    else if ((await Deno.readTextFile(each.path)).trim() === each.text.trim()) continue;
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

async function readPassphrase(file: string): Promise<string> {
  const passphrase = (await Deno.readTextFile(file)).trim();
  if (passphrase.length >= PASSPHRASE_CHARS_MIN) return passphrase;
  throw new VipfarmError({
    operation: "read passphrase",
    problem: `it has ${passphrase.length} characters`,
    value: file,
    remedy:
      `Choose one of ${PASSPHRASE_CHARS_MIN} or more, or leave --passphrase-file out: a good one is made then.`,
  });
}

async function passphraseOf({ passphraseFile }: JoinOptions): Promise<string> {
  if (passphraseFile !== undefined) return await readPassphrase(passphraseFile);
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

/** `vipfarm token`: a new token for the admin endpoint. The file keeps its hash; the token itself is shown once. */
import { createHash, randomBytes } from "node:crypto";
import { type Role, ROLES } from "../admin/roles.ts";
import { tokenLines, TokenStore } from "../admin/tokens.ts";
import { EXIT, VipfarmError } from "../core/errors.ts";
import { NAME_LENGTH_MAX } from "../core/limits.ts";
import { daemonUser, exists } from "./farm_files.ts";
import { writeNewFile } from "./new_file.ts";
import { type Output } from "./output.ts";
import { readText } from "./read_text.ts";

/** As hard to guess as the farm's keys. */
const TOKEN_BYTES = 32;

export interface TokenOptions {
  readonly role: string;
  /** The tokens file; without it the line is shown. */
  readonly output?: string;
}

/** Makes a token, and adds it to the tokens file. */
export async function token(name: string, options: TokenOptions, output: Output): Promise<void> {
  const role = ROLES.find((known): known is Role => known === options.role)!;
  if (!/^\S+$/.test(name) || name.startsWith("#") || name.length > NAME_LENGTH_MAX) {
    throw new VipfarmError({
      operation: "make a token",
      problem: `a name has 1 to ${NAME_LENGTH_MAX} characters, none of them a space`,
      value: JSON.stringify(name.slice(0, 100)),
      exitCode: EXIT.usage,
    });
  }
  const secret = randomBytes(TOKEN_BYTES).toString("base64url");
  const line = `${role} ${name} ${createHash("sha256").update(secret).digest("hex")}\n`;
  if (options.output === undefined) {
    output.note(`Add this line to the tokens file of every node:\n${line.trimEnd()}\nThe token:`);
  } else {
    await addLine(options.output, name, line);
    output.note(
      `Added ${name} (${role}) to ${options.output}; a daemon that uses the file takes it up within seconds. ` +
        "Copy the file to every node. The token, which nobody can show again:",
    );
  }
  output.answer(secret);
}

/**
 * Puts the file with the new line in the place of the old one at once: a daemon may be reading it. It stays readable for
 * whom it was; a new one is the daemon's.
 */
async function addLine(file: string, name: string, line: string): Promise<void> {
  const old = await exists(file) ? await Deno.stat(file) : undefined;
  const before = old === undefined ? "" : await readText("make a token", file);
  refuseSecond(file, before, name);
  const text = (before === "" || before.endsWith("\n") ? before : `${before}\n`) + line;
  TokenStore.parse(text, file); // names the line that is wrong
  await writeNewFile(file, text, {
    replace: old !== undefined,
    mode: old === undefined ? 0o600 : old.mode! & 0o777,
    owner: old === undefined ? await daemonUser() : Deno.uid() === 0 ? ownerOf(old) : undefined,
  });
}

function refuseSecond(file: string, text: string, name: string): void {
  const there = tokenLines(text).find(({ words }) => words[1] === name);
  if (there === undefined) return;
  throw new VipfarmError({
    operation: "make a token",
    problem: `${name} has a token already`,
    value: `${file}:${there.number}`,
    remedy: "Delete that line to replace it, or choose another name.",
    exitCode: EXIT.no,
  });
}

function ownerOf({ uid, gid }: Deno.FileInfo): { uid: number; gid: number } {
  return { uid: uid!, gid: gid! };
}

/** `vipfarm token`: a new token for the admin endpoint. The file keeps its hash; the token itself is shown once. */
import { Buffer } from "node:buffer";
import { createHash, randomBytes } from "node:crypto";
import { type Role, ROLES } from "../admin/roles.ts";
import { TokenStore } from "../admin/tokens.ts";
import { EXIT, VipfarmError } from "../core/errors.ts";
import { NAME_LENGTH_MAX } from "../core/limits.ts";
import { type Output } from "./output.ts";

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
    await addLine(options.output, line);
    output.note(
      `Added ${name} (${role}) to ${options.output}; a daemon that uses the file takes it up within seconds. ` +
        "Copy the file to every node. The token, which nobody can show again:",
    );
  }
  output.answer(secret);
}

/** Puts the file with the new line in the place of the old one at once: a daemon may be reading it. */
async function addLine(file: string, line: string): Promise<void> {
  let before = "";
  try {
    before = await Deno.readTextFile(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const text = (before === "" || before.endsWith("\n") ? before : `${before}\n`) + line;
  TokenStore.parse(text, file); // names the line that is wrong, or the name that is there already
  const owner = before === "" ? undefined : await Deno.stat(file);
  const next = `${file}.${Buffer.from(randomBytes(4)).toString("hex")}`;
  try {
    await Deno.writeTextFile(next, text, { mode: 0o600, createNew: true });
    if (owner?.uid !== undefined && Deno.uid() === 0) await Deno.chown(next, owner.uid, owner.gid);
    await Deno.rename(next, file);
  } catch (error) {
    await Deno.remove(next).catch(() => {});
    throw error;
  }
}

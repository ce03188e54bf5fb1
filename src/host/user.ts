/** A user of this host, by name. */
import { VipfarmError } from "../core/errors.ts";

/** Who runs a program. */
export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/**
 * Asks the host's user database, wherever it is (getent(1)).
 * @throws VipfarmError if there is no such user
 */
export async function userByName(name: string): Promise<User> {
  const { success, stdout } = await new Deno.Command("getent", {
    args: ["passwd", "--", name],
    stdout: "piped",
    stderr: "null",
  }).output();
  const [found, , uid, gid, , home] = new TextDecoder().decode(stdout).trimEnd().split(":");
  if (!success || home === undefined) {
    throw new VipfarmError({
      operation: "look up user",
      problem: "this host has no such user",
      value: name,
      remedy: "Create it, or name another one in the configuration.",
    });
  }
  return { name: found, uid: Number(uid), gid: Number(gid), home };
}

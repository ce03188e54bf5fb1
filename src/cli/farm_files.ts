/** The files of a farm on this host: the configuration, which anybody may read, and the secret, which only the daemon may. */
import { FARM_FILE, serviceUser } from "../host/service.ts";
import { type User } from "../host/user.ts";
import { writeNewFile } from "./new_file.ts";

export { FARM_FILE };
export const SECRET_NAME = "secret";

/** Whether there is such a file. */
export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Makes the directory of {@link FARM_FILE}, if that is the path: a package has made it already. */
export async function writeConfig(path: string, text: string, replace: boolean): Promise<void> {
  await writeNewFile(path, text, {
    mode: 0o644,
    replace,
    makeDirectory: path === FARM_FILE,
    remedy: "Choose another name, or replace the file with --force.",
  });
}

/** Mode 0600; root gives it to the user of the service, where the host has one. */
export async function writeSecret(path: string, text: string, replace: boolean): Promise<void> {
  await writeNewFile(path, text, { mode: 0o600, replace, owner: await daemonUser() });
}

/** Who shall have a new file that only the daemon may read; undefined: who writes it. */
export async function daemonUser(): Promise<User | undefined> {
  return Deno.uid() === 0 ? await serviceUser() : undefined;
}

/** The files of a farm on this host: the configuration, which anybody may read, and the secret, which only the daemon may. */
import { dirname } from "node:path";
import { VipfarmError } from "../core/errors.ts";
import { type User, userByName } from "../host/user.ts";
import { writeNewFile } from "./new_file.ts";

/** Where packages put it, and where the systemd unit looks. */
export const FARM_FILE = "/etc/vipfarm/vipfarm.yaml";
export const SECRET_NAME = "secret";
/** The user of the systemd unit. */
const SERVICE_USER = "vipfarm";

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
  if (path === FARM_FILE) await Deno.mkdir(dirname(path), { recursive: true });
  await writeNewFile(path, text, { mode: 0o644, replace });
}

/** Mode 0600; root gives it to the user of the service, where the host has one. */
export async function writeSecret(path: string, text: string, replace: boolean): Promise<void> {
  await writeNewFile(path, text, { mode: 0o600, replace, owner: await serviceUser() });
}

async function serviceUser(): Promise<User | undefined> {
  if (Deno.uid() !== 0) return undefined;
  try {
    return await userByName(SERVICE_USER);
  } catch (error) {
    if (error instanceof VipfarmError || error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

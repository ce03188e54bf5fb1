/** The package's systemd service: what it reads, and as whom. */
import { VipfarmError } from "../core/errors.ts";
import { programOutput } from "./program_output.ts";
import { type User, userByName } from "./user.ts";

/** The farm's file, where packages put it and the systemd unit looks. */
export const FARM_FILE = "/etc/vipfarm/vipfarm.yaml";
/** The user of the unit. */
const SERVICE_USER = "vipfarm";

/** The user that the service runs as; undefined where the host has none. */
export async function serviceUser(): Promise<User | undefined> {
  try {
    return await userByName(SERVICE_USER);
  } catch (error) {
    if (error instanceof VipfarmError || error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Whether that user may read the file, with all groups and directories; true if nobody can try (setpriv(1)). For root. */
export async function mayRead({ uid, gid }: User, path: string): Promise<boolean> {
  const user = [`--reuid=${uid}`, `--regid=${gid}`, "--init-groups"];
  return await programOutput("setpriv", [...user, "sh", "-c", 'test -r "$1" || echo no', "sh", path]) !==
    "no\n";
}

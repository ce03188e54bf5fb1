/** A supervisor as a process that tests can signal: `supervised_program.ts DIRECTORY`, whose workers are its script `worker`. */
import { supervise } from "../../../src/supervisor/supervisor.ts";

const [directory] = Deno.args;
const runtimeDir = `${directory}/run`;
const workerArgv = (how: string) => ["sh", `${directory}/worker`, directory, how];
Deno.exit(await supervise({ runtimeDir, workerArgv }));

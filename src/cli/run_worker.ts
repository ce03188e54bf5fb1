/** `vipfarm run --worker`: the process that the supervisor starts, and that does the work. */
import { runDaemon } from "../app.ts";
import { SupervisorLink } from "../control/supervisor_link.ts";
import { EXIT, messageOf } from "../core/errors.ts";
import { requireCapabilities } from "../host/capabilities.ts";
import { type Output } from "./output.ts";
import { readFarm } from "./read_farm.ts";

/** How a worker is started. */
export interface WorkerOptions {
  /** Path of the configuration. */
  file: string;
  node: string;
  runtimeDir: string;
  takeOver: boolean;
}

/** Runs the daemon; returns its exit code. @throws VipfarmError, after the supervisor was told */
export async function runWorker(options: WorkerOptions, output: Output): Promise<number> {
  const { file, node, runtimeDir, takeOver } = options;
  const supervisor = new SupervisorLink();
  try {
    const reread = () => readFarm(file, node, output, "error");
    const config = await reread();
    if (config === undefined) {
      supervisor.tell({ say: "failed", problem: `${file} has errors` });
      return EXIT.no;
    }
    requireCapabilities(await Deno.readTextFile("/proc/self/status"));
    return await runDaemon({ config, reread, node, runtimeDir, supervisor, takeOver });
  } catch (error) {
    supervisor.tell({ say: "failed", problem: messageOf(error) });
    throw error;
  }
}

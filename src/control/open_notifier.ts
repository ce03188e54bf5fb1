/** Notification on the control thread: which farm, which node, which clock. */
import { boottimeMs } from "../../ffi/clock.ts";
import { type FarmConfig } from "../config/load.ts";
import { type FarmEventInit } from "../core/events.ts";
import { Notifier } from "../notify/notifier.ts";

/** Ends with the resources. */
export function openNotifier(
  { farm, notify }: FarmConfig,
  node: string,
  record: (event: FarmEventInit) => void,
  resources: AsyncDisposableStack,
): Notifier {
  return resources.adopt(
    new Notifier(notify, { farm, node, nowMs: boottimeMs, record }),
    (notifier) => notifier.close(),
  );
}

/** Which service a form is about: services come and go with the node's configuration. Pure. */

import type { ServiceStatus } from "../schemas.ts";

/** The chosen one while the farm has it, else the first; empty in a farm without services. */
export function chosenService(services: readonly Pick<ServiceStatus, "name">[], chosen: string): string {
  return services.some(({ name }) => name === chosen) ? chosen : services[0]?.name ?? "";
}

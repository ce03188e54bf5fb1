/** See `core/lines.ts`. */
export { lines } from "../core/lines.ts";

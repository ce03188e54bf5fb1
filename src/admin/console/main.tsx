/** Where the console begins. `deno task console` bundles it; `console_page.ts` puts the bundle into the page. */

import { render } from "preact";
import { App } from "./app.tsx";
import { start } from "./live.ts";

render(<App />, document.getElementById("app")!);
start();

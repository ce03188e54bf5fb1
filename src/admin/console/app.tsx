/** The page from top to bottom. */

import { ActionDialog, Said } from "./action_dialog.tsx";
import { Buckets } from "./bucket_picture.tsx";
import { Charts } from "./charts.tsx";
import { Checks } from "./checks.tsx";
import { Events } from "./events.tsx";
import { Health } from "./health.tsx";
import { Footer, Header, LinkBanner } from "./header.tsx";
import { Nodes } from "./nodes.tsx";
import { HeartbeatNetworks, Services } from "./services.tsx";
import { SignIn } from "./sign_in.tsx";
import { farm, link } from "./store.ts";
import { Who } from "./who.tsx";

export function App() {
  return (
    <>
      <Header />
      <LinkBanner />
      <main data-link={link.value}>
        {link.value === "locked" ? <SignIn /> : farm.value === undefined ? <Waiting /> : <Farm />}
      </main>
      <Footer />
      <ActionDialog />
      <Said />
    </>
  );
}

function Farm() {
  return (
    <>
      <Health />
      <Nodes />
      <div class="pair">
        <Who />
        <Buckets />
      </div>
      <Charts />
      <div class="pair">
        <Services />
        <div>
          <Checks />
          <HeartbeatNetworks />
        </div>
      </div>
      <Events />
    </>
  );
}

function Waiting() {
  return (
    <p class="panel soft">
      {link.value === "connecting" ? "Asking the node…" : "There is nothing to show yet."}
    </p>
  );
}

/** Asks for a token. It goes into this tab's memory, and into no address. */

import { useState } from "preact/hooks";
import { Icon } from "./icons.tsx";
import { tryNow } from "./live.ts";
import { signIn, tokenWanted } from "./session.ts";

export function SignIn() {
  const [text, setText] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    signIn(text.trim());
    setText("");
    tryNow();
  };
  return (
    <form id="sign-in" class="panel" onSubmit={submit}>
      <h2>Sign in</h2>
      <p class="soft">
        This node asks for a token. One with the role <em>monitor</em> looks; <em>control</em> and{" "}
        <em>admin</em> also act.
      </p>
      <label for="token">Token</label>
      <input
        id="token"
        type="password"
        autocomplete="off"
        required
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        aria-describedby="token-problem"
        aria-invalid={tokenWanted.value !== ""}
      />
      <p id="token-problem" class="problem" role="alert">
        {tokenWanted.value && (
          <>
            <Icon shape="cross" />
            {tokenWanted.value}
          </>
        )}
      </p>
      <button class="primary" type="submit">Sign in</button>
      <p class="soft small">It is kept until this tab is closed, and sent only to this node.</p>
    </form>
  );
}

/** The stories of the soak suite, a few times each: that they run, and find nothing. Many times: `deno task soak`. */

import assert from "node:assert/strict";
import { labUnavailable } from "../../src/lab/privilege.ts";
import { STORIES } from "../soak/main.ts";

const ignore = await labUnavailable() !== undefined;
/** Those without a short form of their own among the farm's tests. */
const SHORT = { "planned-changes": 10, "one-way-cuts": 3, "orphans": 1 };

for (const [name, times] of Object.entries(SHORT)) {
  Deno.test({ name: `soak, ${name} ${times} times`, ignore }, async () => {
    const story = STORIES.find((each) => each.name === name);
    assert.ok(story);
    const seed = Math.floor(Math.random() * 1e6);
    const { figures, failures } = await story.run({ times, seed, progress: () => {} });
    for (const figure of figures) console.log(`  ${figure}`);
    assert.deepEqual(failures, [], `seed ${seed}`);
  });
}

/** Stories of a farm: who joins, leaves, dies, drains, and what is told of it. */

import assert from "node:assert/strict";
import { farm, shares, states, type Story, tellStory, traffic } from "./story.ts";

function story(name: string, title: string, tell: Story["tell"], quorum?: Story["quorum"]): void {
  Deno.test(`${name}: ${title}`, () => {
    const { told, written } = tellStory({ name, title, tell, quorum });
    assert.equal(told, written);
  });
}

story("cold_start", "Three nodes start at once and share the buckets after five intervals.", (world) => {
  farm(world, "n1", "n2", "n3");
  shares(world);
  states(world, world.node("n1"));
});

story("death", "A node dies; after three intervals it is suspected, after five it is replaced.", (world) => {
  const [, n2] = farm(world, "n1", "n2", "n3");
  shares(world);
  world.crash(n2);
  world.run(700);
  shares(world);
  states(world, world.node("n1"));
});

story(
  "crash",
  "A program crashes: its supervisor says so, and starts it again within the hold, then a node's never comes back.",
  (world) => {
    const [n1, n2, n3] = farm(world, "n1", "n2", "n3");
    const contested = () =>
      world.note("n1", `takes buckets for contested: ${n1.membership!.retainedByOthers(1) ? "yes" : "no"}`);
    world.watchGaps();
    world.crash(n2, 5000);
    shares(world);
    contested();
    world.run(300);
    world.start(n2);
    world.run(50);
    contested();
    world.run(650);
    shares(world);
    world.note("", `longest time that a bucket had no node: ${world.longestGapMs.toFixed(1)} ms`);
    world.crash(n3, 5000);
    world.run(4900);
    contested();
    world.run(200);
    contested();
    states(world, n1);
  },
);

story("pause", "A node does not run for three seconds; its lease ends before it is replaced.", (world) => {
  const [, n2] = farm(world, "n1", "n2", "n3");
  world.stall(n2, 3000);
  world.run(395);
  shares(world);
  world.run(105);
  shares(world);
  world.run(3200);
  shares(world);
});

story("short_pause", "A node does not run for a moment shorter than its lease: nothing moves.", (world) => {
  const [, n2] = farm(world, "n1", "n2", "n3");
  world.stall(n2, 250);
  world.run(1000);
  shares(world);
});

story(
  "join",
  "A fourth node joins: it listens, announces itself, and takes its share without a gap.",
  (world) => {
    farm(world, "n1", "n2", "n3");
    shares(world);
    world.watchGaps();
    world.start(world.addNode("n4"));
    world.run(350);
    states(world, world.node("n4"));
    world.run(650);
    shares(world);
    world.note("", `longest time that a bucket had no node: ${world.longestGapMs.toFixed(1)} ms`);
  },
);

story("drain", "Two nodes are drained at once, and resume.", (world) => {
  const [n1, n2] = farm(world, "n1", "n2", "n3");
  world.watchGaps();
  world.settings(n1, [1, 100], true);
  world.settings(n2, [1, 100], true);
  world.run(500);
  shares(world);
  states(world, world.node("n3"));
  world.settings(n1, [1, 100], false);
  world.settings(n2, [1, 300], false);
  world.run(500);
  shares(world);
  world.note("", `longest time that a bucket had no node: ${world.longestGapMs.toFixed(1)} ms`);
});

story("leave", "A node is stopped: it hands over at once and says goodbye.", (world) => {
  const [, n2] = farm(world, "n1", "n2", "n3");
  world.watchGaps();
  world.leave(n2);
  world.run(500);
  shares(world);
  states(world, world.node("n1"));
  world.note("", `longest time that a bucket had no node: ${world.longestGapMs.toFixed(1)} ms`);
});

story(
  "flapping",
  "A node that keeps being paused listens longer each time before it takes its share.",
  (world) => {
    const [, n2] = farm(world, "n1", "n2", "n3");
    for (let i = 0; i < 4; i++) {
      world.stall(n2, 600);
      world.run(2600);
    }
    shares(world);
  },
);

story("clock_jump", "A wall clock jumps by an hour: it is reported, and nothing else happens.", (world) => {
  const [, n2] = farm(world, "n1", "n2", "n3");
  world.note("n2", "its wall clock jumps by an hour");
  n2.wallOffsetMs += 3_600_000;
  world.run(1000);
  shares(world);
});

story(
  "clock_back",
  "A node restarts with a clock that went back: the others tell it what to exceed.",
  (world) => {
    const [, n2] = farm(world, "n1", "n2", "n3");
    world.crash(n2);
    n2.wallOffsetMs -= 60_000;
    world.run(100);
    world.start(n2);
    world.run(1500);
    shares(world);
  },
);

story(
  "replay",
  "An attacker replays what a dead node sent: with a memory of it nothing happens, without one it is ignored.",
  (world) => {
    const [, n2] = farm(world, "n1", "n2", "n3");
    const recorded = n2.lastSent!;
    world.crash(n2);
    world.run(600_000);
    world.note("", "n1 hears the recording");
    world.inject(world.node("n1"), recorded);
    world.note("", "n1 is restarted, and forgets n2");
    world.crash(world.node("n1"));
    world.start(world.node("n1"));
    world.run(1000);
    shares(world);
    world.note("", "n1 hears the recording, again and again");
    for (let i = 0; i < 20; i++) {
      world.inject(world.node("n1"), { ...recorded, sequence: recorded.sequence + i });
      world.run(50);
    }
    shares(world);
    states(world, world.node("n1"));
  },
);

story(
  "join_under_traffic",
  "Two nodes join at once while clients send requests: the shares move without two answers to one request.",
  (world) => {
    farm(world, "n1", "n2");
    const tell = traffic(world);
    world.start(world.addNode("n3"));
    world.start(world.addNode("n4"));
    world.run(1000);
    shares(world);
    tell();
  },
);

story(
  "drains_at_once",
  "Under requests two of four nodes are drained in the same moment, a third gets another weight meanwhile.",
  (world) => {
    const [n1, n2, n3] = farm(world, "n1", "n2", "n3", "n4");
    shares(world);
    const tell = traffic(world);
    world.settings(n1, [1, 100], true);
    world.settings(n2, [1, 100], true);
    world.run(0.1);
    world.settings(n3, [1, 300], false);
    world.run(500);
    shares(world);
    states(world, world.node("n4"));
    tell();
  },
);

story(
  "unheard_recording",
  "The last heartbeat of a dead node never came to n1; an attacker brings it later, and it revives nobody.",
  (world) => {
    const [n1, n2] = farm(world, "n1", "n2", "n3");
    world.note("", "what n2 sends does not reach n1 any more, and soon n2 dies");
    world.cut(n2, n1);
    world.run(150);
    const recorded = n2.lastSent!;
    world.crash(n2);
    world.run(1000);
    world.heal();
    shares(world);
    world.note("", "n1 hears the recording");
    world.inject(n1, recorded);
    states(world, n1);
    shares(world);
  },
);

story(
  "restart_recording",
  "A node that starts again hears what a dead node sent a minute ago, over and over: it waits for eight intervals.",
  (world) => {
    const [n1, n2] = farm(world, "n1", "n2");
    world.crash(n2);
    world.run(60_000);
    world.note("", "n1 is restarted, and forgets n2");
    world.crash(n1);
    world.start(n1);
    world.note("", "n1 hears the recording, again and again");
    for (let i = 0; i < 40; i++) {
      world.inject(n1, { ...n2.lastSent!, sequence: n2.lastSent!.sequence + i });
      world.run(50);
    }
    states(world, n1);
    shares(world);
  },
);

story(
  "join_during_hold",
  "A node that joins while others hold a crashed node's connections learns of the hold before it claims anything.",
  (world) => {
    const [n1, n2] = farm(world, "n1", "n2");
    world.crash(n2, 5_000);
    world.run(50);
    const n3 = world.addNode("n3");
    world.start(n3);
    for (let i = 0; i < 60; i++) {
      world.run(10);
      if (n3.membership!.retainedByOthers(1) === undefined) continue;
      world.note("n3", "knows that every bucket is contested");
      break;
    }
    shares(world);
    world.run(1_000);
    shares(world);
    world.run(4_000);
    for (const node of [n1, n3]) {
      const held = node.membership!.retainedByOthers(1) !== undefined;
      world.note(node.name, held ? "still holds" : "holds nothing any more");
    }
  },
);

story(
  "stop_before_send",
  "A node is stopped for 450 ms after it decided to send and before it does: what it sends then does not prolong its lease.",
  (world) => {
    const [, n2] = farm(world, "n1", "n2", "n3");
    n2.stopBeforeSendMs = 450;
    const tell = traffic(world);
    world.run(2000);
    tell();
    shares(world);
  },
);

story(
  "other_version",
  "A node of another protocol version does not serve beside the farm, and does when the farm is gone.",
  (world) => {
    const [n1, n2] = farm(world, "n1", "n2");
    const n3 = world.addNode("n3");
    n3.version++;
    world.start(n3);
    world.run(2000);
    shares(world);
    states(world, n3);
    world.leave(n1);
    world.leave(n2);
    world.run(2000);
    shares(world);
  },
);

story(
  "other_version_at_once",
  "Two nodes of different protocol versions start at once: one of them serves.",
  (world) => {
    const n1 = world.addNode("n1"), n2 = world.addNode("n2");
    n2.version++;
    world.start(n1);
    world.start(n2);
    world.run(2000);
    shares(world);
    states(world, n2);
    world.note("", "n1 is stopped");
    world.leave(n1);
    world.run(2000);
    shares(world);
  },
);

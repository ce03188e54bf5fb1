/*
 * The hand-over of one bucket between N nodes, after src/membership/README.md. README.md beside this file says
 * what is modelled, what is not, and what was found. model_test.ts runs it.
 *
 * Time goes in whole steps. Everything that may happen at one time happens in any order; then the clock moves.
 * Incarnations and versions grow without end in the program, but are only ever compared with the present ones:
 * so every mention of one, on its way or remembered, holds how far it is behind, and gets older when its writer
 * moves on. This keeps the model finite without a bound on restarts or changes.
 */

#ifndef N
#define N 2               /* nodes */
#endif
#ifndef SLOTS
#define SLOTS 1           /* messages on their way from one node to another; 0: they arrive at once or never */
#endif
#ifndef WEIGHT_MAX
#define WEIGHT_MAX 1      /* weights are 0..WEIGHT_MAX; equal ones: the smaller number owns the bucket */
#endif

/* Times, in the order SUSPECT < LEASE < REPLACE: short ones, middling ones, and those of the program. */
#ifndef TIMES
#define TIMES 1
#endif
#if TIMES == 1
#define SUSPECT  1
#define LEASE    2
#define REPLACE  3
#define LISTEN   1
#define ANNOUNCE 2
#define SILENT   1
#define LATE     1
#elif TIMES == 2
#define SUSPECT  2
#define LEASE    3
#define REPLACE  4
#define LISTEN   1
#define ANNOUNCE 2
#define SILENT   2
#define LATE     2
#else
#define SUSPECT  3
#define LEASE    4
#define REPLACE  5
#define LISTEN   3
#define ANNOUNCE 2
#define SILENT   4
#define LATE     2
#endif
#define CONTACT (REPLACE - SUSPECT)  /* nothing younger has arrived either way: a two-way cut */

#ifdef NO_RULE_3          /* replaced as soon as suspected */
#define REPLACED_AFTER SUSPECT
#else
#define REPLACED_AFTER REPLACE
#endif

#ifdef MULTICAST
#define MULTICASTS 1
#else
#define MULTICASTS 0
#endif
#ifndef ONCE
#define ONCE 0            /* 1: at each moment at most one message from one node to another */
#endif
#ifndef CRASHES
#define CRASHES 1
#endif

/* ------------------------------------------------------------------------------------------- state */

#define OFF        0
#define LISTENING  1      /* zero weights, binds nobody */
#define ANNOUNCING 2      /* zero weights, binds */
#define UP         3      /* takes part; weight 0: drained */
#define LEFT       4      /* says goodbye */

typedef Node {
  unsigned state : 3;
  unsigned gap : 3;       /* since it ran; LATE + 1 stands for more */
  unsigned due : 1;       /* it has not looked at its timers since the clock moved */
  unsigned owes : 1;      /* if due: when it last looked, it decided to send, and was stopped before it did */
  unsigned timer : 3;     /* since it listens, announces, or is silent */
  unsigned lease : 3;     /* since the last sending; LEASE stands for more */
  unsigned weight : 2;
  unsigned changing : 1;  /* claims by the previous weight too */
  unsigned previous : 2
};

/* How a list mentions its reader. */
#define UNLISTED  0       /* not, or in an earlier incarnation */
#define HEARD     1       /* heard, present version */
#define HEARD_1   2       /* heard, the version before */
#define HEARD_OLD 3
#define SUSPECTED 4       /* suspect, present version */
#define SUSPECTED_OLD 5

/* What one node knows of another; and the same for a message on its way. */
typedef Member {
  unsigned known : 2;     /* 0: not, 1: heard, 2: suspect */
  unsigned age : 3;       /* since it was heard */
  unsigned current : 1;   /* its present incarnation */
  unsigned behind : 2;    /* versions behind its present one; 2 stands for more */
  unsigned state : 2;     /* LISTENING, ANNOUNCING, UP */
  unsigned weight : 2;
  unsigned listing : 3;   /* how it lists us */
  unsigned confirmed : 1; /* has listed our present incarnation */
  unsigned hears : N      /* whom it hears */
};

typedef Message {
  unsigned here : 1;
  unsigned goodbye : 1;
  unsigned age : 3;       /* only for the property */
  unsigned current : 1;
  unsigned behind : 2;
  unsigned state : 2;
  unsigned weight : 2;
  unsigned listing : 3;
  unsigned hears : N
};

Node node[N];
Member member[N * N];     /* member[AT(i, j)]: what i knows of j */
#if SLOTS > 0
Message link[N * N * SLOTS];  /* from i to j, the oldest first */
#endif
/* Only for the property: since the newest message that either took in from the other was sent. At (i, j), i < j. */
byte contact[N * N];
bit spoke[N * N];         /* i has sent to j at this moment; only where it matters */
bit calm;                 /* the faults have ended */
byte calm_age;
#ifdef HORIZON
byte moment;              /* only so many, from a farm that is up */
#endif

#define AT(i, j) ((i) * N + (j))
#define PAIR(i, j) ((i) < (j) -> AT(i, j) : AT(j, i))
#define SLOT(i, j, s) (((i) * N + (j)) * SLOTS + (s))
#define RUNS(i) (node[i].state != OFF && node[i].state != LEFT)
#define BINDS(i, j) (member[AT(i, j)].known && member[AT(i, j)].state != LISTENING)

/* A trail is told in words: spin does not print while it searches. */
#define SAY0(text) printf(text)
#define SAY1(text, i) printf(text, i)
#define SAY2(text, i, j) printf(text, i, j)

/* Scratch, no part of the state: set before it is read, within one step. */
hidden byte a, b, c, s, x, y;
hidden byte yes, no, owner;
hidden Message m;

/* ------------------------------------------------------------------------------------------- rules */

/* Rule 1: sets `yes` if every member that may claim by older settings has listed the present version of i. */
inline all_listed(i) {
  yes = 1;
#ifndef NO_RULE_1
  for (a : 0 .. N - 1) {
    if
    :: a != i && member[AT(i, a)].known && member[AT(i, a)].listing != HEARD &&
       member[AT(i, a)].listing != SUSPECTED &&
       (BINDS(i, a) || member[AT(i, a)].listing == HEARD_1 || member[AT(i, a)].listing == HEARD_OLD) -> yes = 0
    :: else
    fi
  }
#endif
}

/* Rule 2: sets `no` if a member that binds does not list i with settings that i claims by; `s`: one of these. */
inline silenced(i) {
  no = 0;
#ifndef NO_RULE_2
  for (a : 0 .. N - 1) {
    if
    :: a != i && BINDS(i, a) && member[AT(i, a)].listing != HEARD &&
#ifdef NO_RULE_1
       member[AT(i, a)].listing != HEARD_1 && member[AT(i, a)].listing != HEARD_OLD &&
#endif
       !(member[AT(i, a)].listing == HEARD_1 && node[i].changing) && !no -> no = 1; s = a
    :: else
    fi
  }
#endif
}

/* Clears `owner` if i does not own the bucket with this weight. */
inline owns(i, own) {
  if
  :: (own) == 0 -> owner = 0
  :: else
  fi;
  for (a : 0 .. N - 1) {
    if
    :: a != i && member[AT(i, a)].known && member[AT(i, a)].confirmed &&
       (member[AT(i, a)].weight > (own) || (member[AT(i, a)].weight == (own) && a < i)) -> owner = 0
    :: else
    fi
  }
}

/* What the packet thread does: sets `owner` if i claims the bucket now. Rule 4 is the lease. */
inline claims(i) {
  owner = (node[i].state == UP);
#ifndef NO_RULE_4
  owner = owner && node[i].lease < LEASE;
#endif
  if
  :: owner ->
    owns(i, node[i].weight);
    if
    :: owner && node[i].changing -> owns(i, node[i].previous)
    :: else
    fi;
    if
    :: owner -> silenced(i); owner = !no
    :: else
    fi
  :: else
  fi
}

/* ------------------------------------------------------------------------------- incarnations, versions */

#define OLDER(l) ((l) == HEARD -> HEARD_1 : ((l) == HEARD_1 -> HEARD_OLD : ((l) == SUSPECTED -> SUSPECTED_OLD : (l))))
#define OLDEST(n) ((n) < 2 -> (n) + 1 : 2)

/* i takes a new version: every mention of its settings is one more behind. */
inline new_version(i) {
  for (b : 0 .. N - 1) {
    if
    :: b != i ->
      member[AT(i, b)].listing = OLDER(member[AT(i, b)].listing);
      if
      :: member[AT(b, i)].known && member[AT(b, i)].current ->
        member[AT(b, i)].behind = OLDEST(member[AT(b, i)].behind)
      :: else
      fi;
#if SLOTS > 0
      for (c : 0 .. SLOTS - 1) {
        if
        :: link[SLOT(i, b, c)].here && link[SLOT(i, b, c)].current ->
          link[SLOT(i, b, c)].behind = OLDEST(link[SLOT(i, b, c)].behind)
        :: else
        fi;
        link[SLOT(b, i, c)].listing = OLDER(link[SLOT(b, i, c)].listing)
      }
#endif
    :: else
    fi
  }
}

/* i goes on under the next incarnation: nobody lists that one, and what others know is of an earlier one. */
inline new_incarnation(i) {
  for (b : 0 .. N - 1) {
    if
    :: b != i ->
      member[AT(i, b)].listing = UNLISTED;
      member[AT(i, b)].confirmed = 0;
      member[AT(b, i)].current = 0;
      member[AT(b, i)].behind = 0;
#if SLOTS > 0
      for (c : 0 .. SLOTS - 1) {
        link[SLOT(i, b, c)].current = 0;
        link[SLOT(i, b, c)].behind = 0;
        link[SLOT(b, i, c)].listing = UNLISTED
      }
#endif
    :: else
    fi
  }
  node[i].weight = 0;
  node[i].changing = 0;
  node[i].previous = 0;
  node[i].timer = 0
}

inline rejoin(i) {
  new_incarnation(i);
  node[i].state = LISTENING
}

inline forget(one, other) {
  member[AT(one, other)].known = 0;
  member[AT(one, other)].age = 0;
  member[AT(one, other)].current = 0;
  member[AT(one, other)].behind = 0;
  member[AT(one, other)].state = 0;
  member[AT(one, other)].weight = 0;
  member[AT(one, other)].listing = UNLISTED;
  member[AT(one, other)].confirmed = 0;
  member[AT(one, other)].hears = 0
}

/* Takes `own` as own weight; the previous one counts too, until all have listed the new version. */
inline take_weight(i, own) {
  node[i].previous = node[i].weight;
  node[i].changing = 1;
  node[i].weight = own;
  new_version(i);
  all_listed(i);
  if
  :: yes -> node[i].changing = 0; node[i].previous = 0
  :: else
  fi
}

/* ----------------------------------------------------------------------------- what the program does */

/* Rules 4 and 5: what i does first whenever it runs. */
inline notice_time(i) {
  if
  :: node[i].gap > LATE && (node[i].state == LISTENING || node[i].state == ANNOUNCING) ->
    node[i].state = LISTENING; node[i].timer = 0
  :: node[i].gap <= LATE ->
    for (a : 0 .. N - 1) {
      if
      :: member[AT(i, a)].known ->
        member[AT(i, a)].age = (member[AT(i, a)].age + node[i].gap < REPLACE ->
          member[AT(i, a)].age + node[i].gap : REPLACE)
      :: else
      fi
    }
  :: else
  fi;
  node[i].gap = 0;
#ifndef NO_RULE_4
  if
  :: node[i].state == UP && node[i].lease >= LEASE -> rejoin(i)
  :: else
  fi
#endif
}

/* Rule 3. */
inline detect_failures(i) {
  for (c : 0 .. N - 1) {
    if
    :: member[AT(i, c)].known && member[AT(i, c)].age >= REPLACED_AFTER -> forget(i, c)
    :: member[AT(i, c)].known == 1 && member[AT(i, c)].age >= SUSPECT && member[AT(i, c)].age < REPLACED_AFTER ->
      member[AT(i, c)].known = 2
    :: else
    fi
  }
}

/* Rule 7: sets `no` if something speaks against taking a share. */
inline obstacle(i) {
  no = 0;
#ifndef NO_RULE_4
  no = node[i].lease >= LEASE;
#endif
  for (a : 0 .. N - 1) {
    if
    :: member[AT(i, a)].known ->
      if
      :: member[AT(i, a)].listing != HEARD -> no = 1
#if N > 2
      :: else ->
        for (b : 0 .. N - 1) {
          if
          :: b != i && member[AT(i, a)].state == UP && (member[AT(i, a)].hears & (1 << b)) && !member[AT(i, b)].known ->
            no = 1
          :: else
          fi
        }
#else
      :: else
#endif
      fi
    :: else
    fi
  }
}

/* All conclusions from what is known now. `wanted`: the weight to take when joining. */
inline evaluate(i, wanted) {
  if
  :: node[i].state == LISTENING && node[i].timer >= LISTEN ->
    obstacle(i);
    if
    :: !no -> node[i].state = ANNOUNCING; node[i].timer = 0
    :: else
    fi
  :: node[i].state == ANNOUNCING ->
    obstacle(i);
    if
    :: no -> node[i].state = LISTENING; node[i].timer = LISTEN
    :: !no && node[i].timer >= ANNOUNCE ->
      node[i].state = UP; node[i].timer = 0;
      take_weight(i, wanted)
    :: else
    fi
  :: else
  fi;
  if
  :: node[i].state == UP ->
    silenced(i);
    if
    :: !no -> node[i].timer = 0
    :: no && node[i].timer >= SILENT && member[AT(i, s)].age < SUSPECT -> rejoin(i)
    :: else
    fi
  :: else
  fi;
  if
  :: node[i].state == UP ->
    all_listed(i);
    if
    :: yes ->
      node[i].changing = 0; node[i].previous = 0;
      if
      :: calm && node[i].weight == 0 -> take_weight(i, 1) /* in the calm everybody wants a share */
      :: else
      fi
    :: else
    fi
  :: else
  fi
}

/* The heartbeat of i for j, in `m`. */
inline compose(i, j) {
  m.here = 1;
  m.goodbye = (node[i].state == LEFT);
  m.age = 0;
  m.current = 1;
  m.behind = 0;
  m.state = (node[i].state == LEFT -> 0 : node[i].state);
  m.weight = node[i].weight;
  if
  :: member[AT(i, j)].known == 0 || !member[AT(i, j)].current -> m.listing = UNLISTED
  :: member[AT(i, j)].known == 1 && member[AT(i, j)].current -> m.listing = HEARD + member[AT(i, j)].behind
  :: member[AT(i, j)].known == 2 && member[AT(i, j)].current ->
    m.listing = (member[AT(i, j)].behind == 0 -> SUSPECTED : SUSPECTED_OLD)
  fi;
  m.hears = 0;
#if N > 2
  for (a : 0 .. N - 1) {
    if
    :: member[AT(i, a)].known -> m.hears = m.hears | (1 << a)
    :: else
    fi
  }
#endif
}

/* j takes in `m` from i. */
inline hear(to, from) {
  if
  :: m.age < contact[PAIR(from, to)] -> contact[PAIR(from, to)] = m.age
  :: else
  fi;
  if
  :: m.goodbye -> forget(to, from)
  :: else ->
    /* Messages of one sender are taken in the order of sending. */
    assert(m.current || !member[AT(to, from)].current);
    if
    :: !member[AT(to, from)].known || (m.current && !member[AT(to, from)].current) -> member[AT(to, from)].confirmed = 0
    :: else
    fi;
    member[AT(to, from)].known = 1;
    member[AT(to, from)].age = 0;
    member[AT(to, from)].current = m.current;
    member[AT(to, from)].behind = m.behind;
    member[AT(to, from)].state = m.state;
    member[AT(to, from)].weight = m.weight;
    member[AT(to, from)].listing = m.listing;
    member[AT(to, from)].hears = m.hears;
    if
    :: m.listing != UNLISTED -> member[AT(to, from)].confirmed = 1
    :: else
    fi
  fi;
  evaluate(to, 1)
}

/* ---------------------------------------------------------------------------------------- properties */

/* Holds after every step. */
inline check() {
#ifdef STORY
  for (x : 0 .. N - 1) {
    claims(x);
    printf("      %d:", x);
    printf("   state %d weight %d previous %d/%d lease %d timer %d claims %d;", node[x].state, node[x].weight, node[x].changing, node[x].previous, node[x].lease, node[x].timer, owner);
    for (y : 0 .. N - 1) {
      if
      :: x != y ->
        printf(" of %d: known %d age %d behind %d/%d state %d weight %d lists %d confirmed %d", y, member[AT(x, y)].known, member[AT(x, y)].age, member[AT(x, y)].current, member[AT(x, y)].behind, member[AT(x, y)].state, member[AT(x, y)].weight, member[AT(x, y)].listing, member[AT(x, y)].confirmed)
      :: else
      fi
    }
    printf("\n")
  }
#endif
  for (x : 0 .. N - 1) {
    claims(x);
    if
    :: owner ->
#ifndef ONLY_TWO
      assert(node[x].lease < LEASE);   /* no claim without lease */
#endif
      for (y : x + 1 .. N - 1) {
        claims(y);
#ifdef NEVER_TWO
        assert(!owner)                 /* no cut in both directions is possible: never two, for no moment */
#else
        assert(!owner || contact[AT(x, y)] >= CONTACT)
#endif
      }
    :: else
    fi
  }
}

/* In the calm, after CALM_BOUND: somebody claims the bucket, if anybody runs. */
inline check_served() {
  yes = 1;
  for (x : 0 .. N - 1) {
    if
    :: RUNS(x) -> yes = 0
    :: else
    fi
  }
  for (x : 0 .. N - 1) {
    claims(x);
    if
    :: owner -> yes = 1
    :: else
    fi
  }
  assert(yes)
}

/* ------------------------------------------------------------------------------------------- the world */

/* A heartbeat leaves: the lease counts from now. The time is noticed first, for i may have been stalled just before. */
inline leaves(i) {
  if
  :: node[i].state != LEFT ->
#ifndef NO_NOTICE
    notice_time(i); detect_failures(i);
#endif
    node[i].lease = 0; node[i].owes = 0
  :: else
  fi
}

#define MAY_SEND(i) (node[i].state == LEFT || (RUNS(i) && (!node[i].due || node[i].owes)))

/* What the network does to the messages of i: it loses, delays and doubles; with KEPT every one arrives soon. */
#ifndef KEEPS
#define KEEPS 0           /* a bit for each sender */
#endif
#define KEPT(i) ((KEEPS >> (i)) & 1)
#if SLOTS > 0
#define ROOM(i, j) (!(KEPT(i) && !node[j].due && link[SLOT(i, j, SLOTS - 1)].here))
#else
#define ROOM(i, j) 1
#endif

#if SLOTS > 0
inline put(at) {
  link[at].here = 1;
  link[at].goodbye = m.goodbye;
  link[at].age = m.age;
  link[at].current = m.current;
  link[at].behind = m.behind;
  link[at].state = m.state;
  link[at].weight = m.weight;
  link[at].listing = m.listing;
  link[at].hears = m.hears
}

inline get(at) {
  m.goodbye = link[at].goodbye;
  m.age = link[at].age;
  m.current = link[at].current;
  m.behind = link[at].behind;
  m.state = link[at].state;
  m.weight = link[at].weight;
  m.listing = link[at].listing;
  m.hears = link[at].hears;
  link[at].here = 0;
  link[at].goodbye = 0;
  link[at].age = 0;
  link[at].current = 0;
  link[at].behind = 0;
  link[at].state = 0;
  link[at].weight = 0;
  link[at].listing = 0;
  link[at].hears = 0
}

#if SLOTS > 1
/* The oldest message has been taken out: the next one moves up. `m` keeps the one taken out. */
inline move(i, j) {
  link[SLOT(i, j, 0)].here = link[SLOT(i, j, 1)].here;
  link[SLOT(i, j, 0)].goodbye = link[SLOT(i, j, 1)].goodbye;
  link[SLOT(i, j, 0)].age = link[SLOT(i, j, 1)].age;
  link[SLOT(i, j, 0)].current = link[SLOT(i, j, 1)].current;
  link[SLOT(i, j, 0)].behind = link[SLOT(i, j, 1)].behind;
  link[SLOT(i, j, 0)].state = link[SLOT(i, j, 1)].state;
  link[SLOT(i, j, 0)].weight = link[SLOT(i, j, 1)].weight;
  link[SLOT(i, j, 0)].listing = link[SLOT(i, j, 1)].listing;
  link[SLOT(i, j, 0)].hears = link[SLOT(i, j, 1)].hears;
  link[SLOT(i, j, 1)].here = 0;
  link[SLOT(i, j, 1)].goodbye = 0;
  link[SLOT(i, j, 1)].age = 0;
  link[SLOT(i, j, 1)].current = 0;
  link[SLOT(i, j, 1)].behind = 0;
  link[SLOT(i, j, 1)].state = 0;
  link[SLOT(i, j, 1)].weight = 0;
  link[SLOT(i, j, 1)].listing = 0;
  link[SLOT(i, j, 1)].hears = 0
}
#endif
#endif

#ifdef MULTICAST
/* One message of i, taken in at once by those of the others whose bit is set; at most one at each moment. */
inline multicast(i, receivers) {
  leaves(i);
  spoke[AT(i, i)] = 1;
  for (y : 0 .. N - 1) {
    if
    :: y != i && ((receivers >> y) & 1) && RUNS(y) -> compose(i, y); notice_time(y); hear(y, i)
    :: else
    fi
  }
  check()
}
#define ALL_BUT(i) ((1 << N) - 1 - (1 << (i)))
#endif

proctype Machine(byte i) {
  do
#ifdef MULTICAST
  :: d_step { MAY_SEND(i) && !spoke[AT(i, i)] -> SAY1("%d sends, and all get it\n", i); multicast(i, ALL_BUT(i)); skip }
  :: d_step { MAY_SEND(i) && !spoke[AT(i, i)] && !KEPT(i) ->
      SAY1("%d sends, and all but the next get it\n", i); multicast(i, ALL_BUT(i) & ALL_BUT((i + 1) % N)); skip }
  :: d_step { MAY_SEND(i) && !spoke[AT(i, i)] && !KEPT(i) ->
      SAY1("%d sends, and all but the previous get it\n", i); multicast(i, ALL_BUT(i) & ALL_BUT((i + N - 1) % N)); skip }
#endif
  :: d_step { RUNS(i) && node[i].due ->
      SAY1("%d looks at its timers\n", i);
      node[i].due = 0; node[i].owes = 0; notice_time(i); detect_failures(i); evaluate(i, 1); check(); skip }
#if WEIGHT_MAX > 1
  :: d_step { RUNS(i) && node[i].due && node[i].state == ANNOUNCING && !calm ->
      node[i].due = 0; node[i].owes = 0; notice_time(i); detect_failures(i); evaluate(i, WEIGHT_MAX); check(); skip }
#endif
  :: d_step { MAY_SEND(i) && !calm && !KEPT(i) && !spoke[AT(i, i)] ->
      SAY1("%d sends, and nobody gets it\n", i); leaves(i); spoke[AT(i, i)] = MULTICASTS; check(); skip }  /* a heartbeat that nobody gets */
#ifndef NO_CHANGE
  :: d_step { RUNS(i) && !calm && node[i].state == UP && node[i].gap == 0 && node[i].lease < LEASE && !node[i].changing ->
      all_listed(i);
      if
      :: yes -> SAY1("%d changes its weight\n", i); take_weight(i, (node[i].weight == WEIGHT_MAX -> 0 : node[i].weight + 1)); check()
      :: else
      fi;
      skip }
#endif
  :: d_step { node[i].state == LEFT || (CRASHES && node[i].state != OFF && !calm) ->
      SAY1("%d is gone\n", i);
      new_incarnation(i);
      node[i].state = OFF; node[i].gap = 0; node[i].due = 0; node[i].owes = 0; node[i].lease = LEASE;
      for (b : 0 .. N - 1) {
        if
        :: b != i -> forget(i, b); spoke[AT(i, b)] = 0
        :: else
        fi
      }
      skip }
  :: d_step { node[i].state == OFF && !calm -> SAY1("%d starts\n", i); node[i].state = LISTENING; node[i].due = 1 }
#ifndef NO_LEAVE
  :: d_step { RUNS(i) && !calm ->
      SAY1("%d leaves\n", i);
      node[i].weight = 0; node[i].changing = 0; node[i].previous = 0; node[i].timer = 0; node[i].gap = 0;
      node[i].due = 0; node[i].owes = 0; node[i].lease = LEASE; node[i].state = LEFT }
#endif
  od
}

proctype Link(byte i; byte j) {
  do
  :: d_step { MAY_SEND(i) && !((calm || ONCE) && spoke[AT(i, j)]) && ROOM(i, j) ->
      SAY2("%d sends to %d\n", i, j);
      leaves(i);
      spoke[AT(i, j)] = (calm || ONCE || KEPT(i));
      compose(i, j);
#if SLOTS == 0
      if
      :: RUNS(j) -> notice_time(j); hear(j, i)
      :: else
      fi;
#else
      s = 0;
#if SLOTS > 1
      if
      :: link[SLOT(i, j, 0)].here -> s = 1
      :: else
      fi;
#endif
      put(SLOT(i, j, s));
#endif
      check(); skip }
#if SLOTS > 0
  :: d_step { link[SLOT(i, j, 0)].here && (RUNS(j) || node[j].state == OFF || node[j].state == LEFT) ->
      SAY2("what %d sent reaches %d\n", i, j);
      get(SLOT(i, j, 0));
#if SLOTS > 1
      move(i, j);
#endif
      if
      :: RUNS(j) -> notice_time(j); hear(j, i); check()
      :: else
      fi;
      skip }
#ifndef NO_LOSS
  :: d_step { link[SLOT(i, j, 0)].here && !calm && !KEPT(i) -> 
      SAY2("what %d sent to %d is lost\n", i, j);
      get(SLOT(i, j, 0));
#if SLOTS > 1
      move(i, j);
#endif
      skip }
#endif
#endif
  od
}

/* Time moves on when everything that is due now has been done; in the calm, also what is owed. */
#if SLOTS > 0
#define ON_ITS_WAY(i, j) link[SLOT(i, j, 0)].here
#else
#define ON_ITS_WAY(i, j) 0
#endif
#ifdef NO_PAUSE
#define READY(i) (!node[i].due && !(calm && node[i].state == LEFT))
#else
#define READY(i) (!calm || (!node[i].due && node[i].state != LEFT))
#endif
#if MULTICASTS
#define SPOKEN(i, j) i
#else
#define SPOKEN(i, j) j
#endif
#define PASSED(i, j) (!(RUNS(i) && !node[i].due && (calm || KEPT(i)) && !spoke[AT(i, SPOKEN(i, j))]) && \
                      !(ON_ITS_WAY(i, j) && !node[j].due && (calm || KEPT(i))))
#if N == 2
#define TIME_MAY_PASS (READY(0) && READY(1) && PASSED(0, 1) && PASSED(1, 0))
#else
#define TIME_MAY_PASS (READY(0) && READY(1) && READY(2) && PASSED(0, 1) && PASSED(1, 0) && \
                       PASSED(0, 2) && PASSED(2, 0) && PASSED(1, 2) && PASSED(2, 1))
#endif

#define LATER(t, end) ((t) < (end) -> (t) + 1 : (end))

inline time_passes() {
  for (x : 0 .. N - 1) {
    if
    :: node[x].state != OFF && node[x].state != LEFT ->
      node[x].lease = LATER(node[x].lease, LEASE);
      if
      :: node[x].state == LISTENING -> node[x].timer = LATER(node[x].timer, LISTEN)
      :: node[x].state == ANNOUNCING -> node[x].timer = LATER(node[x].timer, ANNOUNCE)
      :: node[x].state == UP ->
        silenced(x);
        if
        :: no -> node[x].timer = LATER(node[x].timer, SILENT)
        :: else
        fi
      fi;
      node[x].gap = LATER(node[x].gap, LATE + 1);
      node[x].owes = node[x].owes || !node[x].due;
      node[x].due = 1
    :: else
    fi;
    for (y : 0 .. N - 1) {
      if
      :: x != y ->
        spoke[AT(x, y)] = 0;
        contact[AT(x, y)] = (x < y -> LATER(contact[AT(x, y)], CONTACT) : 0);
#if SLOTS > 0
        for (c : 0 .. SLOTS - 1) {
          if
          :: link[SLOT(x, y, c)].here -> link[SLOT(x, y, c)].age = LATER(link[SLOT(x, y, c)].age, CONTACT)
          :: else
          fi
        }
#endif
      :: else -> spoke[AT(x, y)] = 0
      fi
    }
  }
}

proctype Clock() {
  do
#ifdef HORIZON
  :: d_step { TIME_MAY_PASS && moment < HORIZON -> moment++;
#else
  :: d_step { TIME_MAY_PASS ->
#endif
      SAY0("time passes\n"); time_passes(); check();
#ifdef CALM_BOUND
      if
      :: calm && calm_age < CALM_BOUND -> calm_age++
      :: calm && calm_age == CALM_BOUND -> check_served()
      :: else
      fi;
#endif
      skip }
#ifdef CALM_BOUND
  :: d_step { !calm -> SAY0("calm\n"); calm = 1; for (a : 0 .. N * N - 1) { spoke[a] = 0 } skip }
#endif
  od
}

init {
  d_step {
    for (x : 0 .. N - 1) {
#ifdef HORIZON
      node[x].state = UP; node[x].weight = 1;
#else
      node[x].state = LISTENING; node[x].due = 1; node[x].lease = LEASE;
#endif
      for (y : 0 .. N - 1) {
        contact[AT(x, y)] = (x < y -> CONTACT : 0);
#ifdef HORIZON
        if
        :: x != y ->
          member[AT(x, y)].known = 1; member[AT(x, y)].current = 1; member[AT(x, y)].state = UP;
          member[AT(x, y)].weight = 1; member[AT(x, y)].listing = HEARD; member[AT(x, y)].confirmed = 1;
          member[AT(x, y)].hears = (N > 2 -> (1 << N) - 1 - (1 << y) : 0);
          contact[AT(x, y)] = 0
        :: else
        fi
#endif
      }
    }
  }
  atomic {
    for (x : 0 .. N - 1) {
      run Machine(x);
      for (y : 0 .. N - 1) {
        if
        :: x != y && !MULTICASTS -> run Link(x, y)
        :: else
        fi
      }
    }
    run Clock()
  }
}

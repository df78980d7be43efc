/* SPDX-License-Identifier: MIT
 * A hart is started, and comes in time, late or never: kernel/smp/arrival.hpp with start_hart() and the hart's own
 * report_arrival(). */
byte mutant;
#define gives_up_by_a_store   (mutant == 1)  /* not a compare-exchange: a hart that came in the same moment is lost */
#define reports_by_a_store    (mutant == 2)  /* a hart that was given up takes part all the same */
#define waits_without_end     (mutant == 3)  /* no deadline */

mtype = { Expected, Came, GivenUp };
mtype state = Expected;
bool is_counted;     /* start_hart() returned true */
bool has_returned;   /* start_hart() returned */
bool takes_part;
bool is_parked;
bool never_comes;

proctype starter() {
    do
    :: state == Came -> is_counted = true; break
    :: !waits_without_end ->                 /* the deadline has passed */
           if
           :: gives_up_by_a_store -> if :: state == Expected -> state = GivenUp; break :: else fi
           :: else ->
                  if
                  :: atomic { state == Expected -> state = GivenUp }; break
                  :: state == Came -> is_counted = true; break
                  fi
           fi
    od;
    has_returned = true
}

proctype started() {
    if
    :: never_comes = true
    :: skip ->
           if
           :: reports_by_a_store -> state = Came; takes_part = true
           :: else ->
                  if
                  :: atomic { state == Expected -> state = Came }; takes_part = true
                  :: state == GivenUp -> is_parked = true
                  fi
           fi
    fi
}

init {
    c_code { now.mutant = getenv("MUTANT") ? atoi(getenv("MUTANT")) : 0; };
    atomic { run starter(); run started() }
}

ltl starter_returns { <> has_returned }
ltl both_agree { [] ((has_returned && (takes_part || is_parked)) -> (is_counted == takes_part)) }
ltl nobody_hangs { <> (never_comes || takes_part || is_parked) }

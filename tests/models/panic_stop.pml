/* SPDX-License-Identifier: MIT
 * Harts panic, also inside the report, and the others stop: kernel/init/panic.cpp with the hook that parks a hart at
 * its next interrupt (boot_devices.cpp). One hart may hang with interrupts off. */
#define HARTS 3
#define PANICS 4      /* in all; more than that would be a report that never ends */

byte mutant;
#define claims_by_a_store  (mutant == 1)  /* reporting_hart is looked at and then set */
#define has_no_stages      (mutant == 2)  /* a nested panic begins the report anew */
#define waits_for_all      (mutant == 3)  /* the reporter waits for the others without a deadline */
#define does_not_stop      (mutant == 4)  /* no interrupt is sent to the others */

mtype = { Claimed, Printing, Closed, PoweringOff };
byte reporter;               /* reporting_hart: number + 1 */
mtype stage = Claimed;
byte panics;
bool interrupt[HARTS];
bool is_parked[HARTS];
bool is_hung[HARTS];
byte begins;                 /* lines "KERNEL PANIC begin" */
byte ends;                   /* lines "KERNEL PANIC end" */
byte reporters;              /* harts that passed the claim */
bool is_off;                 /* the firmware was asked to power off, or the reporter parked */

/* Printing a line, or anything else on the way, may panic again. */
#define may_panic  panics < PANICS -> panics++; goto nested

proctype hart(byte me) {
    byte other;
    /* runs, until it panics, is interrupted by who does, or hangs */
    if
    :: panics < PANICS -> panics++
    :: interrupt[me] && reporter != 0 -> goto park
    :: is_hung[0] == false && me == 0 -> is_hung[me] = true; goto hangs
    fi;
    if
    :: claims_by_a_store ->
           if
           :: reporter == 0 -> reporter = me + 1
           :: else -> goto park
           fi
    :: else ->
           if
           :: atomic { reporter == 0 -> reporter = me + 1 }
           :: reporter != 0 -> goto park
           fi
    fi;
    reporters++;
    if
    :: !does_not_stop ->
           for (other : 0 .. HARTS - 1) { if :: other != me -> interrupt[other] = true :: else fi }
           if
           :: waits_for_all -> (is_parked[(me + 1) % HARTS] && is_parked[(me + 2) % HARTS])
           :: else    /* or until the deadline: any moment */
           fi
    :: else
    fi;
    if :: may_panic :: skip fi;
begin:
    stage = Printing;
    begins++;
    if :: may_panic :: skip fi;
    stage = Closed;
    ends++;
    if :: may_panic :: skip fi;
off:
    stage = PoweringOff;
    is_off = true;
    goto park;
nested:
    if
    :: has_no_stages -> if :: begins < 4 -> goto begin :: else -> goto hangs fi
    :: else ->
           if
           :: stage == Claimed -> stage = Printing; begins++; if :: may_panic :: skip fi; stage = Closed; ends++; goto off
           :: stage == Printing -> stage = Closed; if :: may_panic :: skip fi; ends++; goto off
           :: stage == Closed -> goto off
           :: stage == PoweringOff -> goto park
           fi
    fi;
park:
    is_parked[me] = true;
hangs:
    skip
}

init {
    c_code { now.mutant = getenv("MUTANT") ? atoi(getenv("MUTANT")) : 0; };
    atomic { run hart(0); run hart(1); run hart(2) }
}

#define others_stop  (is_hung[0] || is_parked[0]) && (is_parked[1] && is_parked[2])

ltl one_reports { [] (reporters <= 1) }
ltl one_report { [] (begins <= 1 && ends <= 1) }
ltl machine_ends { [] (reporter != 0 -> <> is_off) }
ltl harts_stop { [] (reporter != 0 -> <> (others_stop)) }

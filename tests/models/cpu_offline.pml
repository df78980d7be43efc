/* SPDX-License-Identifier: MIT
 * A CPU goes offline and comes back: kernel/task/cpu_online.cpp with the idle loop of dispatcher.cpp and the inbox
 * of wake.cpp. README.md says which line stands for what. */
#define ROUNDS 2   /* how often the operator switches it off and on */
#define TASKS 2    /* tasks that wake while that goes on, each once */

mtype = { Online, Leaving, Offline };

byte mutant;                  /* 0: as the kernel; else one of the defects below */
#define operator_does_not_kick   (mutant == 1)  /* take_offline() without kick() */
#define enlists_late             (mutant == 2)  /* the caller begins to wait after the hart may have said that it is gone */
#define acknowledges_late        (mutant == 3)  /* ipi_pending is cleared after the inbox was taken */
#define offline_is_deaf          (mutant == 4)  /* a hart that is offline does not send on what still comes */
#define sender_does_not_kick     (mutant == 5)  /* send_to() without kick() */

mtype presence = Online;
bool online_bit = true;       /* its bit in online_mask */
bool is_pending;              /* Hart::ipi_pending */
bool interrupt;               /* the software interrupt, which ends wfi */
byte inbox;
byte placed;                  /* tasks that run somewhere */
bool is_waiting;              /* the operator is on Hart::gone and not woken */
bool gone_lock;
byte rounds_done;

inline kick() {
    atomic {
        if
        :: !is_pending -> is_pending = true; interrupt = true
        :: else
        fi
    }
}

active proctype hart() {
end_idle:
    do
    :: /* handle_ipi() and drain_inbox() */
       if
       :: interrupt -> interrupt = false; if :: !acknowledges_late -> is_pending = false :: else fi
       :: else
       fi;
       if
       :: inbox > 0 && !(offline_is_deaf && presence == Offline) ->
              atomic { placed = placed + inbox; inbox = 0 }  /* runs it here, or place() elsewhere */
       :: else
       fi;
       if :: acknowledges_late -> is_pending = false :: else fi;
       /* leave() */
       if
       :: presence == Leaving && inbox == 0 ->
              presence = Offline;
              atomic { !gone_lock -> gone_lock = true };
              is_waiting = false;
              gone_lock = false
       :: else
       fi;
       /* runs a program until it is interrupted, or: has_arrivals() for the last time, and wait_for_interrupt() */
       if
       :: presence == Online -> interrupt
       :: inbox > 0 && !(offline_is_deaf && presence == Offline)
       :: else -> interrupt
       fi
    od
}

active proctype operator() {
    do
    :: rounds_done < ROUNDS ->
           atomic { !gone_lock -> gone_lock = true };
           if :: !enlists_late -> is_waiting = true :: else fi;
           presence = Leaving;
           if :: enlists_late -> gone_lock = false; is_waiting = true :: else fi;
           online_bit = false;
           gone_lock = false;
           if :: !operator_does_not_kick -> kick() :: else fi;
           !is_waiting;
           rounds_done++;
           if
           :: presence = Online; online_bit = true; kick()
           :: rounds_done == ROUNDS         /* it stays off */
           fi
    :: else -> break
    od
}

active [TASKS] proctype waker() {
    if
    :: online_bit -> inbox++; if :: !sender_does_not_kick -> kick() :: else fi
    :: else -> placed++           /* on another hart */
    fi
}

init { c_code { now.mutant = getenv("MUTANT") ? atoi(getenv("MUTANT")) : 0; } }

ltl everybody_runs { <> (placed == TASKS) }
ltl operator_returns { <> (rounds_done == ROUNDS) }

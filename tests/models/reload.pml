/* SPDX-License-Identifier: MIT
 * SIGHUP and the end of children against execd's wait: NexusKernel::wait() and take_reload() of
 * execd/nexus_kernel.cpp, both with control channels (ppoll) and without (sigtimedwait). Signals are blocked but in
 * the wait itself; a signal stands for any number of its kind. */
#define RELOADS 2
#define CHILDREN 2

byte mutant;
#define signals_are_open      (mutant == 1)  /* not blocked outside ppoll(): one that comes before the wait does not end it */
#define forgets_what_it_took  (mutant == 2)  /* sigtimedwait() takes SIGHUP and nothing notes it */
#define reaps_one_per_signal  (mutant == 3)  /* a child is asked for only when SIGCHLD came */

bool with_channels;
bool hup_pending;       /* in the kernel */
bool chld_pending;
bool reload_noted;
byte newest;            /* which recipes are there: the number of the last edit */
byte in_force;          /* which ones were read last */
byte ended;             /* children that have ended and are not reaped */
byte reaped;
bool woken;             /* a handler ran inside ppoll() */

proctype execd() {
    bool asked;
end_wait:
    do
    :: asked = false;
       /* waitpid(WNOHANG); a reload that was asked for before comes first */
       if
       :: ended > 0 && !reaps_one_per_signal -> atomic { ended--; reaped++ }
       :: else
       fi;
       /* take_reload() */
       atomic {
           if
           :: reload_noted -> reload_noted = false; asked = true
           :: else -> if :: hup_pending -> hup_pending = false; asked = true :: else fi
           fi
       };
       if
       :: asked -> in_force = newest
       :: else ->
              if
              :: ended > 0 && !reaps_one_per_signal       /* there is more: not yet */
              :: else ->
                     if
                     :: with_channels ->
                            /* ppoll(others): opens the signals and sleeps, at once */
                            woken = false;
                            if
                            :: signals_are_open -> (woken)
                            :: else ->
                                   atomic { (hup_pending || chld_pending) ->
                                       if :: hup_pending -> reload_noted = true :: else fi;
                                       if :: chld_pending && reaps_one_per_signal && ended > 0 -> ended--; reaped++ :: else fi;
                                       hup_pending = false; chld_pending = false }
                            fi
                     :: else ->
                            if
                            :: atomic { hup_pending -> hup_pending = false;
                                   if :: !forgets_what_it_took -> reload_noted = true :: else fi }
                            :: atomic { chld_pending -> chld_pending = false;
                                   if :: reaps_one_per_signal && ended > 0 -> ended--; reaped++ :: else fi }
                            fi
                     fi
              fi
       fi
    od
}

/* Somebody edits recipes and says so. */
proctype person() {
    do
    :: newest < RELOADS ->
           newest++;
           atomic { if
           :: signals_are_open && with_channels -> reload_noted = true; woken = true
           :: else -> hup_pending = true
           fi }
    :: else -> break
    od
}

proctype child() {
    atomic { ended++;
        if
        :: signals_are_open && with_channels -> woken = true
        :: else -> chld_pending = true
        fi }
}

init {
    c_code { now.mutant = getenv("MUTANT") ? atoi(getenv("MUTANT")) : 0; };
    if :: with_channels = true :: skip fi;
    atomic { run execd(); run person(); run child(); run child() }
}

/* There are no newer ones to come: once in force they stay. */
ltl newest_recipes_come_in_force { <> (in_force == RELOADS) }
ltl children_are_reaped { <> (reaped == CHILDREN) }

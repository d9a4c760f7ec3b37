/* One trial of the fault injection, and the row of the table that it belongs to.
 *
 * SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_FAULTS_TRIAL_H
#define GN_TESTS_FAULTS_TRIAL_H

#include <stdint.h>

#include "run.h"

#define NEW_RUN "train --data ../games.gomoku --board-size 5 --num-blocks 1 --channels 2 " \
                "--batch-size 4 --threads 1 --save-every 1 --eval-every 2 --out run --steps 3"
#define GO_ON "train --resume run --steps 3"
#define GO_FAR "train --resume run --steps 8"
#define GO_FAR_UNSAVED GO_FAR " --save-every 1000"

#define NEW_GAMES "games --make 3 --board-size 5 --out g.gomoku.gz"
#define NEW_GOLDEN "golden --board-size 5 --num-blocks 1 --channels 2 --batch-size 2 --threads 1 " \
                   "--no-inference --out g."

/* What is at stake in a trial, and what is looked at behind it; ONE_FILE: the one that the command
 * ends with, of which the root has an `old.` and a `new.`. */
typedef enum stake { OLD_STATE, NEW_FOLDER, NO_FILE, ONE_FILE } stake;
/* How the number of a trial becomes a fault. */
typedef enum sweep { NTH_CALL, BYTES_OF_DISK, BYTES_OF_MEMORY, SIZE_OF_DISK, MOMENT } sweep;

typedef struct row {
    const char *name;
    stake stake;
    sweep sweep;
    const char *calls, *effect; /* of the shim; sweeps over a size: a step of it in `effect` */
    int signal_number, trials;  /* NTH_CALL: trials is the stride, 0 is 1 */
    const char *command;
} row;

/* What the trials of a row came to; in memory that the workers share. */
typedef struct tally {
    long tried, told, harmless, stopped, resumed, wrong;
    long next; /* the trial that no worker has taken */
} tally;

extern place at;
extern double whole_time; /* of the run without a fault */

/* In the worker's folder: makes the n-th fault of a row happen and judges what is left. */
void trial(const row *r, tally *t, long number, uint64_t draw);
/* How many calls of the row's kind the command makes where nothing fails. */
long calls_of(const row *r);

#endif

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""GomokuNet's training steps and inference beside PyTorch's: one table from one run.

    bench/run.py [--pairs N] [--rows PATTERN] [--tries N] [--quick]

In each round ours and the peer's variants take turns, the other way round in every second one, and
the machine's peak of fused multiply-adds is measured between any two of them.  A run counts where
the peaks before and after it differ by no more than 5 %; one that was not still is repeated at
once, up to N tries.  A ratio is taken of two runs of one round that both count and whose peaks
agree too.  The table has medians and, last, how many rounds gave each ratio at least; where none
gave one, all of them count, and the ratio has a "~".  It goes to stdout, every round as a line of
JSON to $BUILD/bench.jsonl.  Without PyTorch the peer's columns stay empty.
"""
import argparse
import fnmatch
import json
import os
import statistics
import subprocess
import sys

import common
from common import BUILD

PYTHON = os.environ.get("PYTHON", "/usr/bin/python3")
# glibc's malloc as shipped gives the pages of large blocks back at every free.
KEEPS_PAGES = {"MALLOC_MMAP_THRESHOLD_": "17179869184", "MALLOC_TRIM_THRESHOLD_": "17179869184",
               "MALLOC_TOP_PAD_": "268435456"}
# name: words, environment, and whether it is there for training and for inference
PEERS = {"channels_last": ([], {}, True, True), "keeping pages": ([], KEEPS_PAGES, True, False),
         "default": (["contiguous"], {}, True, True), "frozen": (["frozen"], {}, False, True)}

# name: blocks, channels, batch, policy, repetitions, kind
ROWS = {
    "dense 30x192 batch 32": (30, 192, 32, "none", 3, ""),
    "dense 30x192 batch 32 checkpointed": (30, 192, 32, "block", 3, ""),
    "dense 30x192 batch 32 cheap": (30, 192, 32, "cheap", 3, ""),
    "dense 30x192 batch 128": (30, 192, 128, "none", 1, ""),
    "dense 6x64 batch 256": (6, 64, 256, "none", 5, ""),
    "dense 6x64 batch 256 checkpointed": (6, 64, 256, "block", 5, ""),
    "dense 6x64 batch 256 cheap": (6, 64, 256, "cheap", 5, ""),
    "separable 30x192 batch 32": (30, 192, 32, "none", 3, "separable"),
    "separable 6x64 batch 256": (6, 64, 256, "none", 5, "separable"),
    "inference dense 30x192 batch 1": (30, 192, 1, "inference", 20, ""),
    "inference dense 30x192 batch 32": (30, 192, 32, "inference", 3, ""),
    "inference separable 30x192 batch 1": (30, 192, 1, "inference", 50, "separable"),
    "inference separable 30x192 batch 32": (30, 192, 32, "inference", 5, "separable"),
    "inference dense 6x64 batch 1": (6, 64, 1, "inference", 99, ""),
}


def fits(peer, row):
    return PEERS[peer][3 if row[3] == "inference" else 2]


def command(who, row):
    """Of ours, or of a peer, which has no "cheap" and is run without recomputation instead."""
    arguments = [str(word) for word in row if word != ""]
    if who == "ours":
        return [BUILD + "/bench_step"] + arguments, {}
    words, environment = PEERS[who][:2]
    return ([PYTHON, "bench/torch_step.py"] +
            ["none" if word == "cheap" else word for word in arguments] + words, environment)


def round_of(row, peers, tries, backwards):
    result, peak = {}, None
    everyone = ["ours"] + [peer for peer in peers if fits(peer, row)]
    for who in reversed(everyone) if backwards else everyone:
        result[who] = common.between_peaks(lambda: common.run(*command(who, row)), tries,
                                           before=peak)
        peak = result[who]["after"]
    return result


def median(rounds, who, key="positions_per_second"):
    """Over the runs that count, or over all."""
    runs = [r[who] for r in rounds]
    return statistics.median(r[key] for r in [r for r in runs if r["still"]] or runs)


def ratio(rounds, peer):
    """Ours over the peer's, and how many pairs were left: 0 where all were taken."""
    def counts(r):
        return (r["ours"]["still"] and r[peer]["still"] and
                common.agree((r["ours"]["peak"], r[peer]["peak"])))
    pairs = [r for r in rounds if counts(r)]
    return statistics.median(r["ours"]["positions_per_second"] / r[peer]["positions_per_second"]
                             for r in pairs or rounds), len(pairs)


def print_row(name, rounds, peers):
    there = [peer for peer in peers if peer in rounds[0]]
    cells = "%-36s %9.1f %7.1f %5.2f" % (name, median(rounds, "ours"),
                                         median(rounds, "ours", "gflops"),
                                         median(rounds, "ours", "share"))
    left = []
    for peer in PEERS:
        if peer in there:
            times, pairs = ratio(rounds, peer)
            left.append(pairs)
            cells += " %9.1f %5.2f%s" % (median(rounds, peer), times, " " if pairs else "~")
        else:
            cells += " %9s %5s " % ("-", "-")
    cells += " %7.0f" % median(rounds, "ours", "resident_mib")
    cells += " %7.0f" % median(rounds, there[0], "resident_mib") if there else " %7s" % "-"
    print(cells + ("  %d of %d" % (min(left), len(rounds)) if left else ""), flush=True)


def torch_version():
    try:
        asked = subprocess.run([PYTHON, "-c", "import torch; print(torch.__version__)"],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               universal_newlines=True)
    except FileNotFoundError:
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None


def main():
    options = argparse.ArgumentParser(description="speed beside PyTorch's")
    options.add_argument("--pairs", type=int, default=3, help="rounds a row (3)")
    options.add_argument("--rows", default="*", help="rows whose name fits, with * and ?")
    options.add_argument("--tries", type=int, default=3, help="runs until one is still (3)")
    options.add_argument("--quick", action="store_true", help="one round, one try, one peer")
    chosen = options.parse_args()
    if chosen.quick:
        chosen.pairs = chosen.tries = 1
    version = torch_version()
    peers = [] if version is None else ["channels_last"] if chosen.quick else list(PEERS)
    rows = {n: r for n, r in ROWS.items() if fnmatch.fnmatch(n, "*%s*" % chosen.rows)}
    if not rows:
        sys.exit("bench: --rows %s: no such row" % chosen.rows)
    isa = common.run([common.PROGRAM, "info", "--json"])["isa"]
    print("%d threads, %s, peak %.0f GFLOP/s, memory %.0f GB/s; positions a second; the peer is %s"
          % (os.cpu_count(), isa, common.machine("peak"), common.machine("bandwidth"),
             "PyTorch " + version if version else "not there (Debian: python3-torch)"))
    print("%-36s %9s %7s %5s" % ("", "ours", "GFLOP/s", "/peak"), end="")
    for peer in PEERS:
        print(" %16s" % peer, end="")
    print(" %7s %7s  pairs" % ("MiB", "peer's"), flush=True)
    with open(BUILD + "/bench.jsonl", "w") as log:
        for name, row in rows.items():
            rounds = []
            for number in range(max(chosen.pairs, 1)):
                rounds.append(round_of(row, peers, chosen.tries, number % 2 == 1))
                log.write(json.dumps({"row": name, **rounds[-1]}) + "\n")
                log.flush()
            print_row(name, rounds, peers)


if __name__ == "__main__":
    main()

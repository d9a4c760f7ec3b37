#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""GomokuNet's training steps and inference beside PyTorch's: one table from one run.

    bench/run.py [--pairs N] [--rows PATTERN] [--quick]

Ours and the peer's variants run in turn, the machine's peak of fused multiply-adds before and after
each round.  A round in which the peak moved by over 5 % is discarded; where none is left all of them
count, and the row says so.  Medians.  The table goes to stdout, every round as a line of JSON to
$BUILD/bench.jsonl.  Without PyTorch the peer's columns stay empty.
"""
import argparse
import fnmatch
import json
import os
import statistics
import subprocess
import sys

BUILD = os.environ.get("BUILD", "build")
PYTHON = os.environ.get("PYTHON", "/usr/bin/python3")
FLAGS = "-std=c11 -D_POSIX_C_SOURCE=200809L -O2 -fopenmp -Iinclude -Isrc".split()
# glibc's malloc as shipped gives the pages of large blocks back at every free.
KEEPS_PAGES = {"MALLOC_MMAP_THRESHOLD_": "17179869184", "MALLOC_TRIM_THRESHOLD_": "17179869184",
               "MALLOC_TOP_PAD_": "268435456"}
PEERS = {"channels_last": ([], {}), "keeping pages": ([], KEEPS_PAGES),
         "default": (["contiguous"], {})}

# name: blocks, channels, batch, policy, repetitions, kind; the peer that is compared
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
STILL = 0.05


def build():
    libraries = open(BUILD + "/libs").read().split()
    for program in ("bench_step", "bench_kernels"):
        subprocess.run([os.environ.get("CC", "cc")] + FLAGS +
                       ["bench/%s.c" % program, BUILD + "/libgomokunet.a"] + libraries +
                       ["-lm", "-o", "%s/%s" % (BUILD, program)], check=True)


def run(command, extra=None):
    done = subprocess.run(command, env=dict(os.environ, **(extra or {})), check=True,
                          stdout=subprocess.PIPE, universal_newlines=True)
    return json.loads(done.stdout)


def machine(what):
    return run([BUILD + "/bench_kernels", "fast", str(os.cpu_count()), what])


def round_of(row, peers):
    arguments = [str(word) for word in row if word != ""]
    result = {"before": machine("peak"), "ours": run([BUILD + "/bench_step"] + arguments)}
    for name in peers:
        words, environment = PEERS[name]
        policy = ["none" if word == "cheap" else word for word in arguments]
        result[name] = run([PYTHON, "bench/torch_step.py"] + policy + words, environment)
    result["after"] = machine("peak")
    result["still"] = abs(result["before"] - result["after"]) <= STILL * result["before"]
    return result


def median(rounds, key, number="positions_per_second"):
    return statistics.median(r[key][number] for r in rounds)


def print_row(name, rounds, peers):
    still = [r for r in rounds if r["still"]]
    used = still or rounds
    ours = median(used, "ours")
    peak = statistics.median((r["before"] + r["after"]) / 2 for r in used)
    share = median(used, "ours", "gflops") / peak
    cells = "%-36s %9.1f %7.1f %5.2f" % (name, ours, median(used, "ours", "gflops"), share)
    for peer in PEERS:
        if peer in peers:
            theirs = median(used, peer)
            cells += " %9.1f %5.2f" % (theirs, ours / theirs)
        else:
            cells += " %9s %5s" % ("-", "-")
    cells += " %7.0f" % median(used, "ours", "resident_mib")
    cells += " %7.0f" % median(used, "channels_last", "resident_mib") if peers else " %7s" % "-"
    print(cells + ("" if still else "  (the peak moved in every round)"), flush=True)


def torch_version():
    asked = subprocess.run([PYTHON, "-c", "import torch; print(torch.__version__)"],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                           universal_newlines=True)
    return asked.stdout.strip() if asked.returncode == 0 else None


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--pairs", type=int, default=3, help="rounds a row (3)")
    options.add_argument("--rows", default="*", help="rows whose name fits, with * and ?")
    options.add_argument("--quick", action="store_true", help="one round, one peer")
    chosen = options.parse_args()
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    build()
    version = torch_version()
    peers = [] if version is None else ["channels_last"] if chosen.quick else list(PEERS)
    rows = {n: r for n, r in ROWS.items() if fnmatch.fnmatch(n, "*%s*" % chosen.rows)}
    if not rows:
        sys.exit("bench: --rows %s: no such row" % chosen.rows)
    isa = run([BUILD + "/gomokunet", "info", "--json"])["isa"]
    print("%d threads, %s, peak %.0f GFLOP/s, memory %.0f GB/s; positions a second; the peer is %s"
          % (os.cpu_count(), isa, machine("peak"), machine("bandwidth"),
             "PyTorch " + version if version else "not there (Debian: python3-torch)"))
    print("%-36s %9s %7s %5s" % ("", "ours", "GFLOP/s", "/peak"), end="")
    for peer in PEERS:
        print(" %15s" % peer, end="")
    print(" %7s %7s" % ("MiB", "peer's"), flush=True)
    with open(BUILD + "/bench.jsonl", "w") as log:
        for name, row in rows.items():
            rounds = []
            for _ in range(1 if chosen.quick else chosen.pairs):
                rounds.append(round_of(row, peers))
                log.write(json.dumps({"row": name, **rounds[-1]}) + "\n")
                log.flush()
            print_row(name, rounds, peers)


if __name__ == "__main__":
    main()

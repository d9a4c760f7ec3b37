# SPDX-License-Identifier: MIT
"""What the benchmarks share: running programs, the machine's peak around each run, JSON lines."""
import json
import os
import subprocess
import sys

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
BUILD = os.environ.get("BUILD", "build")
STILL = 0.05  # a run counts where the peak before and after it differ by no more
PROGRAM = BUILD + "/gomokunet"


def run(command, environment=None, stderr=None):
    """The last line that the command prints, as JSON."""
    done = subprocess.run([str(word) for word in command], check=False, stdout=subprocess.PIPE,
                          stderr=stderr, env=dict(os.environ, **(environment or {})),
                          universal_newlines=True)
    if done.returncode != 0:
        sys.exit("%s: exit status %d" % (" ".join(map(str, command)), done.returncode))
    return json.loads(done.stdout.splitlines()[-1])


def machine(what, threads=None):
    """The machine's "peak" in GFLOP/s, or its "bandwidth" in GB/s."""
    return run([BUILD + "/bench_kernels", "fast", threads or os.cpu_count(), what])


def agree(peaks):
    return max(peaks) <= (1 + STILL) * min(peaks)


def between_peaks(measure, tries, threads=None, before=None):
    """What measure() returns, with the peaks around it, the first try in which they agree; where
    none does, the last one.  `before`: the peak as somebody measured it just now."""
    for _ in range(max(tries, 1)):
        before = machine("peak", threads) if before is None else before
        result = measure()
        after = machine("peak", threads)
        result.update(before=before, after=after, peak=max(before, after),
                      still=agree((before, after)))
        if "gflops" in result:
            result["share"] = result["gflops"] / result["peak"]
        if result["still"]:
            break
        before = after
    return result


def games(board):
    """A few built-in games, so that a short run does not spend its time on making many."""
    path = BUILD + "/bench-%d.gomoku.gz" % board
    if not os.path.exists(path):
        run([PROGRAM, "games", "--make", 20, "--board-size", board, "--out", path,
                    "--json"], stderr=subprocess.DEVNULL)
    return path


def profile(arguments, folder):
    """A training run's profile: a step has seconds, other_seconds and rows of op, pass, calls,
    seconds, flops, bytes."""
    found = run([PROGRAM, "train", "--profile", "--json", "--eval-fraction", 0, "--out", folder] +
                list(arguments), stderr=subprocess.DEVNULL)["profile"]
    for row in found["rows"]:
        for key in ("calls", "seconds", "flops", "bytes"):
            row[key] /= found["steps"]
    return {"seconds": found["seconds"] / found["steps"],
            "other_seconds": found["other_seconds"] / found["steps"], "rows": found["rows"]}


def read_lines(path):
    try:
        with open(path) as lines:
            return [json.loads(line) for line in lines]
    except FileNotFoundError:
        return []


def write_lines(path, lines):
    with open(path + ".tmp", "w") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)
    os.replace(path + ".tmp", path)

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How many mistakes are found, and how many are called by their names.

    naming_rate.py PROGRAM [--only PATTERN] [--files dense,...] [--least RATE]   (build/gomokunet)

Every mistake of mistakes.py is made on golden files of a dense and a separable network, and on one
whose weights have zeros, as pruning leaves them.  `verify` must call each one wrong (or name the
precision), and `diagnose` should name it.  What computes the same in another way must be in bounds.
A mistake that changes no number of a file cannot be found in it, and is told.
"""
import argparse
import fnmatch
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch

import safetensors_io as files
from mistakes import MISTAKES, VARIANTS
from port import Golden, Port

# The rate is large, or the decay would be lost in rounding; the seeds draw games that were won, or
# the sign of a value would not matter.
SIZES = ["--board-size", "7", "--num-blocks", "2", "--channels", "18", "--batch-size", "6",
         "--lr", "0.05"]
SEEDS = {"dense": "2", "separable": "9", "zeros": "9"}


def program(arguments, good=(0, 1)):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=600)
    if done.returncode not in good:
        sys.exit("gomokunet %s: exit %d\n%s" % (" ".join(arguments), done.returncode, done.stderr))
    return done.stdout


def golden_files(folder):
    """name -> Golden."""
    made = {}
    for name in ("dense", "separable"):
        path = os.path.join(folder, name + ".safetensors")
        program(["golden", *SIZES, "--conv", name, "--seed", SEEDS[name], "--out", path], (0,))
        made[name] = Golden(path)
    weights, path = (os.path.join(folder, "zeros%s.safetensors" % end) for end in (".model", ""))
    files.save(weights, pruned(made["dense"]))
    program(["golden", *SIZES, "--seed", SEEDS["zeros"], "--model", weights, "--out", path], (0,))
    made["zeros"] = Golden(path)
    return made


def pruned(golden):
    """A state dict with channels that are off: what rectifiers read there is 0 exactly."""
    state = {name: tensor.numpy().copy() for group in ("param", "buffer")
             for name, tensor in golden.group(group).items()}
    for name, array in state.items():
        if name.endswith(("conv1.bn.weight", "conv1.bn.bias", "conv2.bn.weight", "conv2.bn.bias",
                          "value_conv.1.weight", "value_conv.1.bias")):
            array[::4] = 0
    return state


def same(a, b):
    return all(np.array_equal(a[name], b[name], equal_nan=True) for name in b)


def judge(golden, path):
    """(verify's verdict, the first wrong tensor)."""
    found = json.loads(program(["verify", golden, path, "--json"]))
    wrong = [tensor["name"] for tensor in found["tensors"] if tensor["verdict"] == "wrong"]
    return found["verdict"], (wrong or ["-"])[0]


def diagnose(golden, path):
    """The name of what explains most, what cannot be told from it, and how many tensors remain."""
    found = json.loads(program(["diagnose", golden, path, "--json"]))
    causes = found["causes"]
    names = [[cause["name"], *cause["tied"]] for cause in causes]
    return names, found["unexplained"]


def can_diagnose():
    return subprocess.run([PROGRAM, "diagnose", "--list"], capture_output=True).returncode == 0


class Rate:
    """good of all, and what was not."""

    def __init__(self, title):
        self.title, self.good, self.all, self.faults = title, 0, 0, []

    def count(self, good, fault):
        self.all += 1
        self.good += good
        if not good:
            self.faults.append(fault)

    def report(self):
        print("\n".join(self.faults))
        print("%s: %d of %d" % (self.title, self.good, self.all), flush=True)


class Rates:
    def __init__(self):
        self.inside = Rate("right, in another way, and inside the bounds")
        self.found = Rate("mistakes found")
        self.precision = Rate("precisions named")
        self.quiet = Rate("not in the catalogue, and not named")
        self.named = Rate("naming rate")
        self.seen = Rate("mistakes that change a number of some file")
        self.tied = 0

    def report(self):
        for rate in (self.seen, self.inside, self.found, self.precision):
            rate.report()
        if DIAGNOSE:
            self.quiet.report()
            self.named.report()
            print("naming rate: %.1f %%; %d more are told as one of several"
                  % (100 * self.named.good / max(self.named.all, 1), self.tied))

    def status(self):
        rate = self.named.good / max(self.named.all, 1)
        complete = all(r.good == r.all for r in (self.seen, self.inside, self.found, self.precision))
        return 0 if complete and (not DIAGNOSE or rate >= given.least) else 1


def trial(kind, golden, name, port, sound, path, rates):
    """The table's row; None where the mistake changes nothing."""
    run = port(golden)
    tensors = run.run()
    if name in MISTAKES and same(tensors, sound):
        return None
    files.save(path, tensors, run.metadata("trace", "PyTorch, " + name), "given")
    verdict, first = judge(golden.path, path)
    row = [name, kind, verdict, first]
    where = "%s in %s is %s, first %s" % (name, kind, verdict, first)
    inside = verdict in ("bits", "bound")
    if name in VARIANTS:
        rates.inside.count(inside, where)
        return row + ["-", ""]
    rates.found.count(not inside, where)
    if port.verdict != "wrong":
        rates.precision.count(verdict == port.verdict, where)
    if port.verdict != "wrong" or not DIAGNOSE:
        return row + ["-", ""]
    names, unexplained = diagnose(golden.path, path)
    text = "; ".join("=".join(cause) for cause in names) or "none explains"
    where = "%s in %s is called %s" % (name, kind, text)
    text += " (%d left)" % unexplained if unexplained else ""
    if name.startswith("not-listed-"):
        rates.quiet.count(not names, where)
        return row + [text, "NO" if names else "yes"]
    good, tied = bool(names) and names[0][0] == name, bool(names) and name in names[0][1:]
    rates.named.count(good, where)
    rates.tied += tied
    return row + [text, "yes" if good else "tied" if tied else "NO"]


def main():
    rates, shown = Rates(), {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or temporary
        os.makedirs(folder, exist_ok=True)
        print("| mistake | file | verify | first wrong | diagnose | right |\n" + "|---" * 6 + "|")
        for kind, golden in golden_files(folder).items():
            if kind not in given.files.split(","):
                continue
            sound = Port(golden).run()
            for name, port in {**VARIANTS, **MISTAKES}.items():
                if not fnmatch.fnmatch(name, given.only):
                    continue
                path = os.path.join(folder, "%s-%s.safetensors" % (kind, name))
                row = trial(kind, golden, name, port, sound, path, rates)
                shown[name] = shown.get(name, False) or row is not None
                print("| %s |" % " | ".join(row or [name, kind, "changes nothing", "", "", ""]),
                      flush=True)
                if row is not None:
                    os.remove(path)
    for name in shown:
        rates.seen.count(shown[name], "%s changes nothing in any file" % name)
    rates.report()
    return rates.status()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("program")
    parser.add_argument("--only", default="*", help="mistakes whose name fits")
    parser.add_argument("--files", default="dense,separable,zeros", help="golden files, of these")
    parser.add_argument("--least", type=float, default=0.0, help="exit 1 below this naming rate")
    parser.add_argument("--folder", help="keep the golden files here")
    given = parser.parse_args()
    PROGRAM = os.path.abspath(given.program)
    torch.set_num_threads(1)
    DIAGNOSE = can_diagnose()
    sys.exit(main())

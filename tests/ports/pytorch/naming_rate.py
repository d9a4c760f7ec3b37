#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How many mistakes are found, and how many are called by their names.

    naming_rate.py PROGRAM [--only PATTERN] [--folder FOLDER]         (build/gomokunet)

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
import time

import numpy as np
import torch

import safetensors_io as files
from mistakes import MISTAKES, VARIANTS
from port import Golden, Port

# The rate is large, or the decay would be lost in rounding.
SIZES = ["--board-size", "9", "--num-blocks", "2", "--channels", "20", "--batch-size", "8",
         "--lr", "0.05"]


def program(arguments, good=(0, 1)):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=600)
    if done.returncode not in good:
        sys.exit("gomokunet %s: exit %d\n%s" % (" ".join(arguments), done.returncode, done.stderr))
    return done.stdout


def golden_files(folder):
    """name -> Golden."""
    made = {}
    for name, more in (("dense", []), ("separable", ["--conv", "separable", "--seed", "2"])):
        path = os.path.join(folder, name + ".safetensors")
        program(["golden", *SIZES, *more, "--out", path], (0,))
        made[name] = Golden(path)
    weights, path = (os.path.join(folder, "zeros%s.safetensors" % end) for end in (".model", ""))
    files.save(weights, pruned(made["dense"]))
    program(["golden", *SIZES, "--seed", "3", "--model", weights, "--out", path], (0,))
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


class Tally:
    def __init__(self):
        self.made = self.found = self.named = self.tied = self.listed = 0
        self.faults = []

    def fault(self, text):
        self.faults.append(text)


def trial(kind, golden, name, port, sound, path, tally):
    run = port(golden)
    tensors = run.run()
    if same(tensors, sound) and name in MISTAKES:
        return None
    files.save(path, tensors, run.metadata("trace", "PyTorch, " + name), "given")
    verdict, first = judge(golden.path, path)
    row = [name, kind, verdict, first]
    where = "%s in %s" % (name, kind)
    if name in VARIANTS:
        if verdict not in ("bits", "bound"):
            tally.fault("%s is %s at %s, and right" % (where, verdict, first))
        return row + ["-", ""]
    tally.made += 1
    tally.found += verdict == port.verdict
    if verdict != port.verdict:
        tally.fault("%s is %s, expected %s; first wrong: %s" % (where, verdict, port.verdict, first))
    if port.verdict != "wrong" or not DIAGNOSE:
        return row + ["-", ""]
    names, unexplained = diagnose(golden.path, path)
    text = "; ".join("=".join(cause) for cause in names) or "none explains"
    if name.startswith("not-listed-"):
        good = not names
        if not good:
            tally.fault("%s is called %s" % (where, text))
    else:
        tally.listed += 1
        good = bool(names) and names[0][0] == name
        tied = bool(names) and name in names[0][1:]
        tally.named += good
        tally.tied += tied
        if not good:
            tally.fault("%s is called %s" % (where, text))
        good = good or ("tied" if tied else False)
    return row + ["%s (%d left)" % (text, unexplained) if unexplained else text,
                  good if isinstance(good, str) else "yes" if good else "NO"]


def main():
    silent = []
    tally, started = Tally(), time.time()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or temporary
        os.makedirs(folder, exist_ok=True)
        made = golden_files(folder)
        print("| mistake | file | verify | first wrong | diagnose | right |\n|---|---|---|---|---|---|")
        for kind, golden in made.items():
            sound = Port(golden).run()
            for name, port in {**VARIANTS, **MISTAKES}.items():
                if not fnmatch.fnmatch(name, given.only):
                    continue
                path = os.path.join(folder, "%s-%s.safetensors" % (kind, name))
                row = trial(kind, golden, name, port, sound, path, tally)
                if row is None:
                    silent.append((name, kind))
                    continue
                print("| %s |" % " | ".join(row), flush=True)
                os.remove(path)
    for name, kind in silent:
        print("%s changes nothing in %s" % (name, kind))
        if all((name, other) in silent for other in made):
            tally.fault("%s changes nothing in any file" % name)
    print("\n".join(tally.faults))
    print("%d mistakes made, %d judged as they must be (%.0f s)"
          % (tally.made, tally.found, time.time() - started))
    if DIAGNOSE:
        print("naming rate: %d of %d, %.1f %%; %d more tied with their own name"
              % (tally.named, tally.listed, 100 * tally.named / max(tally.listed, 1), tally.tied))
    return 0 if tally.found == tally.made else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("program")
    parser.add_argument("--only", default="*", help="mistakes whose name fits")
    parser.add_argument("--folder", help="keep the golden files here")
    given = parser.parse_args()
    PROGRAM = os.path.abspath(given.program)
    torch.set_num_threads(1)
    DIAGNOSE = can_diagnose()
    sys.exit(main())

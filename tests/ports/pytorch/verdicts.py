#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What `verify` says of PyTorch's precisions: a table, and what must hold in it.

    verdicts.py PROGRAM            (build/gomokunet)

On the CPU: float32 is inside the bounds in every tensor, float64 too, and nearer the truth than the
contract; bfloat16 is named in every convolution.  Checkpointed, the gradients are the same bits, and
batch norms that were updated twice are found.  Where there is a CUDA device, TF32 on and off too.
"""
import json
import os
import subprocess
import sys
import tempfile

import torch

import safetensors_io as files
from port import Golden, Port

SIZES = ["--board-size", "9", "--num-blocks", "2", "--channels", "20", "--batch-size", "8",
         "--seed", "3", "--steps", "3", "--lr", "0.05"]
# A 3x3 convolution in a separable block has nine terms: float64 gains nothing there.
CONVOLUTIONS = (".conv", "pointwise", "_conv.0")
ORDER = ("bits", "bound", "ftz", "tf32", "fp16", "bf16", "unjudged", "wrong")


class Fault(Exception):
    pass


def expect(condition, text):
    if not condition:
        raise Fault(text)


def program(*arguments):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=900)
    expect(done.returncode in (0, 1), "gomokunet %s: exit %d\n%s"
           % (" ".join(arguments), done.returncode, done.stderr))
    return done.stdout


class Verdict:
    """verify's word on a candidate: its own, and by tensor."""

    def __init__(self, title, golden, folder, level="trace", **port):
        run = Port(golden, **port)
        self.path = os.path.join(folder, title.replace(" ", "-") + ".safetensors")
        self.tensors = run.run(level)
        files.save(self.path, self.tensors, run.metadata(level, "PyTorch, " + title), "given")
        found = json.loads(program("verify", golden.path, self.path, "--json"))
        self.title, self.whole = title, found["verdict"]
        self.findings = {tensor["name"]: tensor for tensor in found["tensors"]}
        counts = [(len(self.of(verdict)), verdict) for verdict in ORDER]
        print("%-28s %-9s %s" % (title, self.whole, "  ".join("%d %s" % pair for pair in counts
                                                              if pair[0])), flush=True)

    def of(self, *verdicts):
        return [name for name, tensor in self.findings.items() if tensor["verdict"] in verdicts]

    def inside(self):
        outside = self.of("ftz", "tf32", "fp16", "bf16", "wrong")
        expect(self.whole in ("bits", "bound") and not outside, "%s is %s: %s"
               % (self.title, self.whole, ", ".join(outside[:5])))

    def convolutions(self):
        return [name for name in self.findings if name.endswith(CONVOLUTIONS)
                and name.startswith(("forward/", "eval_forward/"))]

    def differs(self):
        """The tensors that are not the contract's: name -> whether they are nearer float64."""
        return {name: t["rms_error"] < t["reference_rms_error"]
                for name, t in self.findings.items()
                if t["different"] > 0 and t["verdict"] == "bound" and t["reference_rms_error"] > 0}


def on_cpu(kind, golden, folder):
    Verdict(kind + " float32", golden, folder).inside()
    wide = Verdict(kind + " float64", golden, folder, dtype="float64")
    wide.inside()
    near = wide.differs()
    print("%-28s nearer the truth than the contract in %d of %d tensors"
          % ("", sum(near.values()), len(near)))
    # An op of one rounding cannot be: what it read was rounded when it was written down.
    farther = [name for name in wide.convolutions() if not near.get(name, True)]
    expect(not farther and sum(near.values()) > 0.7 * len(near),
           "float64 is farther from the truth: %s" % farther)
    narrow = Verdict(kind + " bfloat16 autocast", golden, folder, dtype="bfloat16")
    expect(narrow.whole not in ("bits", "bound"), "bfloat16 is taken for float32")
    other = [name for name in narrow.convolutions()
             if narrow.findings[name]["verdict"] != "bf16"]
    expect(not other, "in bfloat16, and not named so: " + ", ".join(other[:5]))
    expect(len(narrow.of("wrong")) <= 1, "in bfloat16, and called wrong: "
           + ", ".join(narrow.of("wrong")))


def checkpointed(kind, golden, folder):
    plain = Verdict(kind + " gradients", golden, folder, level="gradients")
    again = Verdict(kind + " gradients, checkpointed", golden, folder, level="gradients",
                    use_checkpoint=True)
    same = program("verify", "--same", plain.path, again.path).strip().splitlines()[-1]
    expect(same == "verdict: bits", "checkpointing changes gradients: " + same)
    whole = Verdict(kind + " checkpointed", golden, folder, use_checkpoint=True)
    moved = [name for name in whole.findings if name.startswith("after/blocks.")
             and name.endswith(("running_mean", "running_var", "num_batches_tracked"))]
    missed = [name for name in moved if whole.findings[name]["verdict"] != "wrong"]
    expect(moved and not missed, "updated twice, and not found: " + ", ".join(missed))
    others = [name for name in whole.of("wrong") if name not in moved and "step/" not in name]
    expect(not others, "checkpointing makes wrong: " + ", ".join(others))
    return whole


def diagnosed(whole, golden):
    """Where there is a diagnosis, it must be the one that it is."""
    if subprocess.run([PROGRAM, "diagnose", "--list"], capture_output=True).returncode != 0:
        return
    found = json.loads(program("diagnose", golden.path, whole.path, "--json"))
    names = [cause["name"] for cause in found["causes"]]
    print("%-28s diagnosed as %s" % ("", ", ".join(names) or "nothing"))
    expect(names[:1] == ["bn-updated-twice"], "%s is diagnosed as %s" % (whole.title, names))


def on_cuda(kind, golden, folder):
    def tf32(on):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = on

    tf32(False)
    torch.backends.cudnn.deterministic = True
    exact = Verdict(kind + " CUDA", golden, folder, device="cuda")
    expect(exact.whole != "tf32", "TF32 is off, and found")
    tf32(True)
    rough = Verdict(kind + " CUDA TF32", golden, folder, device="cuda")
    expect(rough.of("tf32"), "TF32 is on, and not found")
    tf32(False)
    for dtype in ("bfloat16", "float16"):
        narrow = Verdict("%s CUDA %s" % (kind, dtype), golden, folder, device="cuda", dtype=dtype)
        expect(narrow.whole not in ("bits", "bound"), dtype + " is taken for float32")


def main():
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("dense", "separable"):
            path = os.path.join(folder, kind + ".safetensors")
            program("golden", *SIZES, "--conv", kind, "--out", path)
            golden = Golden(path)
            on_cpu(kind, golden, folder)
            diagnosed(checkpointed(kind, golden, folder), golden)
            if torch.cuda.is_available():
                on_cuda(kind, golden, folder)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    PROGRAM = os.path.abspath(sys.argv[1])
    try:
        main()
    except Fault as fault:
        sys.exit("verdicts.py: %s" % fault)

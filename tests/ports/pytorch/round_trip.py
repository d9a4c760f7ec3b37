#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Weights go out to PyTorch and come back: the same outputs, the same training step.

    round_trip.py PROGRAM STEP        (build/gomokunet, and step.c beside this file, compiled)

1. The program trains; PyTorch loads the model strictly, and agrees: outputs in inference mode;
   outputs, batch statistics, losses and gradients in training mode; the model after one AdamW step.
2. PyTorch writes a state dict of its own, without metadata; the program trains on from it, and it
   goes through all of 1 too.  Files that are no such state dict are refused, by name.

How close?  Both compute in float32, in different orders, so neither is the truth.  PyTorch in
float64 is (its own rounding is 2^29 times smaller), and a number of ours may be

    LIMIT times as far from it as PyTorch's float32 is (the largest error of each, a tensor each),

or 16 * 2^-24 of the tensor's largest number, where PyTorch happens to be nearly exact.  A rectifier
that sees a number within rounding of 0 may open in one of the three and stay shut in another; a
gradient then differs by more than rounding.  So batches are drawn until none does, within MARGIN
times PyTorch's own error.
"""
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
from torch import nn

import safetensors_io as files
from gomokunet import GomokuNet, Trace, from_metadata, losses, optimizer

UNIT = 2.0 ** -24  # of float32's rounding
LIMIT = 16         # measured: 12.6 at most, at policy_logits: each one chain of 7,200 terms
FLOOR = 16 * UNIT
MARGIN = 8
RATE, DECAY, CLIP, BATCH = 1e-3, 0.1, 1.0, 8  # as step.c has them
CASES = {"dense": dict(board_size=7, num_blocks=2, channels=16, conv="dense"),
         "separable": dict(board_size=9, num_blocks=3, channels=12, conv="separable"),
         "15x15": dict(board_size=15, num_blocks=2, channels=32, conv="separable")}


class Fault(Exception):
    pass


def expect(condition, text):
    if not condition:
        raise Fault(text)


def gomokunet(*arguments, status=0):
    """Runs the program; returns what it wrote to stderr."""
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    expect(done.returncode == status, "gomokunet %s: exit %d, expected %d\n%s"
           % (" ".join(map(str, arguments)), done.returncode, status, done.stderr))
    return done.stderr


def refused(says, *arguments):
    text = gomokunet(*arguments, status=2)
    expect(says in text, "%s\ndoes not say: %s" % (text, says))


# --- Comparing ------------------------------------------------------------------------------------

class Judge:
    """Ours and PyTorch's float32, both against PyTorch's float64."""

    def __init__(self):
        self.ours = self.torch = self.ratio = 0.0
        self.where = ""

    def __call__(self, name, ours, torch32, torch64):
        ours, torch32, truth = (np.asarray(x, dtype=np.float64) for x in (ours, torch32, torch64))
        expect(ours.shape == truth.shape, "%s: shape %s, expected %s"
               % (name, ours.shape, truth.shape))
        size = np.abs(truth).max()
        error, peer = np.abs(ours - truth).max(), np.abs(torch32 - truth).max()
        expect(error <= max(LIMIT * peer, FLOOR * size), "%s: off by %.3g, PyTorch's float32 by "
               "%.3g, the largest number is %.3g" % (name, error, peer, size))
        if size > 0:
            self.ratio = max(self.ratio, error / max(peer, FLOOR / LIMIT * size))
            if error / size > self.ours:
                self.ours, self.where = error / size, name
            self.torch = max(self.torch, peer / size)

    def report(self, what):
        print("  %-22s largest relative error %.2g (%s); PyTorch's float32 %.2g; ratio %.1f"
              % (what, self.ours, self.where, self.torch, self.ratio), flush=True)


def network(path, kind=torch.float32):
    state, metadata = files.load_state_dict(path)
    model = from_metadata(metadata)
    model.load_state_dict(state, strict=True)
    return model.to(kind)


def inference(model_path, predictions):
    """What `eval --write` says, against both precisions of PyTorch."""
    judge, outputs = Judge(), []
    for kind in (torch.float32, torch.float64):
        model = network(model_path, kind).eval()
        with torch.no_grad():
            outputs.append(model(torch.from_numpy(predictions["input/planes"].copy()).to(kind)))
    for i, name in enumerate(("policy_logits", "value")):
        judge(name, predictions["eval_forward/" + name], *(out[i] for out in outputs))
    judge.report("inference mode")


class Step:
    """One training step in PyTorch: everything that step.c writes down."""

    def __init__(self, model_path, batch, kind, gradients=None):
        self.model = network(model_path, kind).train()
        planes, policy, value = (torch.from_numpy(batch["input/" + name]).to(kind)
                                 for name in ("planes", "policy", "value"))
        with Trace(self.model) as self.trace:
            logits, worth = self.model(planes)
        self.tensors = {"forward/policy_logits": logits, "forward/value": worth}
        for name, loss in zip(("policy", "value", "total"), losses(logits, worth, policy, value)):
            self.tensors["loss/" + name] = loss
        self.tensors["loss/total"].backward()
        for name, module in self.model.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                x = self.trace[self.input_of(name)]
                var = x.var(dim=(0, 2, 3), unbiased=False)
                self.tensors["stats/%s.mean" % name] = x.mean(dim=(0, 2, 3))
                self.tensors["stats/%s.invstd" % name] = 1 / torch.sqrt(var + module.eps)
        for name, tensor in self.model.named_parameters():
            self.tensors["grad/" + name] = tensor.grad.clone()
            if gradients is not None:
                tensor.grad = torch.from_numpy(gradients["grad/" + name].copy()).to(kind)
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        optimizer(self.model, RATE, DECAY).step()

    def input_of(self, norm):
        """The op whose output a batch norm reads."""
        if not norm.endswith(".bn"):
            return norm[:-1] + "0"
        return norm[:-2] + ("pointwise" if norm[:-2] + "pointwise" in self.trace else "conv")


def rectified(model_path, batch, kind):
    """What the rectifiers see, in training mode."""
    model = network(model_path, kind).train()
    with torch.no_grad(), Trace(model) as trace:
        model(torch.from_numpy(batch["input/planes"]).to(kind))
    seen = (".bn", "conv.1", "excitation.0", "value_fc.0", ".add")
    return {name: x.double() for name, x in trace.items()
            if name.endswith(seen) and not name.endswith("conv2.bn")}


def kinks(model_path, batch):
    """Whether a rectifier is so near to 0 that rounding might flip it."""
    narrow, wide = (rectified(model_path, batch, kind) for kind in (torch.float32, torch.float64))
    return any((truth[truth != 0].abs() <= MARGIN * (narrow[name] - truth).abs().max()).any()
               for name, truth in wide.items())


def draw_batch(model_path, predictions, seed):
    """BATCH positions, some of each result, far from every kink."""
    random = np.random.RandomState(seed)
    for _ in range(200):
        choice = random.choice(len(predictions["input/value"]), BATCH, replace=False)
        batch = {name: array[choice].copy() for name, array in predictions.items()
                 if name.startswith("input/")}
        batch["input/value"] = random.choice([-1, 0, 1], BATCH).astype(np.float32)
        if not kinks(model_path, batch):
            return batch
    raise Fault("%s: every batch has a rectifier near 0" % model_path)


def training(model_path, predictions, seed, folder):
    batch = draw_batch(model_path, predictions, seed)
    paths = [os.path.join(folder, name) for name in ("batch", "trace", "after")]
    files.save(paths[0], batch)
    subprocess.run([STEP, model_path, *paths], check=True)
    ours, _ = files.load(paths[1])
    after, _ = files.load(paths[2])
    narrow, wide = (Step(model_path, batch, kind) for kind in (torch.float32, torch.float64))
    expect(sorted(ours) == sorted(wide.tensors), "the step writes other tensors")
    for what in ("forward", "stats", "loss", "grad"):
        judge = Judge()
        for name in ours:
            if name.startswith(what):
                judge(name, ours[name], narrow.tensors[name].detach(), wide.tensors[name].detach())
        judge.report("training mode, " + what)
    # The first step of AdamW is the sign of a gradient, wherever it is far above eps, so it is
    # judged on gradients that are the same for all three: ours.
    narrow, wide = (Step(model_path, batch, kind, ours).model.state_dict()
                    for kind in (torch.float32, torch.float64))
    judge = Judge()
    for name, tensor in after.items():
        judge(name, tensor, narrow[name], wide[name])
    judge.report("after one AdamW step")
    return paths[2]


# --- The way out and back -------------------------------------------------------------------------

def both_modes(name, model, games, seed, folder):
    print(name)
    written = os.path.join(folder, "predictions")
    gomokunet("eval", "--model", model, "--data", games, "--write", written, "--json")
    predictions, _ = files.load(written)
    inference(model, predictions)
    return training(model, predictions, seed, folder)


def there_and_back(name, case, seed, folder):
    games, first = os.path.join(folder, "g.gomoku"), os.path.join(folder, "first")
    gomokunet("games", "--make", 12, "--board-size", case["board_size"], "--out", games)
    sizes = [text for key in ("board_size", "num_blocks", "channels", "conv")
             for text in ("--" + key.replace("_", "-"), case[key])]
    common = ["--data", games, "--steps", 6, "--batch-size", 32]
    gomokunet("train", *common, *sizes, "--out", first)
    after = both_modes(name + ": ours", first + "/model.safetensors", games, seed, folder)
    gomokunet("train", *common, "--init", after, "--out", first + "-on")

    torch.manual_seed(seed)
    for order in ("library", "given"):
        model = GomokuNet(**case)
        theirs, second = os.path.join(folder, order), os.path.join(folder, order + "-on")
        files.save_state_dict(theirs, model.state_dict(), order=order)
        gomokunet("eval", "--model", theirs, "--data", games)
        gomokunet("train", *common, "--init", theirs, "--out", second)
        state = network(second + "/model.safetensors").state_dict()
        expect(all(int(state[key]) == 6 for key in state if key.endswith("batches_tracked")),
               "num_batches_tracked is not 6 after 6 steps")
        expect(not torch.equal(state["policy_fc.weight"], model.state_dict()["policy_fc.weight"]),
               "nothing was trained")
    both_modes(name + ": PyTorch's, trained on", second + "/model.safetensors", games, seed, folder)


def refusals(folder):
    """What PyTorch's users may bring instead of a state dict as safetensors."""
    games, path = os.path.join(folder, "g.gomoku"), os.path.join(folder, "wrong")
    gomokunet("games", "--make", 2, "--board-size", 7, "--out", games)
    model = GomokuNet(board_size=7, num_blocks=1, channels=4)
    state = model.state_dict()
    run = ["train", "--data", games, "--steps", 1, "--out", os.path.join(folder, "none")]
    for command in (run + ["--init", path], ["eval", "--data", games, "--model", path]):
        for zipped in (True, False):
            torch.save(state, path, _use_new_zipfile_serialization=zipped)
            refused("safetensors.torch.save_file(model.state_dict(), ", *command)
        for prefix in ("module.", "_orig_mod."):
            files.save_state_dict(path, {prefix + key: state[key] for key in state})
            refused('take the prefix "%s" off every name' % prefix, *command)
        files.save_state_dict(path, {key: value.half() if value.is_floating_point() else value
                                     for key, value in state.items()})
        refused(".float()", *command)
        files.save_state_dict(path, model.double().state_dict())
        model.float()
        refused("input_conv.0.weight has another type or shape, expected F32 [4,5,3,3]", *command)
        for key in ("policy_fc.bias", "blocks.0.se.excitation.2.weight"):
            files.save_state_dict(path, {k: v for k, v in state.items() if k != key})
            refused("tensor %s is missing" % key, *command)
        files.save_state_dict(path, dict(state, extra=torch.zeros(1)))
        refused("tensor extra is none of this network's", *command)
    files.save_state_dict(path, state)
    refused("--channels 8: the network of", *run, "--init", path, "--channels", 8)
    gomokunet(*run, "--init", path, "--channels", 4, "--eval-fraction", 0, "--batch-size", 8)
    expect(not os.path.exists(os.path.join(folder, "none.tmp")), "a temporary file is left")


def main():
    counts = {conv: sum(p.numel() for p in GomokuNet(conv=conv).parameters())
              for conv in ("dense", "separable")}
    expect(counts == {"dense": 22628514, "separable": 5037474}, "parameters: %s" % counts)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        refusals(folder)
    for seed, (name, case) in enumerate(CASES.items()):
        with tempfile.TemporaryDirectory() as folder:
            there_and_back(name, case, seed + 1, folder)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    PROGRAM, STEP = map(os.path.abspath, sys.argv[1:])
    try:
        main()
    except Fault as fault:
        sys.exit("round_trip.py: %s" % fault)

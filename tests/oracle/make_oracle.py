#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes golden/pytorch/*.safetensors: GomokuNet computed by PyTorch in float64.

An independent truth: the network, tests/ports/pytorch/gomokunet.py, is written from its description
with torch.nn and torch.optim, and shares nothing with the C code.
tests/test_oracle*.c compare the C library with these files.

    make_oracle.py [--out DIR]     write the files (default: golden/pytorch)
    make_oracle.py --check [DIR]   remake them in memory and compare with what lies there

README.md beside this script says what is in a file.
"""
import argparse
import contextlib
import os
import sys

import numpy as np
import torch
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "ports", "pytorch"))
import safetensors_io  # noqa: E402
from gomokunet import GomokuNet, Trace, losses, optimizer  # noqa: E402

VERSION = "order v1"
COMMAND = "tests/oracle/make_oracle.py"
GOLDEN = os.path.normpath(os.path.join(HERE, "..", "..", "golden", "pytorch"))

LARGE = 16384   # a tensor with more elements than this is stored as a sketch
TILE = 1009     # the period of a large input: a prime, so no two rows of a matrix are alike
STRIDE = 97     # a large result: every 97th element, and two products with fixed vectors
NEAR = 1e-9     # no rectifier may see a number so close to 0 that a last bit could flip it

# trace: forward/ and stats/ are stored.  eval: eval_forward/ and grad_forward/ too.  whole:
# gradients are never sketched.  gain: of the heads' batch norms; a small one leaves a gradient norm
# below 1, so that nothing is clipped.
FILES = {
    "dense_5x5_c3_b2": dict(board_size=5, num_blocks=2, channels=3, conv="dense", batch=4,
                            seed=103, trace=True, eval=True, checkpoint=False, whole=True),
    "separable_7x7_c5_b1": dict(board_size=7, num_blocks=1, channels=5, conv="separable", batch=3,
                                seed=207, trace=True, eval=True, checkpoint=False, whole=False),
    "separable_5x5_c33_b1": dict(board_size=5, num_blocks=1, channels=33, conv="separable",
                                 batch=2, seed=373, trace=True, eval=False, checkpoint=False,
                                 whole=False),
    "checkpoint_5x5_c2_b3": dict(board_size=5, num_blocks=3, channels=2, conv="dense", batch=9,
                                 seed=406, trace=False, eval=False, checkpoint=True, whole=False),
    "checkpoint_5x5_c2_b1": dict(board_size=5, num_blocks=1, channels=2, conv="separable",
                                 batch=3, seed=521, trace=False, eval=False, checkpoint=True,
                                 whole=False, gain=0.02),
}


# --- Random numbers: splitmix64, so that no library's version can change them ---------------------

class Random:
    def __init__(self, seed):
        self.state = seed

    def word(self):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    def uniform(self, count, low, high):
        """float32 values in [low, high]."""
        unit = np.array([self.word() >> 40 for _ in range(count)], dtype=np.float64) / 2.0 ** 24
        return (low + (high - low) * unit).astype(np.float32)


def draw_tensor(rng, name, shape):
    """A parameter.  Returns the values, and the tile of a large one."""
    count = int(np.prod(shape))
    if len(shape) == 1:  # gammas, betas, biases
        low, high = -0.4, 0.4
    else:
        high = 1.7 / float(np.prod(shape[1:])) ** 0.5
        low = -high
    if count > LARGE:
        tile = rng.uniform(TILE, low, high)
        return np.resize(tile, shape), tile
    values = rng.uniform(count, low, high)
    if len(shape) == 1 and ("bn.weight" in name or "conv.1.weight" in name):
        values = np.where(values < -0.25, values - np.float32(0.5), values + np.float32(1))
    return values.reshape(shape).astype(np.float32), None


def draw_inputs(rng, spec):
    """Boards with stones, the last move and the constant planes; and three kinds of targets."""
    N, S = spec["batch"], spec["board_size"]
    planes = np.zeros((N, 5, S, S), dtype=np.float32)
    policy = np.zeros((N, S * S), dtype=np.float32)
    value = np.zeros(N, dtype=np.float32)
    for n in range(N):
        for cell in range(S * S):
            kind = rng.word() % 5
            if kind < 2:
                planes[n, kind, cell // S, cell % S] = 1
        last = rng.word() % (S * S)
        planes[n, :2, last // S, last % S] = (0, 1)
        planes[n, 2, last // S, last % S] = 1
        planes[n, 3] = 1
        planes[n, 4] = rng.uniform(S * S, 0.0, 1.0).reshape(S, S)  # 0 would hide its weights
        if n % 3 == 0:    # one move
            policy[n, rng.word() % (S * S)] = 1
        elif n % 3 == 1:  # a distribution, summing to 1 but for its rounding
            soft = rng.uniform(S * S, 0.0, 1.0).astype(np.float64) ** 4
            policy[n] = (soft / soft.sum()).astype(np.float32)
        value[n] = (-1, 0, 1)[n % 3]
    return planes, policy, value


# --- One file -------------------------------------------------------------------------------------

def probe(count):
    """The fixed vector of the sketches: no two of its elements are equal."""
    return ((np.arange(1, count + 1, dtype=np.int64) * 7919) % 10007 + 1).astype(np.float64)


def put_result(out, name, tensor, whole=False):
    array = tensor.detach().numpy()
    if array.size <= LARGE or whole:
        out[name] = array.copy()
        return
    out[name + ".every97"] = array.reshape(-1)[::STRIDE].copy()
    out[name + ".rows"] = array @ probe(array.shape[1])
    out[name + ".cols"] = probe(array.shape[0]) @ array


def fill_parameters(model, rng, out, gain):
    for name, tensor in model.named_parameters():
        values, tile = draw_tensor(rng, name, tuple(tensor.shape))
        if name.startswith(("policy_conv.1", "value_conv.1")):
            values = values * np.float32(gain)
        if tile is None:
            out["param/" + name] = values
        else:
            out["param/" + name + ".tile"] = tile
        tensor.data = torch.from_numpy(values.astype(np.float64))


def fill_buffers(model, rng, out, planes):
    """Running statistics near those of the batch, so that no channel is silent in inference."""
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in norms:
        layer.momentum = 1.0
    use_checkpoint, model.use_checkpoint = model.use_checkpoint, False
    with torch.no_grad():
        model(planes)
    model.use_checkpoint = use_checkpoint
    for layer in norms:
        layer.momentum = 0.1
        layer.num_batches_tracked.fill_(7)
    for name, tensor in model.named_buffers():
        if name.endswith("num_batches_tracked"):
            out["buffer/" + name] = tensor.numpy().copy()
            continue
        factor = rng.uniform(tensor.numel(), 0.6, 1.4).astype(np.float64)
        values = (tensor.numpy() * factor).astype(np.float32)
        out["buffer/" + name] = values
        tensor.copy_(torch.from_numpy(values.astype(np.float64)))


def check_taps(taps):
    """Nothing near a kink, no channel that is 0 everywhere."""
    before = {"input_conv": "input_conv.1", "policy_conv": "policy_conv.1",
              "value_conv": "value_conv.1", "value_fc.1": "value_fc.0"}
    for name, tensor in taps.items():
        if name.endswith(".relu1"):
            before[name] = name[:-6] + ".conv1.bn"
        elif name.endswith("excitation.1"):
            before[name] = name[:-1] + "0"
        elif name.endswith(".add"):
            before[name[:-4]] = name
        silent = tensor.abs().amax(dim=tuple(i for i in range(tensor.dim()) if i != 1)) == 0
        assert not (silent.any() if tensor.dim() == 4 else silent.all()), name
    for name in before.values():
        assert taps[name].abs().min() > NEAR, "%s: seed too close to a kink" % name


def put_stats(out, taps, eps=1e-5):
    for name, tensor in taps.items():
        if name.endswith(".bn"):
            x = taps.get(name[:-2] + "conv", taps.get(name[:-2] + "pointwise"))
        elif name in ("input_conv.1", "policy_conv.1", "value_conv.1"):
            x = taps[name[:-1] + "0"]
        else:
            continue
        mean = x.mean(dim=(0, 2, 3))
        var = ((x - mean[:, None, None]) ** 2).mean(dim=(0, 2, 3))
        out["stats/%s.mean" % name] = mean.detach().numpy()
        out["stats/%s.invstd" % name] = (1 / torch.sqrt(var + eps)).detach().numpy()


def train_step(model, inputs, spec, out):
    model.train()
    with Trace(model) if spec["trace"] else contextlib.nullcontext() as taps:
        logits, value = model(inputs[0])
    loss_policy, loss_value, total = losses(logits, value, inputs[1], inputs[2])
    optimiser = optimizer(model)
    total.backward()
    for name, loss in (("policy", loss_policy), ("value", loss_value), ("total", total)):
        out["loss/" + name] = loss.detach().numpy()
    if spec["trace"]:
        check_taps(taps)
        put_stats(out, taps)
        for name, tensor in taps.items():
            out["forward/" + name] = tensor.detach().numpy()
            if spec["eval"] and not name.startswith(("policy_conv", "value_conv")):
                out["grad_forward/" + name] = tensor.grad.numpy()
    for name, tensor in model.named_parameters():
        # Behind a rectifier; and batch norm takes away what a constant plane's centre tap adds.
        many = tensor.dim() == 2 or name in ("value_fc.0.bias", "input_conv.0.weight")
        zero = tensor.grad == 0
        assert not (zero.all() if many else zero.any()), "%s: take another seed" % name
        put_result(out, "grad/" + name, tensor.grad, spec["whole"])
    norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    for name, tensor in model.state_dict().items():
        put_result(out, "after/" + name, tensor)
    if spec["whole"]:
        second_step(model, optimiser, out)
    return float(norm)


def second_step(model, optimiser, out):
    """One more step, each gradient being the file's read backwards: the first step of AdamW is
    the same for all betas."""
    for name, tensor in model.named_parameters():
        whole = torch.from_numpy(out["grad/" + name])
        tensor.grad = whole.flatten().flip(0).reshape(whole.shape)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    for name, tensor in model.named_parameters():
        put_result(out, "after2/" + name, tensor)


def make(spec):
    rng, out = Random(spec["seed"]), {}
    model = GomokuNet(spec["board_size"], spec["num_blocks"], spec["channels"],
                      spec["checkpoint"], spec["conv"]).double()
    fill_parameters(model, rng, out, spec.get("gain", 1))
    arrays = draw_inputs(rng, spec)
    for name, array in zip(("planes", "policy", "value"), arrays):
        out["input/" + name] = array
    inputs = [torch.from_numpy(array.astype(np.float64)) for array in arrays]
    fill_buffers(model, rng, out, inputs[0])
    if spec["eval"]:
        model.eval()
        with torch.no_grad(), Trace(model) as taps:
            model(inputs[0])
        check_taps(taps)
        for name, tensor in taps.items():
            out["eval_forward/" + name] = tensor.numpy()
    norm = train_step(model, inputs, spec, out)
    metadata = {"gomokunet": VERSION, "generator": COMMAND, "seed": str(spec["seed"]),
                "board_size": str(spec["board_size"]), "num_blocks": str(spec["num_blocks"]),
                "channels": str(spec["channels"]), "conv": spec["conv"],
                "batch": str(spec["batch"]),
                "trace": "yes" if spec["trace"] else "no",
                "eval": "yes" if spec["eval"] else "no",
                "second_step": "yes" if spec["whole"] else "no",
                "checkpoint": "yes" if spec["checkpoint"] else "no"}
    return safetensors_io.dumps(out, metadata), norm


# --- Check ----------------------------------------------------------------------------------------

def compare(name, made, kept):
    """Another BLAS may differ in last bits: inputs must be equal, results to 1e-12.  AdamW divides
    by no less than its eps, 1e-8, and multiplies with 1e-3 a gradient that is 0 but for rounding."""
    faults = []
    (made, meta_made), (kept, meta_kept) = map(safetensors_io.loads, (made, kept))
    if meta_made != meta_kept or sorted(made) != sorted(kept):
        return [name + ": other metadata or other tensors"]
    for key, want in made.items():
        got = kept[key]
        if got.dtype != want.dtype or got.shape != want.shape:
            faults.append("%s: %s has another type or shape" % (name, key))
            continue
        close = 1e-10 if key.startswith("after") else 1e-12
        limit = close * np.abs(want).max() if want.dtype == np.dtype("<f8") else 0
        if not np.abs(got - want).max() <= limit:
            faults.append("%s: %s differs by %g" % (name, key, np.abs(got - want).max()))
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default=GOLDEN)
    parser.add_argument("--check", nargs="?", const=GOLDEN)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    faults, total = [], 0
    for name, spec in FILES.items():
        raw, norm = make(spec)
        total += len(raw)
        path = os.path.join(options.check or options.out, name + ".safetensors")
        if options.check:
            with open(path, "rb") as file:
                kept = file.read()
            faults += compare(name, raw, kept)
            print("%-40s %s" % (path, "same bytes" if raw == kept else "compared"))
        else:
            os.makedirs(options.out, exist_ok=True)
            with open(path, "wb") as file:
                file.write(raw)
            print("%-60s %8d bytes, gradient norm %.3f" % (path, len(raw), norm))
    print("%d bytes in all" % total)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Cases of single ops, computed by PyTorch: `cases.py GOLDEN CANDIDATE [cpu|cuda|mps] [--double]`.

Reads the inputs of golden/cases.safetensors, runs each op and its backward, and writes what came
out under the same names; `gomokunet verify` then judges it and says in which order PyTorch adds.
"""
import sys

import numpy as np
import torch
import torch.nn.functional as F

import safetensors_io


def policy_loss(logits, target):
    """The mean over the positions that have a target."""
    count = (target.sum(1) > 0).sum()
    return -(target * F.log_softmax(logits, 1)).sum() / count


def value_loss(x, target):
    known = ~torch.isnan(target)
    return F.mse_loss(x[known, 0], target[known])


def batch_norm(x, weight, bias, mean, var, training):
    return F.batch_norm(x, mean.clone(), var.clone(), weight, bias, training, 0.1, 1e-5)


# By the beginning of a case's name behind the tier; more letters first.
OPS = [
    ("conv2d", lambda x, weight: F.conv2d(x, weight, padding=weight.shape[2] // 2)),
    ("depthwise", lambda x, weight: F.conv2d(x, weight, padding=1, groups=x.shape[1])),
    ("linear", lambda x, weight, bias=None: F.linear(x, weight, bias)),
    ("relu", F.relu),
    ("flatten", lambda x: x.flatten(1)),
    ("sigmoid", torch.sigmoid),
    ("tanh", torch.tanh),
    ("add", lambda a, b: a + b),
    ("global_avg_pool", lambda x: x.mean((2, 3))),
    ("channel_scale", lambda x, gate: x * gate[:, :, None, None]),
    ("softmax_cross_entropy", policy_loss),
    ("mean_squared_error", value_loss),
]
INPUTS = ["x", "a", "b", "logits", "weight", "bias", "gate", "target"]


def compute(name, given, wanted):
    """What a case's tensors are called -> their values."""
    op = name.split("/")[1]
    if op.startswith("batch_norm"):
        order = ["x", "weight", "bias", "running_mean", "running_var"]
        training = not op.endswith("inference")
        y = batch_norm(*(given[k] for k in order), training)
        x = given["x"].detach()
        made = {"y": y, "mean": x.mean((0, 2, 3)),
                "invstd": 1 / (x.var((0, 2, 3), unbiased=False) + 1e-5).sqrt()}
    else:
        function = next(f for start, f in OPS if op.startswith(start))
        y = function(*(given[k] for k in INPUTS if k in given))
        made = {"y": y, "loss": y.reshape(1) if y.numel() == 1 else y}
    upstream = given.get("dy", given.get("dloss"))
    if upstream is not None:
        y.backward(upstream.reshape(y.shape))
        made.update({"d" + k: given[k].grad for k in INPUTS if k in given and
                     given[k].grad is not None})
    return {k: made[k] for k in wanted}


def main(golden, candidate, device="cpu", precision="--float"):
    with open(golden, "rb") as f:
        tensors, _ = safetensors_io.loads(f.read())
    kind = torch.float64 if precision == "--double" else torch.float32
    cases, out = {}, {}
    for full, array in tensors.items():
        _, tier, op, tensor = full.split("/")
        cases.setdefault("%s/%s" % (tier, op), {})[tensor] = array
    for name, parts in cases.items():
        gradients = {k for k in parts if k[0] == "d" and k[1:] in parts and k not in ("dy", "dloss")}
        computed = gradients | {k for k in parts if k in ("y", "mean", "invstd", "loss")}
        given = {}
        for k in set(parts) - computed:
            t = torch.tensor(np.array(parts[k]), dtype=kind, device=device)
            given[k] = t.requires_grad_(k in INPUTS and k != "target")
        if name.startswith("T1/"):  # one of y and its gradients is in the file
            computed &= set(parts)
        made = compute(name, given, computed)
        for k, value in made.items():
            out["case/%s/%s" % (name, k)] = value.detach().to("cpu", torch.float32).numpy()
    with open(candidate, "wb") as f:
        f.write(safetensors_io.dumps(out, {"gomokunet": "order v1"}))


if __name__ == "__main__":
    main(*sys.argv[1:])

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


def adamw(given):
    p = given["param"].clone().requires_grad_()
    optimizer = torch.optim.AdamW([p], lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-4)
    optimizer.state[p] = {"step": torch.tensor(2.0), "exp_avg": given["exp_avg"].clone(),
                          "exp_avg_sq": given["exp_avg_sq"].clone()}
    p.grad = given["grad"] * given["coef"]
    optimizer.step()
    state = optimizer.state[p]
    return {"after": p, "after_exp_avg": state["exp_avg"], "after_exp_avg_sq": state["exp_avg_sq"]}


def sgd(given, nesterov=False):
    p = given["param"].clone().requires_grad_()
    optimizer = torch.optim.SGD([p], lr=0.1, momentum=0.9, weight_decay=1e-4, nesterov=nesterov)
    optimizer.state[p]["momentum_buffer"] = given["velocity"].clone()
    p.grad = given["grad"] * given["coef"]
    optimizer.step()
    return {"after": p, "after_velocity": optimizer.state[p]["momentum_buffer"]}


def clip(given):
    p = torch.zeros_like(given["grad"], requires_grad=True)
    p.grad = given["grad"].clone()
    norm = torch.nn.utils.clip_grad_norm_([p], 1.0)
    return {"norm": norm.reshape(1), "coef": torch.clamp(1 / (norm + 1e-6), max=1).reshape(1)}


def running(given):
    mean, var = given["running_mean"] * 0.9, given["running_var"] * 0.9
    return {"after_mean": mean + 0.1 * given["mean"], "after_var": var + 0.1 * given["m2"] / 74}


UPDATES = {"adamw": adamw, "sgd": sgd, "nesterov": lambda given: sgd(given, True), "clip": clip,
           "running": running}

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
        if name.split("/")[1] in UPDATES:
            computed = {k for k in parts if k.startswith("after") or k == "norm" or
                        (k == "coef" and name.endswith("clip"))}
        given = {}
        for k in set(parts) - computed:
            t = torch.tensor(np.array(parts[k]), dtype=kind, device=device)
            given[k] = t.requires_grad_(k in INPUTS and k != "target")
        update = UPDATES.get(name.split("/")[1])
        made = update(given) if update else compute(name, given, computed)
        for k, value in made.items():
            out["case/%s/%s" % (name, k)] = value.detach().to("cpu", torch.float32).numpy()
    with open(candidate, "wb") as f:
        f.write(safetensors_io.dumps(out, {"gomokunet": "order v1"}))


if __name__ == "__main__":
    main(*sys.argv[1:])

# SPDX-License-Identifier: MIT
"""The cases of `gomokunet golden --cases` in PyTorch: one op each, forward and backward.

A case is a group of tensors, case/TIER/NAME/...: the op's inputs, dy (or dloss); what it gives,
y (or loss), of batch norm also mean and invstd; and of an input x the gradient dx.
"""
import torch
from torch.nn import functional as F

from gomokunet import BN_EPS, BN_MOMENTUM, policy_loss, value_loss

GIVEN_GRADIENTS, OUTPUTS = ("dy", "dloss"), ("y", "loss", "mean", "invstd")


def conv2d(x, weight, groups=1):
    return F.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=groups)


def batch_norm(x, weight, bias, running_mean, running_var, training=True):
    return torch.native_batch_norm(x, weight, bias, running_mean.clone(), running_var.clone(),
                                   training, BN_MOMENTUM, BN_EPS)


# The longest name that a case begins with is its op.
OPS = {
    "conv2d": conv2d,
    "depthwise_conv2d": lambda x, weight: conv2d(x, weight, len(weight)),
    "linear": F.linear,
    "batch_norm": batch_norm,
    "batch_norm_inference": lambda *inputs: batch_norm(*inputs, training=False)[0],
    "relu": F.relu,
    "flatten": lambda x: x.flatten(1),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "add": lambda a, b: a + b,
    "global_avg_pool": lambda x: x.mean((2, 3)),
    "channel_scale": lambda x, gate: x * gate[:, :, None, None],
    "softmax_cross_entropy": lambda logits, target: policy_loss(logits, target)[None],
    "mean_squared_error": lambda x, target: value_loss(x[:, 0], target)[None],
}


def one(op, tensors, device, dtype):
    """name -> tensor: all that a case's op gives."""
    given = {name: torch.from_numpy(array.copy()).to(device, dtype)
             for name, array in tensors.items()}
    dy = [given.pop(name) for name in GIVEN_GRADIENTS if name in given]
    wanted = [name for name in given if name[0] == "d" and name[1:] in given]
    inputs = {name: tensor.requires_grad_("d" + name in wanted) for name, tensor in given.items()
              if name not in OUTPUTS and name not in wanted}
    results = OPS[op](*inputs.values())
    results = results if isinstance(results, tuple) else (results,)
    first = "loss" if op in ("softmax_cross_entropy", "mean_squared_error") else "y"
    out = dict(zip((first, "mean", "invstd"), results))
    if wanted:
        gradients = torch.autograd.grad(results[0], [inputs[name[1:]] for name in wanted], dy[0])
        out.update(zip(wanted, gradients))
    return {name: tensor.detach().cpu().float().numpy() for name, tensor in out.items()
            if name in tensors}


def run(golden, device="cpu", dtype=torch.float32):
    """Everything that the golden file's cases give, under its names."""
    groups, out = {}, {}
    for name, array in golden.tensors.items():
        case, tensor = name.rsplit("/", 1)
        groups.setdefault(case, {})[tensor] = array
    for case, tensors in groups.items():
        name = case.rsplit("/", 1)[1]
        op = max((op for op in OPS if name.startswith(op)), key=len, default=None)
        if op is None:
            raise ValueError("%s: %s is no op of this network" % (golden.path, case))
        for tensor, array in one(op, tensors, device, dtype).items():
            out["%s/%s" % (case, tensor)] = array
    return out

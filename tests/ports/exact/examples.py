# SPDX-License-Identifier: MIT
"""The worked examples of docs/numerics.md, section 19, run by the fresh implementation.

An example is an indented block: a line "op NAME", then fields, "name[dims] = numbers".
"""
import re

import binary32
import net
import ops

FIELD = re.compile(r"    (\w+)(?:\[([\d,]+)\])? = (.*)")


def number(text):
    return float.fromhex(text) if "0x" in text else float(text)


def blocks(page):
    """(line, op, {field: (dims, numbers)}) of every example."""
    found = []
    for line, text in enumerate(page.split("\n"), 1):
        field = FIELD.match(text)
        if text.startswith("    op "):
            found.append((line, text.split()[1], {}))
            is_open = True
        elif not text.startswith("    "):
            is_open = False
        elif found and is_open and field:
            name, dims, rest = field.groups()
            numbers = [number(v) for v in rest.split()]
            found[-1][2][name] = ([int(d) for d in dims.split(",")] if dims else [len(numbers)],
                                  numbers)
        elif found and is_open:
            found[-1][2][name][1].extend(number(v) for v in text.split())
    return found


def convolution(f, forward, to_x, to_w):
    x, w = f["x"], f["weight"]
    y = forward(x, w)
    dy = net.shaped(f["dy"], net.dims_of(y))
    return {"y": y, "dx": to_x(dy, w), "dweight": to_w(dy, x, len(w[0][0]))}


def conv2d(f):
    return convolution(f, ops.conv2d, ops.conv2d_dx, ops.conv2d_dw)


def depthwise_conv2d(f):
    return convolution(f, ops.depthwise, ops.depthwise_dx, ops.depthwise_dw)


def linear(f):
    y = ops.linear(f["x"], f["weight"], f.get("bias"))
    out = {"y": y}
    if "dy" in f:
        dy = net.shaped(f["dy"], net.dims_of(y))
        out.update(dx=ops.linear_dx(dy, f["weight"]), dweight=ops.linear_dw(dy, f["x"]),
                   dbias=ops.linear_dbias(dy))
    return out


def batch_norm(f):
    x, eps = f["x"], f["eps"][0]
    if "running_mean" in f:
        return {"y": ops.batch_norm_inference(x, f["gamma"], f["beta"], f["running_mean"],
                                              f["running_var"], eps)}
    y, stats = ops.batch_norm(x, f["gamma"], f["beta"], eps)
    out = {"y": y, "mean": [s[0] for s in stats], "m2": [s[1] for s in stats],
           "inv": [s[2] for s in stats]}
    if "dy" in f:
        out["dx"], out["dgamma"], out["dbeta"] = ops.batch_norm_back(
            net.shaped(f["dy"], net.dims_of(x)), x, f["gamma"], stats)
    return out


def met(f, name, contribution):
    """10.1: added to what is there."""
    before = f.get(name + "_before")
    return ops.plus(net.flat(before), contribution) if before else contribution


def relu(f):
    y = ops.relu(f["x"])
    return {"y": y, "dx": met(f, "dx", ops.relu_dx(f["dy"], net.flat(y)))}


def add(f):
    return {"y": ops.plus(f["a"], f["b"]), "da": f["dy"], "db": f["dy"]}


def global_avg_pool(f):
    _, H, W, C = ops.shape(f["x"])
    dy = net.shaped(f["dy"], [len(f["dy"]) // C, C])
    return {"y": ops.pool(f["x"]), "dx": ops.pool_dx(dy, H, W)}


def channel_scale(f):
    dx, dg = ops.scale_back(net.shaped(f["dy"], net.dims_of(f["x"])), f["x"], f["gate"])
    return {"y": ops.scale(f["x"], f["gate"]), "dx": dx, "dgate": dg}


def flatten(f):
    N, H, W, C = ops.shape(f["x"])
    return {"y": ops.flatten(f["x"]),
            "dx": ops.flatten_dx(net.shaped(f["dy"], [N, C * H * W]), C, H, W)}


def sigmoid(f):
    y = ops.sigmoid(net.flat(f["x"]))
    return {"y": y, "dx": ops.sigmoid_dx(f["dy"], y)}


def tanh(f):
    y = ops.tanh_op(net.flat(f["x"]))
    return {"y": y, "dx": ops.tanh_dx(f["dy"], y)}


def softmax_cross_entropy(f):
    loss, p, dx = ops.softmax_cross_entropy(f["x"], f["t"], f["dloss"][0])
    return {"loss": [loss], "p": p, "dx": dx}


def mean_squared_error(f):
    loss, dv = ops.mse(f["v"], f["z"], f["dloss"][0])
    return {"loss": [loss], "dv": dv}


def running_statistics(f):
    mean, var = ops.running(f["running_mean"], f["running_var"],
                            list(zip(f["mean"], f["m2"])), f["momentum"][0], int(f["M"][0]))
    return {"new_mean": mean, "new_var": var}


def clip_norm(f):
    grads = [f[name] for name in ("g0", "g1", "g2") if name in f]
    norm, coef = ops.clip(grads, f["max_norm"][0])
    return {"sums": [ops.sum_of_squares(g) for g in grads], "norm": [norm], "coef": [coef]}


def adamw(f):
    h = {key: f[key][0] for key in ("beta1", "beta2", "eps", "decay")} | {"rate": f["lr"][0]}
    powers = [1.0, 1.0]
    for _ in range(int(f["step"][0])):
        powers = [powers[0] * h["beta1"], powers[1] * h["beta2"]]
    p, m, v = ops.adamw(f["p"], f["g"], f["m"], f["v"], f["coef"][0], h, *powers)
    return {"new_p": p, "new_m": m, "new_v": v}


def sgd(f, nesterov=False):
    p, m = ops.sgd(f["p"], f["g"], f["m"], f["coef"][0], f["lr"][0], f["mu"][0], f["decay"][0],
                   nesterov)
    return {"new_p": p, "new_m": m}


def sgd_nesterov(f):
    return sgd(f, True)


def philox(f):
    seed, stream, index = (int(f[name][0]) for name in ("seed", "stream", "index"))
    out = {"words": [ops.word(seed, stream, index + i) for i in range(4)]}
    return out | ({"below": [ops.word(seed, stream, index + i) * int(b) >> 32
                             for i, b in enumerate(f["bound"])]} if "bound" in f else {})


def initialisation(f):
    count, fan_in = len(f["weights"]), int(f["fan_in"][0])
    return {"weights": ops.initial(int(f["seed"][0]), int(f["parameter"][0]), count, fan_in)}


def fma(f):
    return {"y": [binary32.fma(*v) for v in zip(f["a"], f["b"], f["c"])]}


def exp(f):
    return {"y": [binary32.exp(v) for v in f["x"]]}


def log(f):
    return {"y": [binary32.log(v) for v in f["x"]]}


def run(op, fields):
    """What the example's fields become, by name."""
    given = {name: net.shaped(values, dims) for name, (dims, values) in fields.items()}
    return globals()[op](given)


def check(page):
    """How many numbers of the page agree; an AssertionError names the first that does not."""
    count = 0
    for line, op, fields in blocks(page):
        for name, ours in run(op, fields).items():
            for i, (a, b) in enumerate(zip(fields[name][1], net.flat(ours), strict=True)
                                       if name in fields else ()):
                count += 1
                if not binary32.same(a, b):
                    raise AssertionError(f"docs/numerics.md:{line}: {op}: {name}[{i}] is {a.hex()} "
                                         f"on the page, the fresh code gives {float(b).hex()}")
    if count < 100:
        raise AssertionError(f"docs/numerics.md: only {count} numbers found in section 19")
    return count

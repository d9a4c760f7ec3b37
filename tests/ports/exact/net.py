# SPDX-License-Identifier: MIT
"""The network and its training step, from the ops of docs/numerics.md; names as in its files.

A Net runs forward once: every value under its name in `value`, with a note of how to go back.
Backward then delivers gradients as section 10 of the page says.
"""
import math

import ops

EPS = 1e-5


class Net:
    def __init__(self, state, training):
        self.state, self.training = state, training
        self.value, self.grad, self.back = {}, {}, []
        self.stats = {}

    def put(self, name, y, back):
        """An op: its output, and a function from the output's gradient to its inputs'."""
        self.value[name] = y
        self.back.append((name, back))
        return name

    def give(self, name, contribution):
        """10.1: the first is stored, the next one added."""
        old = self.grad.get(name)
        self.grad[name] = contribution if old is None else ops.plus(old, contribution)

    def conv(self, name, x, depthwise=False):
        xs, weight = self.value[x], self.state[name + ".weight"]
        K = len(weight[0][0])
        f, dx, dw = ((ops.depthwise, ops.depthwise_dx, ops.depthwise_dw) if depthwise else
                     (ops.conv2d, ops.conv2d_dx, ops.conv2d_dw))

        def back(dy):
            if x != "input/planes":
                self.give(x, dx(dy, weight))
            self.give(name + ".weight", dw(dy, xs, K))
        return self.put(name, f(xs, weight), back)

    def batch_norm(self, name, x):
        xs, s = self.value[x], self.state
        gamma, beta = s[name + ".weight"], s[name + ".bias"]
        if not self.training:
            mean, var = s[name + ".running_mean"], s[name + ".running_var"]
            return self.put(name, ops.batch_norm_inference(xs, gamma, beta, mean, var, EPS), None)
        y, stats = ops.batch_norm(xs, gamma, beta, EPS)
        N, H, W, _ = ops.shape(xs)
        self.stats[name] = stats, N * H * W
        for j in range(3):
            self.value[f"{name}:{j + 1}"] = [s[j] for s in stats]

        def back(dy):
            dx, dgamma, dbeta = ops.batch_norm_back(dy, xs, gamma, stats)
            self.give(x, dx)
            self.give(name + ".weight", dgamma)
            self.give(name + ".bias", dbeta)
        return self.put(name, y, back)

    def relu(self, name, x):
        y = ops.relu(self.value[x])
        return self.put(name, y, lambda dy: self.give(x, ops.relu_dx(dy, y)))

    def linear(self, name, x, bias, output=None):
        xs, weight = self.value[x], self.state[name + ".weight"]

        def back(dy):
            self.give(x, ops.linear_dx(dy, weight))
            self.give(name + ".weight", ops.linear_dw(dy, xs))
            if bias:
                self.give(name + ".bias", ops.linear_dbias(dy))
        return self.put(output or name, ops.linear(xs, weight, self.state[name + ".bias"]
                                                   if bias else None), back)

    def conv_bn(self, name, x, separable):
        if separable:
            x = self.conv(name + ".pointwise", self.conv(name + ".depthwise", x, True))
        else:
            x = self.conv(name + ".conv", x)
        return self.batch_norm(name + ".bn", x)

    def squeeze_excite(self, name, x):
        xs = self.value[x]
        _, H, W, _ = ops.shape(xs)
        y = self.put(name + ".mean", ops.pool(xs), lambda dy: self.give(x, ops.pool_dx(dy, H, W)))
        y = self.relu(name + ".excitation.1", self.linear(name + ".excitation.0", y, False))
        y = self.linear(name + ".excitation.2", y, False)
        s, before = ops.sigmoid(self.value[y]), y
        gate = self.put(name + ".gate", s, lambda dy: self.give(before, ops.sigmoid_dx(dy, s)))

        def back(dy):
            dx, dg = ops.scale_back(dy, xs, s)
            self.give(x, dx)
            self.give(gate, dg)
        return self.put(name, ops.scale(xs, s), back)

    def block(self, name, x, separable):
        y = self.relu(name + ".relu1", self.conv_bn(name + ".conv1", x, separable))
        y = self.squeeze_excite(name + ".se", self.conv_bn(name + ".conv2", y, separable))

        def back(dy):
            self.give(y, dy)
            self.give(x, dy)
        return self.relu(name, self.put(name + ".add", ops.plus(self.value[y], self.value[x]),
                                        back))

    def head(self, name, x):
        y = self.relu(name + "_conv", self.batch_norm(name + "_conv.1",
                                                      self.conv(name + "_conv.0", x)))
        _, H, W, C = ops.shape(self.value[y])
        return self.put(name + "_flatten", ops.flatten(self.value[y]),
                        lambda dy: self.give(y, ops.flatten_dx(dy, C, H, W)))

    def losses(self, logits, value):
        t, z = self.value["input/policy"], self.value["input/value"]
        policy, p, dlogits = ops.softmax_cross_entropy(self.value[logits], t)
        self.value["loss/policy:1"] = p
        self.put("loss/policy", [policy], lambda dy: self.give(logits, dlogits))
        mse, dv = ops.mse([row[0] for row in self.value[value]], z)
        self.put("loss/value", [mse], lambda dy: self.give(value, [[v] for v in dv]))

        def back(dy):
            self.give("loss/value", dy)
            self.give("loss/policy", dy)
        self.put("loss/total", ops.plus([policy], [mse]), back)

    def run(self, planes, policy, value, blocks, separable):
        self.value = {"input/planes": planes, "input/policy": policy, "input/value": value}
        x = self.relu("input_conv", self.batch_norm("input_conv.1",
                                                    self.conv("input_conv.0", "input/planes")))
        for i in range(blocks):
            x = self.block(f"blocks.{i}", x, separable)
        logits = self.linear("policy_fc", self.head("policy", x), True, "policy_logits")
        y = self.linear("value_fc.0", self.head("value", x), True)
        y = self.linear("value_fc.2", self.relu("value_fc.1", y), True)
        v = ops.tanh_op(self.value[y])
        self.losses(logits, self.put("value", v, lambda dy: self.give(y, ops.tanh_dx(dy, v))))

    def backward(self):
        self.grad = {"loss/total": [1.0]}
        for name, back in reversed(self.back):
            back(self.grad[name])


def flat(x):
    return [v for part in x for v in flat(part)] if isinstance(x, list) else [x]


def shaped(values, dims):
    """A flat list as nested ones."""
    for size in reversed(dims[1:]):
        values = [values[i:i + size] for i in range(0, len(values), size)]
    return values


def state_shapes(size, blocks, channels, separable):
    """20: names and shapes in state-dict order."""
    shapes = {}

    def bn(name, width):
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{part}"] = [width]

    def conv_bn(conv, norm, *dims):
        shapes[conv + ".weight"] = list(dims)
        bn(norm, dims[0])

    def linear(name, out, width, bias):
        shapes[name + ".weight"] = [out, width]
        if bias:
            shapes[name + ".bias"] = [out]

    conv_bn("input_conv.0", "input_conv.1", channels, 5, 3, 3)
    for name in (f"blocks.{i}" for i in range(blocks)):
        for k in ("1", "2"):
            conv = f"{name}.conv{k}"
            if separable:
                shapes[conv + ".depthwise.weight"] = [channels, 1, 3, 3]
                conv_bn(conv + ".pointwise", conv + ".bn", channels, channels, 1, 1)
            else:
                conv_bn(conv + ".conv", conv + ".bn", channels, channels, 3, 3)
        linear(name + ".se.excitation.0", max(1, channels // 16), channels, False)
        linear(name + ".se.excitation.2", channels, max(1, channels // 16), False)
    conv_bn("policy_conv.0", "policy_conv.1", 32, channels, 1, 1)
    linear("policy_fc", size * size, 32 * size * size, True)
    conv_bn("value_conv.0", "value_conv.1", 16, channels, 1, 1)
    linear("value_fc.0", 256, 16 * size * size, True)
    linear("value_fc.2", 1, 256, True)
    return shapes


def initial_state(shapes, seed):
    """15.4 and 15.5; shapes in state-dict order."""
    state, number = {}, 0
    for name, dims in shapes.items():
        count = math.prod(dims)
        if name.endswith((".running_mean", ".running_var")):
            state[name] = [float(name.endswith("var"))] * count
            continue
        weight = name.rsplit(".", 1)[0] + ".weight"
        if weight.rsplit(".", 1)[0] + ".running_mean" in shapes:
            state[name] = [float(name == weight)] * count
        else:
            fan_in = math.prod(shapes[weight][1:])
            state[name] = shaped(ops.initial(seed, number, count, fan_in), dims)
        number += 1
    return state


def update(net, state, moments, powers, h):
    """Running statistics, clipping, and a step of the optimiser: the new state, in place; the
    gradient's norm."""
    for name, (stats, M) in net.stats.items():
        names = name + ".running_mean", name + ".running_var"
        state[names[0]], state[names[1]] = ops.running(state[names[0]], state[names[1]], stats,
                                                       0.1, M)
    params = [name for name in state if name in net.grad]
    norm, coef = ops.clip([flat(net.grad[name]) for name in params], h["clip"])
    powers[0] *= h["beta1"]
    powers[1] *= h["beta2"]
    for name in params:
        dims, values = dims_of(state[name]), flat(state[name])
        g, zero = flat(net.grad[name]), [0.0] * len(values)
        first, second = moments.get(name, (zero, zero))
        if h["optimizer"] == "adamw":
            values, first, second = ops.adamw(values, g, first, second, coef, h, *powers)
        else:
            values, first = ops.sgd(values, g, first, coef, h["rate"], h["momentum"], h["decay"])
        moments[name] = first, second
        state[name] = shaped(values, dims)
    return norm


def dims_of(x):
    return [len(x)] + dims_of(x[0]) if isinstance(x, list) else []

# SPDX-License-Identifier: MIT
"""GomokuNet in PyTorch: the whole network, to be read by whoever ports it.

    model = GomokuNet(board_size=15, num_blocks=30, channels=192, use_checkpoint=True)
    logits, value = model(planes)               # [N,5,15,15] -> [N,225], [N]
    loss_policy, loss_value, loss = losses(logits, value, target_policy, target_value)

The names of its state dict are those of every model file of the C program, the shapes too, so that
weights go both ways: round_trip.py beside this file does it.  Every op is a module of its own, and
`Trace` records the outputs of all under the names of the golden files.

The planes are: own stones, the opponent's, the last move, ones, zeros.
"""
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

PLANES, POLICY_CHANNELS, VALUE_CHANNELS, VALUE_HIDDEN, SE_REDUCTION = 5, 32, 16, 256, 16
BN_EPS, BN_MOMENTUM = 1e-5, 0.1  # PyTorch's defaults, written down for ports from other frameworks


# --- Pieces ---------------------------------------------------------------------------------------

def conv(inputs, outputs, kernel, groups=1):
    """No convolution has a bias: a batch norm follows each."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)


def norm(channels):
    """Normalises by the biased variance; running_var takes the unbiased one."""
    return nn.BatchNorm2d(channels, eps=BN_EPS, momentum=BN_MOMENTUM)


def conv_norm_relu(inputs, outputs, kernel):
    """The stem, and the beginning of both heads: NAME.0, NAME.1, and NAME itself."""
    return nn.Sequential(conv(inputs, outputs, kernel), norm(outputs), nn.ReLU())


class Mean(nn.Module):
    """Over the board: [N,C,S,S] -> [N,C]."""

    def forward(self, x):
        return x.mean(dim=(2, 3))


class Add(nn.Module):
    def forward(self, x, y):
        return x + y


class Value(nn.Module):
    """[N,1] -> [N], in (-1, 1)."""

    def forward(self, x):
        return torch.tanh(x).squeeze(1)


# --- The network ----------------------------------------------------------------------------------

class ConvNorm(nn.Module):
    """One of a block's two convolutions, 3x3, and its batch norm.  "dense": one convolution;
    "separable": each channel by itself, then a 1x1 convolution that mixes them."""

    def __init__(self, channels, kind):
        super().__init__()
        if kind == "separable":
            self.depthwise = conv(channels, channels, 3, groups=channels)
            self.pointwise = conv(channels, channels, 1)
        else:
            self.conv = conv(channels, channels, 3)
        self.bn = norm(channels)
        self.separable = kind == "separable"

    def forward(self, x):
        x = self.pointwise(self.depthwise(x)) if self.separable else self.conv(x)
        return self.bn(x)


class SqueezeExcite(nn.Module):
    """Squeeze: the mean of each channel.  Excite: two small linear layers make a gate in (0, 1) of
    it, which scales the channel."""

    def __init__(self, channels):
        super().__init__()
        hidden = max(1, channels // SE_REDUCTION)
        self.mean = Mean()
        self.excitation = nn.Sequential(nn.Linear(channels, hidden, bias=False), nn.ReLU(),
                                        nn.Linear(hidden, channels, bias=False))
        self.gate = nn.Sigmoid()

    def forward(self, x):
        gate = self.gate(self.excitation(self.mean(x)))
        return x * gate[:, :, None, None]


class Block(nn.Module):
    """conv1 -> BN -> ReLU -> conv2 -> BN -> SE -> add the block's input -> ReLU."""

    def __init__(self, channels, kind):
        super().__init__()
        self.conv1 = ConvNorm(channels, kind)
        self.relu1 = nn.ReLU()
        self.conv2 = ConvNorm(channels, kind)
        self.se = SqueezeExcite(channels)
        self.add = Add()

    def forward(self, x):
        y = self.relu1(self.conv1(x))
        y = self.se(self.conv2(y))
        return F.relu(self.add(y, x))


class GomokuNet(nn.Module):
    """`use_checkpoint`: in training, each block keeps its input alone, and runs forward once more
    on the way back.  The gradients are the same.  PyTorch updates the running statistics of such
    blocks twice a step (pytorch#96136); the C program does so with --torch-compat-bn only."""

    def __init__(self, board_size=15, num_blocks=30, channels=192, use_checkpoint=False,
                 conv="dense"):
        super().__init__()
        squares = board_size * board_size
        self.use_checkpoint = use_checkpoint
        self.input_conv = conv_norm_relu(PLANES, channels, 3)
        self.blocks = nn.ModuleList(Block(channels, conv) for _ in range(num_blocks))
        self.policy_conv = conv_norm_relu(channels, POLICY_CHANNELS, 1)
        self.policy_fc = nn.Linear(POLICY_CHANNELS * squares, squares)
        self.value_conv = conv_norm_relu(channels, VALUE_CHANNELS, 1)
        self.value_fc = nn.Sequential(nn.Linear(VALUE_CHANNELS * squares, VALUE_HIDDEN), nn.ReLU(),
                                      nn.Linear(VALUE_HIDDEN, 1))
        self.value = Value()

    def forward(self, planes):
        x = self.input_conv(planes)
        for block in self.blocks:
            if self.use_checkpoint and self.training:
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        logits = self.policy_fc(self.policy_conv(x).flatten(1))  # in the order c, h, w
        value = self.value(self.value_fc(self.value_conv(x).flatten(1)))
        return logits, value


def policy_loss(logits, target):
    """Cross-entropy, the mean over the positions that have a target."""
    has = target.sum(1) > 0
    return -(target * F.log_softmax(logits, 1)).sum(1)[has].mean()


def value_loss(value, target):
    """The mean squared error over the positions that have a target; NaN: none."""
    has = ~target.isnan()
    return F.mse_loss(value[has], target[has])


def losses(logits, value, target_policy, target_value):
    """Of the policy, of the value, and their sum, which is trained."""
    policy, worth = policy_loss(logits, target_policy), value_loss(value, target_value)
    return policy, worth, policy + worth


def optimizer(model, rate=1e-3, decay=1e-4):
    """The step that the C program makes by default; it clips the global gradient norm before:
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)."""
    return torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.999), eps=1e-8,
                             weight_decay=decay)


# --- Model files ----------------------------------------------------------------------------------

def from_metadata(metadata, use_checkpoint=False):
    """The network of a model file that the C program wrote."""
    sizes = {key: int(metadata[key]) for key in ("board_size", "num_blocks", "channels")}
    return GomokuNet(**sizes, conv=metadata["conv"], use_checkpoint=use_checkpoint)


# --- Every op by name -----------------------------------------------------------------------------

def op_modules(model):
    """The ops in the order in which they run: their names in golden files -> their modules.  An op
    is judged by its output, so a Sequential stands for its rectifier, a block for its last one."""
    names = ["input_conv.0", "input_conv.1", "input_conv"]
    for i, block in enumerate(model.blocks):
        convs = ["depthwise", "pointwise"] if block.conv1.separable else ["conv"]
        inside = ["conv1." + name for name in convs] + ["conv1.bn", "relu1"]
        inside += ["conv2." + name for name in convs] + ["conv2.bn"]
        inside += ["se.mean", "se.excitation.0", "se.excitation.1", "se.excitation.2", "se.gate",
                   "se", "add"]
        names += ["blocks.%d.%s" % (i, name) for name in inside] + ["blocks.%d" % i]
    names += ["policy_conv.0", "policy_conv.1", "policy_conv", "policy_logits",
              "value_conv.0", "value_conv.1", "value_conv",
              "value_fc.0", "value_fc.1", "value_fc.2", "value"]
    modules = {"policy_logits": "policy_fc"}  # the one op whose parameters have another name
    return {name: model.get_submodule(modules.get(name, name)) for name in names}


class Trace(dict):
    """The outputs of all ops of a forward pass: `with Trace(model) as trace: model(planes)`.
    Where there is a graph, trace[name].grad holds the gradient after backward.  Without
    checkpointing only: under it blocks run twice."""

    def __init__(self, model):
        super().__init__()
        self.model, self.hooks = model, []

    def __enter__(self):
        for name, module in op_modules(self.model).items():
            self.hooks.append(module.register_forward_hook(self.recorder(name)))
        return self

    def __exit__(self, *_):
        for hook in self.hooks:
            hook.remove()

    def recorder(self, name):
        def record(_module, _inputs, output):
            if name in self:
                raise RuntimeError("%s ran twice" % name)
            self[name] = output
            if output.requires_grad:
                output.retain_grad()
        return record

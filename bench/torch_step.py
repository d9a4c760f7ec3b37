#!/usr/bin/env python3
"""The peer: one training step of GomokuNet in PyTorch on the CPU, or one inference, timed like
bench_step.

torch_step.py BLOCKS CHANNELS BATCH none|block|inference STEPS [separable] [contiguous] [frozen]
Memory format channels_last unless contiguous, AdamW, cross-entropy plus mean squared error; frozen:
inference of the traced network as torch.jit.optimize_for_inference leaves it, batch norm folded
into the convolutions' weights.  Prints one JSON object.  Exits with 3 where PyTorch is not there.
"""
import json
import os
import resource
import statistics
import sys
import time

try:
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
    from torch.utils.checkpoint import checkpoint
except ImportError:
    sys.exit(3)

blocks, channels, batch = map(int, sys.argv[1:4])
recompute, steps, separable = sys.argv[4] == "block", int(sys.argv[5]), "separable" in sys.argv[6:]
inference, contiguous = sys.argv[4] == "inference", "contiguous" in sys.argv[6:]
BOARD = 15
CELLS = BOARD * BOARD


def conv():
    if separable:
        return nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
                             nn.Conv2d(channels, channels, 1, bias=False))
    return nn.Conv2d(channels, channels, 3, padding=1, bias=False)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        hidden = max(channels // 16, 1)
        self.conv1, self.bn1 = conv(), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = conv(), nn.BatchNorm2d(channels)
        self.excitation = nn.Sequential(nn.Linear(channels, hidden, bias=False), nn.ReLU(),
                                        nn.Linear(hidden, channels, bias=False), nn.Sigmoid())

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y = y * self.excitation(y.mean((2, 3)))[:, :, None, None]
        return F.relu(y + x)


def head(out):
    return nn.Sequential(nn.Conv2d(channels, out, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(),
                         nn.Flatten())


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(5, channels, 3, padding=1, bias=False),
                                  nn.BatchNorm2d(channels), nn.ReLU())
        self.blocks = nn.ModuleList(Block() for _ in range(blocks))
        self.policy = nn.Sequential(head(32), nn.Linear(32 * CELLS, CELLS))
        self.value = nn.Sequential(head(16), nn.Linear(16 * CELLS, 256), nn.ReLU(),
                                   nn.Linear(256, 1), nn.Tanh())

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if recompute else block(x)
        return self.policy(x), self.value(x)


torch.set_num_threads(os.cpu_count())  # its own default was 1 of 2 here
torch.manual_seed(1)
memory_format = torch.contiguous_format if contiguous else torch.channels_last
net = Net().to(memory_format=memory_format).train(not inference)
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4)
planes = (torch.rand(batch, 5, BOARD, BOARD) > 0.5).float()
planes = planes.contiguous(memory_format=memory_format)
policy = torch.randint(0, CELLS, (batch,))
value = torch.randint(0, 2, (batch, 1)).float() * 2 - 1
WARM = 1  # the first touches the memory
if "frozen" in sys.argv[6:]:
    with torch.no_grad():
        net = torch.jit.optimize_for_inference(torch.jit.trace(net, planes))
    WARM = 3  # and the next ones compile


def infer():
    with torch.no_grad():
        net(planes)


def step():
    optimizer.zero_grad(set_to_none=True)
    logits, v = net(planes)
    (F.cross_entropy(logits, policy) + F.mse_loss(v, value)).backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()


seconds = []
for i in range(-WARM, steps):
    before = time.perf_counter()
    infer() if inference else step()
    if i >= 0:
        seconds.append(time.perf_counter() - before)
weights = channels * channels + 9 * channels if separable else 9 * channels * channels
trunk = CELLS * (2 * blocks * weights + 45 * channels + 48 * channels)
flops = (2 if inference else 6) * (trunk + CELLS * 32 * CELLS + CELLS * 16 * 256)
t = statistics.median(seconds)
print(json.dumps({"peer": "PyTorch " + torch.__version__, "seconds": round(t, 5),
                  "positions_per_second": round(batch / t, 2),
                  "gflops": round(flops * batch / t / 1e9, 1),
                  "resident_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))

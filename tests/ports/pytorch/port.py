# SPDX-License-Identifier: MIT
"""PyTorch as a port under test: a golden file's inference and training steps, every op recorded.

    port = Port(Golden("golden.safetensors"), device="cuda")
    tensors = port.run()                        # name -> float32 array, as docs/golden.md has them

What a port might do otherwise (its network, its losses, its step) is a method; mistakes.py changes
them one by one.
"""
import contextlib
import json

import numpy as np
import torch
from torch import nn

import safetensors_io as files
from gomokunet import Trace, from_metadata, losses, optimizer

CLIP = 1.0
DTYPES = {"float32": torch.float32, "float64": torch.float64,
          "bfloat16": torch.bfloat16, "float16": torch.float16}
LEVELS = ("outputs", "gradients", "trace")


def load(path):
    """(tensors, metadata) of a safetensors or npz file."""
    if not str(path).endswith(".npz"):
        return files.load(path)
    with np.load(path, allow_pickle=False) as archive:
        tensors = {name: archive[name] for name in archive.files}
    # numpy has no place for metadata: they are an array, the bytes of a JSON object.
    metadata = tensors.pop(files.METADATA, np.array([], np.uint8))
    return tensors, json.loads(metadata.tobytes().decode() or "{}")


class Golden:
    """The tensors of a golden file and its metadata."""

    def __init__(self, path):
        self.tensors, self.metadata = load(path)
        self.path = path
        self.cases = self.metadata.get("level") == "cases"
        for key in () if self.cases else ("board_size", "num_blocks", "channels", "conv", "steps",
                                          "lr"):
            if key not in self.metadata:
                raise ValueError("%s: no golden file: metadata %s is missing" % (path, key))
        self.steps = int(self.metadata.get("steps", 0))
        self.rate = float(self.metadata.get("lr", 0))

    def __getitem__(self, name):
        if name not in self.tensors:
            raise ValueError("%s: tensor %s is missing, nothing can be computed without it"
                             % (self.path, name))
        return torch.from_numpy(self.tensors[name].copy())

    def __contains__(self, name):
        return name in self.tensors

    def has(self, prefix):
        return any(name.startswith(prefix) for name in self.tensors)

    def group(self, prefix):
        """prefix/NAME of the file, as NAME."""
        found = {name[len(prefix) + 1:]: self[name] for name in self.tensors
                 if name.startswith(prefix + "/")}
        if not found:
            raise ValueError("%s: no tensor %s/..." % (self.path, prefix))
        return found


class FirstRun(Trace):
    """Under checkpointing a block runs twice: its outputs are those of the first time.  Batch
    statistics are taken from what batch norm itself saved for its backward pass."""

    def __init__(self, model, recomputes=False):
        super().__init__(model)
        self.recomputes, self.statistics = recomputes, {}

    def recorder(self, name):
        record = super().recorder(name)

        def once(module, inputs, output):
            if name in self:
                return
            record(module, inputs, output)
            if isinstance(module, nn.BatchNorm2d) and module.training:
                self.statistics[name] = self.statistics_of(module, inputs[0], output)
        return once

    def statistics_of(self, module, x, output):
        if hasattr(module, "used"):  # a batch norm of one's own says what it normalised with
            return module.used
        saved = output.grad_fn
        if self.recomputes or not hasattr(saved, "_saved_result2"):
            # What is saved does not exist until backward; the same kernel gives the same again.
            with torch.no_grad():
                return torch.native_batch_norm(x, module.weight, module.bias, None, None, True,
                                               0.0, module.eps)[1:]
        return saved._saved_result1, saved._saved_result2


class Port:
    def __init__(self, golden, device="cpu", dtype="float32", use_checkpoint=False):
        self.golden, self.device, self.use_checkpoint = golden, torch.device(device), use_checkpoint
        self.dtype = DTYPES[dtype]
        if dtype == "float16" and self.device.type == "cpu":
            raise ValueError("--dtype float16: on a CPU, autocast has bfloat16 only")
        # Narrow types are autocast's business: parameters and the step stay float32.
        self.wide = torch.float64 if dtype == "float64" else torch.float32
        self.out = {}

    # --- What a port may do otherwise ------------------------------------------------------------

    def network(self):
        return from_metadata(self.golden.metadata, self.use_checkpoint)

    def losses(self, logits, value, target_policy, target_value):
        return losses(logits, value, target_policy, target_value)

    def backward(self, loss):
        loss.backward()

    def clip(self, model):
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)

    def optimizer(self, model, rate):
        if self.golden.metadata.get("optimizer", "adamw") == "sgd":
            return torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=1e-4)
        return optimizer(model, rate)

    # --- The run ---------------------------------------------------------------------------------

    def run(self, level="trace"):
        """Every tensor that the golden file has and that this level promises."""
        model = self.network().to(self.device, self.wide)
        if self.golden.has("eval_forward/"):
            self.load(model, 1)
            self.inference(model, level)
        for step in range(1, self.golden.steps + 1 if level == "trace" else 2):
            if self.golden.steps > 0:
                self.load(model, step)
                self.train(model, step, level)
        return self.out

    def load(self, model, step):
        """The state before a step.  Every step begins where the golden file's one before it ended:
        errors do not pile up, and each step can be judged."""
        before = prefix(step - 1)
        state = (self.golden.group(before + "after") if step > 1 else
                 {**self.golden.group("param"), **self.golden.group("buffer")})
        model.load_state_dict(state, strict=True)

    def moments(self, model, step, rule):
        """The optimiser's state before a step."""
        if step == 1:
            return
        before = prefix(step - 1)
        for name, parameter in model.named_parameters():
            first = self.golden[before + "after_exp_avg/" + name].to(parameter)
            if isinstance(rule, torch.optim.SGD):
                rule.state[parameter] = {"momentum_buffer": first}
            else:
                second = self.golden[before + "after_exp_avg_sq/" + name].to(parameter)
                rule.state[parameter] = {"step": torch.tensor(float(step - 1)), "exp_avg": first,
                                         "exp_avg_sq": second}

    def inputs(self, step):
        return [self.golden["%sinput/%s" % (prefix(step), name)].to(self.device, self.wide)
                for name in ("planes", "policy", "value")]

    def precision(self):
        if self.dtype == self.wide:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def inference(self, model, level):
        model.eval()
        with torch.no_grad(), self.precision(), FirstRun(model) as trace:
            model(self.inputs(1)[0])
        self.keep_ops("eval_forward/", trace, level)

    def train(self, model, step, level):
        model.train()
        model.zero_grad(set_to_none=True)
        planes, policy, value = self.inputs(step)
        at = prefix(step)
        with self.precision(), FirstRun(model, self.use_checkpoint) as trace:
            three = self.losses(*model(planes), policy, value)
            for name, loss in zip(("policy", "value", "total"), three):
                self.keep(at + "loss/" + name, loss)
        # Hooks are off: what checkpointing runs again is of no interest.
        self.backward(three[2])
        for parameter in model.parameters():
            if parameter.grad is None:  # nothing read it; its gradient is 0, and it decays
                parameter.grad = torch.zeros_like(parameter)
        if step == 1:
            self.keep_ops("forward/", trace, level)
        if step == 1 and level == "trace":
            for name, (mean, invstd) in trace.statistics.items():
                self.keep("stats/%s.mean" % name, mean)
                self.keep("stats/%s.invstd" % name, invstd)
            for name, output in trace.items():
                self.keep("grad_forward/" + name, torch.zeros_like(output)
                          if output.grad is None else output.grad)
        if level != "outputs":
            for name, parameter in model.named_parameters():
                self.keep(at + "grad/" + name, parameter.grad)
        if level == "trace":
            self.step(model, step)

    def step(self, model, step):
        rule = self.optimizer(model, self.golden.rate)
        self.moments(model, step, rule)
        self.clip(model)
        rule.step()
        at = prefix(step)
        for name, tensor in model.state_dict().items():
            self.keep(at + "after/" + name, tensor)
        for name, parameter in model.named_parameters():
            state = rule.state[parameter]
            self.keep(at + "after_exp_avg/" + name, state.get("exp_avg",
                                                              state.get("momentum_buffer")))
            self.keep(at + "after_exp_avg_sq/" + name, state.get("exp_avg_sq"))

    def metadata(self, level, producer):
        """What the file declares: how much there is, and where its steps start."""
        said = {"level": level, "producer": producer}
        if level == "trace" and self.golden.steps > 1:
            said.update(steps=str(self.golden.steps), state="golden")
        return said

    # --- What is written -------------------------------------------------------------------------

    def keep_ops(self, group, trace, level):
        for name, output in trace.items():
            if level == "trace" or name in ("policy_logits", "value"):
                self.keep(group + name, output)

    def keep(self, name, tensor):
        """At once, as a copy: clipping and the step work in place."""
        if tensor is None or name not in self.golden:
            return
        array = tensor.detach().cpu()
        array = array if array.dtype == torch.int64 else array.float()
        self.out[name] = array.numpy().copy()


def prefix(step):
    return "step/%d/" % step if step > 1 else ""

# SPDX-License-Identifier: MIT
"""What authors of ports get wrong, made in PyTorch's network and step themselves, with PyTorch's
own kernels and orders: `gomokunet diagnose` is measured on these.

MISTAKES: name -> a Port that makes it.  The names are those of the catalogue (`diagnose --list`).
VARIANTS: right, but computed in another way; nothing may be found in them.
A port's `verdict` is what `verify` must say of it: "wrong" where nothing else stands.
"""
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn import grad as conv_grad

from gomokunet import Add, Block, Mean, SqueezeExcite, Value
from port import CLIP, Port

MISTAKES, VARIANTS = {}, {}


def mistake(name, verdict="wrong", among=MISTAKES):
    """Enters a Port, or makes one of a function that changes the network."""
    def enter(what):
        if not isinstance(what, type):
            change = what

            class what(Port):
                def network(self):
                    model = super().network()
                    change(model)
                    return model
            what.__doc__ = change.__doc__
        what.verdict = verdict
        among[name] = what
        return what
    return enter


def variant(name):
    return mistake(name, "bound", VARIANTS)


def become(model, old, new):
    """All modules of one class are of another from now on: their parameters stay."""
    for module in model.modules():
        if type(module) is old:
            module.__class__ = new


# --- Batch norm -----------------------------------------------------------------------------------

class OwnNorm(nn.BatchNorm2d):
    """Batch norm written out.  What it normalised with is left in `used`."""

    def invstd(self, var):
        return 1 / torch.sqrt(var + self.eps)

    def statistics(self, x):
        return x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)

    def running(self, var, count):
        """The variance that running_var takes."""
        return var * count / (count - 1)

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = self.statistics(x)
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(self.running(var, x.numel() // x.shape[1]), self.momentum)
                self.num_batches_tracked += 1
        invstd = self.invstd(var)
        self.used = mean, invstd
        y = (x - mean[:, None, None]) * invstd[:, None, None]
        return y * self.weight[:, None, None] + self.bias[:, None, None]


@variant("own-norm")
def own_norm(model):
    become(model, nn.BatchNorm2d, OwnNorm)


@mistake("bn-eps-1e-3")
def bn_eps(model):
    """TensorFlow's default."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3


@mistake("bn-eps-outside-root")
def bn_eps_outside(model):
    class Norm(OwnNorm):
        def invstd(self, var):
            return 1 / (torch.sqrt(var) + self.eps)
    become(model, nn.BatchNorm2d, Norm)


@mistake("bn-unbiased-normalise")
def bn_unbiased(model):
    class Norm(OwnNorm):
        def statistics(self, x):
            return x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=True)

        def running(self, var, count):
            return var
    become(model, nn.BatchNorm2d, Norm)


@mistake("bn-biased-running-var")
def bn_biased(model):
    class Norm(OwnNorm):
        def running(self, var, count):
            return var
    become(model, nn.BatchNorm2d, Norm)


@mistake("bn-momentum-swapped")
def bn_momentum(model):
    """Elsewhere momentum is the share of what was there before."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.9


@mistake("bn-updated-twice")
class Checkpointed(Port):
    """No mistake of ours: PyTorch's checkpointing does so, since it runs each block twice."""

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.use_checkpoint = True


@mistake("bn-running-in-training")
def bn_running(model):
    """The running statistics normalise, though they are updated."""
    class Norm(nn.BatchNorm2d):
        def forward(self, x):
            if not self.training:
                return super().forward(x)
            y = F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False,
                             0.0, self.eps)
            self.used = self.running_mean.clone(), 1 / torch.sqrt(self.running_var + self.eps)
            super().forward(x.detach())
            return y
    become(model, nn.BatchNorm2d, Norm)


@mistake("bn-mean-gradient-missing")
def bn_mean_constant(model):
    """Backward takes the mean for a constant."""
    class Norm(OwnNorm):
        def statistics(self, x):
            mean = x.mean((0, 2, 3)).detach()
            return mean, ((x - mean[:, None, None]) ** 2).mean((0, 2, 3))
    become(model, nn.BatchNorm2d, Norm)


@mistake("bn-variance-gradient-missing")
def bn_variance_constant(model):
    """Backward takes the variance for one."""
    class Norm(OwnNorm):
        def statistics(self, x):
            return x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False).detach()
    become(model, nn.BatchNorm2d, Norm)


@mistake("bn-eps-otherwise")
def bn_eps_small(model):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-8


@mistake("bn-batch-in-inference")
def bn_batch_in_inference(model):
    """model.eval() is forgotten, or does nothing."""
    class Norm(nn.BatchNorm2d):
        def forward(self, x):
            if self.training:
                return super().forward(x)
            return F.batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)
    become(model, nn.BatchNorm2d, Norm)


@mistake("bn-not-updated")
def bn_not_updated(model):
    class Norm(nn.BatchNorm2d):
        def forward(self, x):
            if not self.training:
                return super().forward(x)
            return F.batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)
    become(model, nn.BatchNorm2d, Norm)


@mistake("bn-affine-missing")
def bn_affine(model):
    """Normalised, but neither scaled nor shifted."""
    class Norm(nn.BatchNorm2d):
        def forward(self, x):
            if self.training:
                self.num_batches_tracked += 1
            return F.batch_norm(x, self.running_mean, self.running_var, None, None, self.training,
                                self.momentum, self.eps)
    become(model, nn.BatchNorm2d, Norm)


# --- Convolutions ---------------------------------------------------------------------------------

class Conv(nn.Conv2d):
    """A convolution whose reading of input and weights may be wrong."""

    def x(self, x):
        return x

    def w(self, w):
        return w

    def forward(self, x):
        return F.conv2d(self.x(x), self.w(self.weight), None, 1, self.padding, 1, self.groups)


@variant("im2col")
def im2col(model):
    """Dense convolutions as one product of matrices."""
    class Unfolded(nn.Conv2d):
        def forward(self, x):
            if self.groups > 1:
                return super().forward(x)
            columns = F.unfold(x, self.kernel_size, padding=self.padding)
            return (self.weight.flatten(1) @ columns).view(x.shape[0], -1, *x.shape[2:])
    become(model, nn.Conv2d, Unfolded)


@variant("channels-last")
class ChannelsLast(Port):
    def network(self):
        return super().network().to(memory_format=torch.channels_last)


@mistake("conv-flipped")
def conv_flipped(model):
    """A true convolution; networks use the correlation."""
    class Flipped(Conv):
        def w(self, w):
            return w.flip(2, 3)
    become(model, nn.Conv2d, Flipped)


@mistake("conv-transposed-weight")
def conv_transposed(model):
    """Reads [O,I,K,K] as [I,O,K,K]."""
    class Transposed(Conv):
        def w(self, w):
            outputs, inputs = w.shape[:2]
            if self.groups > 1:
                return w
            return w.reshape(inputs, outputs, *w.shape[2:]).transpose(0, 1)
    become(model, nn.Conv2d, Transposed)


@mistake("conv-height-width-swapped")
def conv_rows(model):
    class Swapped(Conv):
        def w(self, w):
            return w.transpose(2, 3)
    become(model, nn.Conv2d, Swapped)


@mistake("conv-weight-channels-last")
def conv_weight_layout(model):
    """Reads [O,I,K,K] as [O,K,K,I]."""
    class Misread(Conv):
        def w(self, w):
            return w.reshape(len(w), *w.shape[2:], w.shape[1]).permute(0, 3, 1, 2)
    become(model, nn.Conv2d, Misread)


@mistake("conv-padding-off-by-one")
def conv_padding(model):
    """Two before and none behind, instead of one on either side."""
    class Padded(Conv):
        def forward(self, x):
            if self.padding == (0, 0):
                return super().forward(x)
            return F.conv2d(F.pad(x, (2, 0, 2, 0)), self.weight, groups=self.groups)
    become(model, nn.Conv2d, Padded)


@mistake("conv-nhwc-read-as-nchw")
def conv_layout(model):
    """The kernel wants [N,C,H,W], the buffer holds [N,H,W,C]."""
    class Misread(Conv):
        def x(self, x):
            return x.permute(0, 2, 3, 1).reshape(x.shape)
    become(model, nn.Conv2d, Misread)


@mistake("conv-last-tile-dropped")
def conv_tile(model):
    """The loop over input channels goes by tiles of eight, and forgets what is left over."""
    class Tiled(Conv):
        def w(self, w):
            inputs = w.shape[1]
            keep = torch.arange(inputs, device=w.device) < inputs // 8 * 8
            return w if inputs < 8 else w * keep[:, None, None]
    become(model, nn.Conv2d, Tiled)


@mistake("conv-tap-dropped")
def conv_tap(model):
    """Eight of nine taps: the last one is not in the loop."""
    class Eight(Conv):
        def w(self, w):
            keep = torch.ones_like(w[0, 0])
            keep[-1, -1] = 0 if self.kernel_size[0] > 1 else 1
            return w * keep
    become(model, nn.Conv2d, Eight)


class WithoutSecondImage(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, padding, groups):
        ctx.save_for_backward(x, w)
        ctx.more = dict(padding=padding, groups=groups)
        return F.conv2d(x, w, **ctx.more)

    @staticmethod
    def backward(ctx, dy):
        x, w = ctx.saved_tensors
        images = [n for n in range(x.shape[0]) if n != 1]
        return (conv_grad.conv2d_input(x.shape, w, dy, **ctx.more),
                conv_grad.conv2d_weight(x[images], w.shape, dy[images], **ctx.more), None, None)


@mistake("conv-weight-gradient-second-image-dropped")
def conv_image(model):
    """The weights' gradient lacks an image."""
    class Dropped(nn.Conv2d):
        def forward(self, x):
            return WithoutSecondImage.apply(x, self.weight, self.padding, self.groups)
    become(model, nn.Conv2d, Dropped)


# --- Heads ----------------------------------------------------------------------------------------

@mistake("flatten-hwc")
def flatten_hwc(model):
    """The heads' linear layers get h, w, c."""
    def reorder(channels):
        def hook(_module, inputs):
            x = inputs[0].unflatten(1, (channels, -1))
            return x.transpose(1, 2).flatten(1)
        return hook
    model.policy_fc.register_forward_pre_hook(reorder(model.policy_conv[0].out_channels))
    model.value_fc[0].register_forward_pre_hook(reorder(model.value_conv[0].out_channels))


@mistake("head-relu-missing")
def head_relu(model):
    for head in (model.policy_conv, model.value_conv):
        head[2] = nn.Identity()


@mistake("value-tanh-missing")
def value_tanh(model):
    class Straight(Value):
        def forward(self, x):
            return x.squeeze(1)
    become(model, Value, Straight)


@mistake("bias-missing")
def bias_missing(model):
    class Unbiased(nn.Linear):
        def forward(self, x):
            return F.linear(x, self.weight)
    for module in (model.policy_fc, model.value_fc[0], model.value_fc[2]):
        module.__class__ = Unbiased


@mistake("linear-transposed-weight")
def linear_transposed(model):
    """Reads [O,I] as [I,O]."""
    class Transposed(nn.Linear):
        def forward(self, x):
            return F.linear(x, self.weight.reshape(self.in_features, -1).t(), self.bias)
    become(model, nn.Linear, Transposed)


class FastTanh(torch.autograd.Function):
    """A quotient of polynomials; backward by y, as it must be."""

    @staticmethod
    def forward(ctx, x):
        x = x.clamp(-4.97, 4.97)
        y = x * (10395 + x**2 * (1260 + x**2 * 21)) / (10395 + x**2 * (4725 + x**2 * (210 + x**2)))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, dy):
        y, = ctx.saved_tensors
        return dy * (1 - y * y)


class FastSigmoid(torch.autograd.Function):
    """2^x by its exponent and a polynomial of degree three."""

    @staticmethod
    def forward(ctx, x):
        t = x * -1.44269504
        whole = t.floor()
        f = t - whole
        power = 1 + f * (0.69583282 + f * (0.22606716 + f * 0.078024523))
        y = 1 / (1 + torch.ldexp(power, whole.to(torch.int32)))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, dy):
        y, = ctx.saved_tensors
        return dy * (1 - y) * y


@mistake("fast-exp")
def fast_exp(model):
    """Three or four digits."""
    class Gate(nn.Sigmoid):
        def forward(self, x):
            return FastSigmoid.apply(x)

    class Quick(Value):
        def forward(self, x):
            return FastTanh.apply(x).squeeze(1)
    become(model, nn.Sigmoid, Gate)
    become(model, Value, Quick)


# --- Squeeze and excite ---------------------------------------------------------------------------

@mistake("se-sigmoid-missing")
def se_sigmoid(model):
    for block in model.blocks:
        block.se.gate = nn.Identity()


@mistake("se-relu-missing")
def se_relu(model):
    for block in model.blocks:
        block.se.excitation[1] = nn.Identity()


@mistake("se-max-instead-of-mean")
def se_max(model):
    class Largest(Mean):
        def forward(self, x):
            return x.amax((2, 3))
    become(model, Mean, Largest)


@mistake("se-sum-instead-of-mean")
def se_sum(model):
    class Total(Mean):
        def forward(self, x):
            return x.sum((2, 3))
    become(model, Mean, Total)


@mistake("se-gate-gradient-missing")
def se_gate_constant(model):
    class Constant(SqueezeExcite):
        def forward(self, x):
            return x * self.gate(self.excitation(self.mean(x))).detach()[:, :, None, None]
    become(model, SqueezeExcite, Constant)


@mistake("se-not-applied")
def se_not_applied(model):
    class Idle(SqueezeExcite):
        def forward(self, x):
            self.gate(self.excitation(self.mean(x)))
            return x.clone()
    become(model, SqueezeExcite, Idle)


@mistake("se-before-bn")
def se_before_bn(model):
    class Early(Block):
        def forward(self, x):
            y, last = self.relu1(self.conv1(x)), self.conv2
            y = last.pointwise(last.depthwise(y)) if last.separable else last.conv(y)
            return F.relu(self.add(last.bn(self.se(y)), x))
    become(model, Block, Early)


@mistake("se-after-add")
def se_after_add(model):
    class Late(Block):
        def forward(self, x):
            y = self.conv2(self.relu1(self.conv1(x)))
            return F.relu(self.se(self.add(y, x)))
    become(model, Block, Late)


# --- Rectifiers and the way around ----------------------------------------------------------------

@mistake("relu-gradient-at-zero")
def relu_at_zero(model):
    """1 at 0, as clamp has it; to be seen where a rectifier reads zeros."""
    class Clamp(nn.ReLU):
        def forward(self, x):
            return x.clamp(min=0)

    class Clamped(Block):
        def forward(self, x):
            return self.add(self.se(self.conv2(self.relu1(self.conv1(x)))), x).clamp(min=0)
    become(model, nn.ReLU, Clamp)
    become(model, Block, Clamped)


class Unmasked(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, dy):
        return dy.clone()


@mistake("relu-gradient-unmasked")
def relu_unmasked(model):
    class Through(nn.ReLU):
        def forward(self, x):
            return Unmasked.apply(x)

    class Open(Block):
        def forward(self, x):
            y = self.se(self.conv2(self.relu1(self.conv1(x))))
            return Unmasked.apply(self.add(y, x))
    become(model, nn.ReLU, Through)
    become(model, Block, Open)


@mistake("relu-missing")
def relu_missing(model):
    for block in model.blocks:
        block.relu1 = nn.Identity()


class Stale(torch.autograd.Function):
    """A rectifier that takes its mask from what stood in the buffer before."""

    @staticmethod
    def forward(ctx, x, before):
        ctx.save_for_backward(before)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, dy):
        return dy * (ctx.saved_tensors[0] > 0), None


@mistake("relu-gradient-from-stale-activation")
def relu_stale(model):
    """The block's last rectifier, masked by the block's input."""
    class Masked(Block):
        def forward(self, x):
            return Stale.apply(self.add(self.se(self.conv2(self.relu1(self.conv1(x)))), x), x)
    become(model, Block, Masked)


@mistake("residual-gradient-lost")
def residual_gradient(model):
    class Lost(Add):
        def forward(self, x, y):
            return x + y.detach()
    become(model, Add, Lost)


@mistake("residual-branch-gradient-lost")
def branch_gradient(model):
    class Lost(Add):
        def forward(self, x, y):
            return x.detach() + y
    become(model, Add, Lost)


@mistake("residual-missing")
def residual_missing(model):
    class Single(Add):
        def forward(self, x, y):
            return x.clone()
    become(model, Add, Single)


@mistake("residual-relu-missing")
def residual_relu(model):
    class Bare(Block):
        def forward(self, x):
            return self.add(self.se(self.conv2(self.relu1(self.conv1(x)))), x)
    become(model, Block, Bare)


@mistake("residual-relu-before-add")
def residual_order(model):
    class Before(Block):
        def forward(self, x):
            return self.add(F.relu(self.se(self.conv2(self.relu1(self.conv1(x))))), x)
    become(model, Block, Before)


# --- Losses ---------------------------------------------------------------------------------------

class Losses(Port):
    """The losses of each position, written out; subclasses have another mean, or another sum."""

    def policy(self, logits, target):
        return -(target * F.log_softmax(logits, 1)).sum(1)

    def value(self, value, target):
        return (value - target) ** 2

    def mean(self, each):
        return each.mean()

    def losses(self, logits, value, target_policy, target_value):
        has = target_policy.sum(1) > 0
        policy = self.mean(self.policy(logits, target_policy)[has])
        has = ~target_value.isnan()
        worth = self.mean(self.value(value[has], target_value[has]))
        return policy, worth, policy + worth


@variant("own-losses")
class OwnLosses(Losses):
    pass


@mistake("loss-batch-mean-missing")
class Summed(Losses):
    def mean(self, each):
        return each.sum()


@mistake("loss-batch-mean-doubled")
class TwiceDivided(Losses):
    def mean(self, each):
        return each.mean() / len(each)


@mistake("loss-value-target-sign")
class OtherPlayer(Losses):
    """The result for the other player."""

    def value(self, value, target):
        return (value + target) ** 2


@mistake("loss-value-halved")
class Halved(Losses):
    def value(self, value, target):
        return 0.5 * (value - target) ** 2


class NoSoftmaxGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits):
        return F.log_softmax(logits, 1)

    @staticmethod
    def backward(ctx, dy):
        return dy


@mistake("loss-policy-no-softmax-gradient")
class Straight(Losses):
    """-t where p - t should be: the gradient does not go through the softmax."""

    def policy(self, logits, target):
        return -(target * NoSoftmaxGradient.apply(logits)).sum(1)


@mistake("loss-policy-mean-over-cells")
class OverCells(Losses):
    """The mean of all elements."""

    def policy(self, logits, target):
        return super().policy(logits, target) / logits.shape[1]


@mistake("loss-policy-no-logarithm")
class NoLogarithm(Losses):
    def policy(self, logits, target):
        return -(target * F.softmax(logits, 1)).sum(1)


# --- The optimiser's step -------------------------------------------------------------------------

class OwnAdamW(torch.optim.Optimizer):
    """AdamW written out."""
    betas, eps, decay = (0.9, 0.999), 1e-8, 1e-4

    def __init__(self, parameters, rate):
        super().__init__(parameters, dict(lr=rate))

    def corrections(self, step):
        return tuple(1 - beta ** step for beta in self.betas)

    def denominator(self, second):
        return second.sqrt() + self.eps

    def for_second(self, parameter):
        """The gradient whose square is averaged."""
        return parameter.grad

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state.update(step=torch.tensor(0.0), exp_avg=torch.zeros_like(p),
                                 exp_avg_sq=torch.zeros_like(p))
                state["step"] += 1
                first, second = state["exp_avg"], state["exp_avg_sq"]
                first.mul_(self.betas[0]).add_(p.grad, alpha=1 - self.betas[0])
                raw = self.for_second(p)
                second.mul_(self.betas[1]).addcmul_(raw, raw, value=1 - self.betas[1])
                one, two = self.corrections(float(state["step"]))
                p.mul_(1 - group["lr"] * self.decay)
                p.addcdiv_(first / one, self.denominator(second / two), value=-group["lr"])


class OwnStep(Port):
    rule = OwnAdamW

    def optimizer(self, model, rate):
        return self.rule(model.parameters(), rate)


@variant("own-adamw")
class Own(OwnStep):
    pass


@mistake("decay-coupled")
class Coupled(Port):
    """Adam: the decay goes through the moments."""

    def optimizer(self, model, rate):
        return torch.optim.Adam(model.parameters(), lr=rate, weight_decay=1e-4)


@mistake("decay-skipped-on-1d")
class Matrices(Port):
    """No decay of biases and of batch norm: good practice, but not the contract."""

    def optimizer(self, model, rate):
        groups = [[], []]
        for p in model.parameters():
            groups[p.dim() > 1].append(p)
        return torch.optim.AdamW([dict(params=groups[0], weight_decay=0.0),
                                  dict(params=groups[1], weight_decay=1e-4)], lr=rate)


@mistake("decay-missing")
class NoDecay(Port):
    def optimizer(self, model, rate):
        return torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)


@mistake("adam-no-bias-correction")
class Uncorrected(OwnStep):
    class rule(OwnAdamW):
        def corrections(self, step):
            return 1.0, 1.0


@mistake("adam-eps-inside-root")
class Inside(OwnStep):
    class rule(OwnAdamW):
        def denominator(self, second):
            return (second + self.eps).sqrt()


@mistake("adam-second-moment-of-clipped-missing")
class Unclipped(OwnStep):
    """The second moment takes the gradient as it was before clipping."""

    class rule(OwnAdamW):
        def for_second(self, parameter):
            return parameter.raw

    def clip(self, model):
        for p in model.parameters():
            p.raw = p.grad.clone()
        super().clip(model)


@mistake("clip-per-tensor")
class EachAlone(Port):
    def clip(self, model):
        for p in model.parameters():
            nn.utils.clip_grad_norm_([p], CLIP)


@mistake("clip-missing")
class NoClip(Port):
    def clip(self, model):
        pass


@mistake("gradient-accumulated-twice")
class Accumulated(Port):
    """zero_grad is forgotten: the same batch's gradients are still there."""

    def backward(self, loss):
        loss.backward()
        for p in self.parameters:
            p.grad += p.grad.clone()

    def network(self):
        model = super().network()
        self.parameters = list(model.parameters())
        return model


# --- Mistakes that no catalogue lists: none may be named ------------------------------------------

@mistake("not-listed-planes-swapped")
def planes_swapped(model):
    """The opponent's stones first."""
    model.input_conv[0].register_forward_pre_hook(lambda _, x: x[0][:, [1, 0, 2, 3, 4]])


@mistake("not-listed-gate-doubled")
def gate_doubled(model):
    """Some networks scale by 2 sigmoid."""
    class Twice(nn.Sigmoid):
        def forward(self, x):
            return 2 * torch.sigmoid(x)
    become(model, nn.Sigmoid, Twice)


@mistake("not-listed-policy-temperature")
class Warm(Losses):
    def policy(self, logits, target):
        return super().policy(logits / 1.25, target)


@mistake("not-listed-adam-beta2-0.99")
class Faster(OwnStep):
    class rule(OwnAdamW):
        betas = (0.9, 0.99)


# --- Precision ------------------------------------------------------------------------------------

@mistake("bf16", verdict="bf16")
class Brain(Port):
    """Autocast."""

    def __init__(self, golden, device="cpu", _dtype=None, use_checkpoint=False):
        super().__init__(golden, device, "bfloat16", use_checkpoint)


class Narrow(torch.autograd.Function):
    """Rounds to a narrow format, forward and on the way back: what goes into a product."""

    @staticmethod
    def forward(ctx, x, narrow):
        return narrow(x)

    @staticmethod
    def backward(ctx, dy):
        return dy, None


class NarrowBack(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, narrow):
        ctx.narrow = narrow
        return x.clone()

    @staticmethod
    def backward(ctx, dy):
        return ctx.narrow(dy), None


def tensor_cores(model, narrow):
    """Products of narrow numbers, sums in float32: what tensor cores do, forward and backward."""
    class NarrowConv(nn.Conv2d):
        def forward(self, x):
            y = F.conv2d(Narrow.apply(x, narrow), Narrow.apply(self.weight, narrow), None, 1,
                         self.padding, 1, self.groups)
            return NarrowBack.apply(y, narrow)

    class NarrowLinear(nn.Linear):
        def forward(self, x):
            y = F.linear(Narrow.apply(x, narrow), Narrow.apply(self.weight, narrow))
            y = NarrowBack.apply(y, narrow)
            return y if self.bias is None else y + self.bias
    become(model, nn.Conv2d, NarrowConv)
    become(model, nn.Linear, NarrowLinear)


def to_tf32(x):
    """Ten bits of mantissa, the nearest, ties to even."""
    bits = x.contiguous().view(torch.int32)
    return ((bits + 0xfff + ((bits >> 13) & 1)) & ~0x1fff).view(torch.float32)


def to_tf32_toward_zero(x):
    return (x.contiguous().view(torch.int32) & ~0x1fff).view(torch.float32)


@mistake("tf32", verdict="tf32")
def tf32(model):
    tensor_cores(model, to_tf32)


@mistake("tf32-truncated", verdict="tf32")
def tf32_truncated(model):
    tensor_cores(model, to_tf32_toward_zero)


@mistake("fp16", verdict="fp16")
def fp16(model):
    tensor_cores(model, lambda x: x.half().float())


@mistake("bf16-tensor-cores", verdict="bf16")
def bf16_products(model):
    tensor_cores(model, lambda x: x.bfloat16().float())

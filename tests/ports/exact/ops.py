# SPDX-License-Identifier: MIT
"""The ops of docs/numerics.md, written from that page alone: its sections 2 to 9 and 11 to 15.

Maps are x[n][h][w][c], matrices x[n][k], weights W[o][c][kh][kw] and W[o][k]. Everything is slow
and plain on purpose.
"""
import math

from binary32 import add, div, exp, f32, fma, fma_chain, log, mul, sqrt, sub, tanh


def chain(values):
    """2.1: a chain of additions."""
    acc = 0.0
    for v in values:
        acc = add(acc, v)
    return acc


def tree(values, merge=add):
    """2.2, as the recursion defines it."""
    n = len(values)
    if n == 1:
        return values[0]
    k = 1
    while 2 * k < n:
        k *= 2
    return merge(tree(values[:k], merge), tree(values[k:], merge))


def shape(x):
    return len(x), len(x[0]), len(x[0][0]), len(x[0][0][0])


def each(f, *maps):
    """f of the elements of maps of one shape."""
    if not isinstance(maps[0], list):
        return f(*maps)
    return [each(f, *parts) for parts in zip(*maps)]


def square(x, h, w):
    """The channels of a square, +0 outside the board (3.2); x is one image."""
    inside = 0 <= h < len(x) and 0 <= w < len(x[0])
    return x[h][w] if inside else [0.0] * len(x[0][0])


def squares(x, c):
    """One channel of an image in reading order."""
    return [cell[c] for row in x for cell in row]


def window(x, h, w, K):
    """What the K x K taps around a square see, kh outermost, the channel innermost."""
    P = (K - 1) // 2
    return [v for kh in range(K) for kw in range(K) for v in square(x, h + kh - P, w + kw - P)]


def convolve(x, rows, K):
    """Each output channel's row of weights along the window of each square."""
    N, H, W, _ = shape(x)
    out = []
    for image in x:
        seen = [[window(image, h, w, K) for w in range(W)] for h in range(H)]
        out.append([[[fma_chain(cell, row) for row in rows] for cell in line] for line in seen])
    return out


def conv2d(x, weight):
    """3.1"""
    K, C = len(weight[0][0]), len(weight[0])
    rows = [[w[c][kh][kw] for kh in range(K) for kw in range(K) for c in range(C)] for w in weight]
    return convolve(x, rows, K)


def conv2d_dx(dy, weight):
    """3.3"""
    O, C, K = len(weight), len(weight[0]), len(weight[0][0])
    rows = [[weight[o][c][K - 1 - kh][K - 1 - kw]
             for kh in range(K) for kw in range(K) for o in range(O)] for c in range(C)]
    return convolve(dy, rows, K)


def shifted(x, c, kh, kw, P):
    """Channel c of an image as tap (kh, kw) sees it, in reading order."""
    H, W = len(x), len(x[0])
    return [square(x, h + kh - P, w + kw - P)[c] for h in range(H) for w in range(W)]


def conv2d_dw(dy, x, K):
    """3.4"""
    P = (K - 1) // 2
    O, C = len(dy[0][0][0]), len(x[0][0][0])
    grads = [[squares(image, o) for o in range(O)] for image in dy]
    taps = [[[[shifted(image, c, kh, kw, P) for kw in range(K)] for kh in range(K)]
             for c in range(C)] for image in x]
    return [[[[tree([fma_chain(g[o], t[c][kh][kw]) for g, t in zip(grads, taps)])
               for kw in range(K)] for kh in range(K)] for c in range(C)] for o in range(O)]


def channels_alone(f, maps, weight):
    """4: a depthwise op is the dense one on each channel by itself."""
    parts = [f([[[[cell[c]] for cell in row] for row in image] for image in maps], [weight[c]])
             for c in range(len(weight))]
    return [[[[p[n][h][w][0] for p in parts] for w in range(len(maps[0][0]))]
             for h in range(len(maps[0]))] for n in range(len(maps))]


def depthwise(x, weight):
    """4.1"""
    return channels_alone(conv2d, x, weight)


def depthwise_dx(dy, weight):
    """4.2"""
    return channels_alone(conv2d_dx, dy, weight)


def depthwise_dw(dy, x, K):
    """4.3"""
    P = (K - 1) // 2
    return [[[[tree([fma_chain(squares(g, c), shifted(v, c, kh, kw, P)) for g, v in zip(dy, x)])
               for kw in range(K)] for kh in range(K)]] for c in range(len(x[0][0][0]))]


def linear(x, weight, bias=None):
    """5.1"""
    y = [[fma_chain(row, w) for w in weight] for row in x]
    return y if bias is None else [[add(v, b) for v, b in zip(row, bias)] for row in y]


def linear_dx(dy, weight):
    """5.2"""
    columns = list(zip(*weight))
    return [[fma_chain(row, column) for column in columns] for row in dy]


def leaves(count):
    """5.3: eight consecutive images are a leaf."""
    return [range(i, min(i + 8, count)) for i in range(0, count, 8)]


def linear_dw(dy, x):
    """5.3"""
    gs, xs = ([list(zip(*[rows[n] for n in leaf])) for leaf in leaves(len(rows))]
              for rows in (dy, x))
    return [[tree([fma_chain(g[o], v[k]) for g, v in zip(gs, xs)]) for k in range(len(x[0]))]
            for o in range(len(dy[0]))]


def linear_dbias(dy):
    """5.4"""
    return [tree([chain(dy[n][o] for n in leaf) for leaf in leaves(len(dy))])
            for o in range(len(dy[0]))]


def batch_norm_leaf(x, HW):
    """6.1: (images, mean, m2) of one image's channel."""
    m0 = div(chain(x), HW)
    d = [sub(v, m0) for v in x]
    e = chain(d)
    q = fma_chain(d, d)
    c = div(e, HW)
    t = fma(-e, c, q)
    return 1, add(m0, c), 0.0 if t <= 0 else t


def batch_norm_merge(a, b, HW):
    """6.2"""
    nA, meanA, m2A = a
    nB, meanB, m2B = b
    w = div(nB, nA + nB)
    D = sub(meanB, meanA)
    return nA + nB, fma(D, w, meanA), fma(mul(D, D), mul(nA * HW, w), add(m2A, m2B))


def batch_norm(x, gamma, beta, eps):
    """6.1 to 6.3: y and, for each channel, mean, m2, inv."""
    N, H, W, C = shape(x)
    stats = []
    for c in range(C):
        found = [batch_norm_leaf(squares(image, c), H * W) for image in x]
        _, mean, m2 = tree(found, lambda a, b: batch_norm_merge(a, b, H * W))
        var = div(m2, N * H * W)
        stats.append((mean, m2, div(1.0, sqrt(add(var, f32(eps))))))
    return normalise(x, gamma, beta, [s[0] for s in stats], [s[2] for s in stats]), stats


def normalise(x, gamma, beta, mean, inv):
    """6.3, the last two lines."""
    sc = [mul(g, i) for g, i in zip(gamma, inv)]
    channels = range(len(gamma))
    return [[[[fma(sub(cell[c], mean[c]), sc[c], beta[c]) for c in channels]
              for cell in row] for row in image] for image in x]


def batch_norm_inference(x, gamma, beta, running_mean, running_var, eps):
    """6.4"""
    inv = [div(1.0, sqrt(add(v, f32(eps)))) for v in running_var]
    return normalise(x, gamma, beta, running_mean, inv)


def batch_norm_back(dy, x, gamma, stats):
    """6.5: dx, dgamma, dbeta."""
    N, H, W, C = shape(x)
    M = N * H * W
    dx = each(lambda v: v, dy)
    dgamma, dbeta = [], []
    for c in range(C):
        mean, _, inv = stats[c]
        centred = [[sub(v, mean) for v in squares(image, c)] for image in x]
        s1 = tree([chain(squares(g, c)) for g in dy])
        s2 = tree([fma_chain(squares(g, c), d) for g, d in zip(dy, centred)])
        dbeta.append(s1)
        dgamma.append(mul(s2, inv))
        k1, k2 = div(s1, M), div(dgamma[c], M)
        sc = mul(gamma[c], inv)
        B = -mul(mul(sc, inv), k2)
        C_ = -mul(sc, k1)
        for n in range(N):
            for i, d in enumerate(centred[n]):
                cell = dx[n][i // W][i % W]
                cell[c] = fma(d, B, fma(sc, cell[c], C_))
    return dx, dgamma, dbeta


def relu(x):
    """7.1, and relu_dx."""
    return each(lambda v: 0.0 if v <= 0 else v, x)


def relu_dx(dy, y):
    return each(lambda g, v: 0.0 if v <= 0 else g, dy, y)


def plus(a, b):
    """7.2, and 10.1: two contributions meet."""
    return each(add, a, b)


def pool(x):
    """7.3, and pool_dx."""
    _, H, W, C = shape(x)
    return [[div(chain(squares(image, c)), H * W) for c in range(C)] for image in x]


def pool_dx(dy, H, W):
    return [[[[div(g, H * W) for g in row] for _ in range(W)] for _ in range(H)] for row in dy]


def scale(x, g):
    """7.4, and scale_back: dx and dg."""
    return [[[[mul(v, k) for v, k in zip(cell, gate)] for cell in row] for row in image]
            for image, gate in zip(x, g)]


def scale_back(dy, x, g):
    dg = [[fma_chain(squares(a, c), squares(b, c)) for c in range(len(g[0]))]
          for a, b in zip(dy, x)]
    return scale(dy, g), dg


def flatten(x):
    """7.5, and flatten_dx."""
    return [[v for c in range(len(image[0][0])) for v in squares(image, c)] for image in x]


def flatten_dx(dy, C, H, W):
    return [[[[row[c * H * W + h * W + w] for c in range(C)] for w in range(W)]
             for h in range(H)] for row in dy]


def sigmoid(x):
    """8.1, and sigmoid_dx."""
    return each(lambda v: div(1.0, add(1.0, exp(-v))), x)


def sigmoid_dx(dy, s):
    return each(lambda g, v: mul(mul(g, sub(1.0, v)), v), dy, s)


def tanh_op(x):
    """8.2, and tanh_dx."""
    return each(tanh, x)


def tanh_dx(dy, y):
    return each(lambda g, v: mul(g, fma(-v, v, 1.0)), dy, y)


def softmax_cross_entropy(x, t, dloss=1.0):
    """9.1: the loss, p and dx."""
    probs, losses, totals = [], [], []
    for logits, target in zip(x, t):
        m = logits[0]
        for v in logits[1:]:
            m = v if v > m else m
        e = [exp(sub(v, m)) for v in logits]
        total = chain(e)
        logsum = log(total)
        probs.append([div(v, total) for v in e])
        T = chain(target)
        totals.append(T)
        logp = [sub(sub(v, m), logsum) for v in logits]
        losses.append(0.0 if T <= 0 else -fma_chain(target, logp))
    count = sum(1 for T in totals if not T <= 0)
    loss = div(tree(losses), count) if count else 0.0
    dx = [[0.0 if T <= 0 else mul(div(fma(p, T, -v), count), dloss) for p, v in zip(ps, target)]
          for ps, target, T in zip(probs, t, totals)]
    return loss, probs, dx


def mse(v, z, dloss=1.0):
    """9.2: the loss and dv."""
    d = [sub(a, b) for a, b in zip(v, z)]
    has = [b == b for b in z]
    count = sum(has)
    loss = div(tree([mul(a, a) if h else 0.0 for a, h in zip(d, has)]), count) if count else 0.0
    return loss, [mul(div(mul(2.0, a), count), dloss) if h else 0.0 for a, h in zip(d, has)]


def running(old_mean, old_var, stats, momentum, M):
    """11"""
    k, r = f32(momentum), f32(1 - momentum)
    mean = [fma(k, s[0], mul(r, old)) for s, old in zip(stats, old_mean)]
    var = [fma(k, div(s[1], max(M - 1, 1)), mul(r, old)) for s, old in zip(stats, old_var)]
    return mean, var


def sum_of_squares(g):
    """12.1, one tensor as a flat list."""
    blocks = []
    for start in range(0, len(g), 4096):
        lane = [0.0] * 16
        for i, v in enumerate(g[start:start + 4096]):
            lane[i % 16] = fma(v, v, lane[i % 16])
        blocks.append(tree(lane))
    return tree(blocks)


def clip(grads, max_norm):
    """12.2: the norm and the coefficient; grads is a list of flat tensors."""
    norm = sqrt(tree([sum_of_squares(g) for g in grads]))
    if max_norm <= 0:
        return norm, 1.0
    coef = div(f32(max_norm), add(norm, f32(1e-6)))
    return norm, coef if coef < 1 else 1.0


def adamw(p, g, m, v, coef, h, beta1_t, beta2_t):
    """13, one flat tensor; h has rate, beta1, beta2, eps, decay as doubles. New p, m, v."""
    b1, b2, eps = f32(h["beta1"]), f32(h["beta2"]), f32(h["eps"])
    c0, c1, c2 = f32(1 - h["rate"] * h["decay"]), f32(1 - h["beta1"]), f32(1 - h["beta2"])
    c3, c4 = f32(math.sqrt(1 - beta2_t)), f32(h["rate"] / (1 - beta1_t))
    out = []
    for p_, g_, m_, v_ in zip(p, g, m, v):
        g_ = mul(g_, coef)
        m_ = fma(c1, g_, mul(b1, m_))
        v_ = fma(mul(c2, g_), g_, mul(b2, v_))
        d = add(div(sqrt(v_), c3), eps)
        out.append((fma(-c4, div(m_, d), mul(p_, c0)), m_, v_))
    return [list(part) for part in zip(*out)]


def sgd(p, g, m, coef, lr, mu, decay, nesterov=False):
    """14, one flat tensor. New p, m."""
    lr, mu, decay = f32(lr), f32(mu), f32(decay)
    out = []
    for p_, g_, m_ in zip(p, g, m):
        g_ = fma(decay, p_, mul(g_, coef))
        m_ = fma(mu, m_, g_)
        out.append((fma(-lr, fma(mu, m_, g_) if nesterov else m_, p_), m_))
    return [list(part) for part in zip(*out)]


def philox(seed, stream, block):
    """15.1: four words."""
    c = [block & 0xffffffff, block >> 32, stream & 0xffffffff, stream >> 32]
    k = [seed & 0xffffffff, seed >> 32]
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [p1 >> 32 ^ c[1] ^ k[0], p1 & 0xffffffff, p0 >> 32 ^ c[3] ^ k[1], p0 & 0xffffffff]
        k = [(k[0] + 0x9E3779B9) & 0xffffffff, (k[1] + 0xBB67AE85) & 0xffffffff]
    return c


def word(seed, stream, i):
    return philox(seed, stream, i // 4)[i % 4]


def initial(seed, number, count, fan_in):
    """15.3 and 15.4: the flat elements of parameter `number`."""
    bound = f32(1 / math.sqrt(fan_in))
    stream = 1 << 48 | number
    return [mul((word(seed, stream, i) >> 8) * 2.0 ** -23 - 1, bound) for i in range(count)]

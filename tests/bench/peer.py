#!/usr/bin/env python3
"""The same work as a researcher would write it in PyTorch and NumPy, for tools/bench to compare with.

usage: peer.py gram|functorch|eigen|train|convolution|...|study OPTIONS...       needs numpy, torch (functorch)

Each prints one JSON object a line. Seconds are wall time of the work alone: imports, drawing of
inputs and a first turn that warms caches up are not counted, but where a whole study is timed
everything that its processes do is. OPENBLAS_CORETYPE and OMP_NUM_THREADS come from outside.
"""

import argparse
import ctypes
import gzip
import json
import multiprocessing
import os
import pathlib
import time

import numpy as np
import torch

CLASSES, PIXELS, BATCH = 10, 784, 32


def timed(function, repeats=1):
    """The best of some turns, which noise of the machine disturbs least."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def keep_blocks():
    """Let glibc keep what is freed instead of returning it to the system.

    In a fresh process the temporaries of adam's steps, and those of kernels, are faulted in anew each time: steps take
    nearly twice as long, studies of convolutional networks too.
    """
    trim_threshold, mmap_max = -1, -4  # malloc.h
    libc = ctypes.CDLL(None)
    libc.mallopt(trim_threshold, 2**31 - 1)
    libc.mallopt(mmap_max, 0)


def tell(**facts):
    print(json.dumps(facts), flush=True)


def perceptron(width, depth=2):
    sizes = [PIXELS] + depth * [width] + [CLASSES]
    layers = []
    for fan_in, fan_out in zip(sizes, sizes[1:]):
        layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def forward_pass(net, x):
    """Dense layers, their inputs, and the slopes of relu behind all but the last."""
    dense = [layer for layer in net if isinstance(layer, torch.nn.Linear)]
    inputs, masks = [x], []
    for layer in dense[:-1]:
        z = layer(inputs[-1])
        masks.append((z > 0).to(z.dtype))
        inputs.append(z * masks[-1])
    return dense, inputs, masks


@torch.no_grad()
def full_kernel(net, x):
    """Empirical NTK of all outputs, layer by layer: (Gram of inputs + 1) times (Gram of back-signals)."""
    dense, inputs, masks = forward_pass(net, x)
    back = torch.eye(CLASSES).repeat(len(x), 1)
    kernel = torch.zeros(len(back), len(back))
    for k in reversed(range(len(dense))):
        gram = inputs[k] @ inputs[k].T + 1
        gram = gram.repeat_interleave(CLASSES, 0).repeat_interleave(CLASSES, 1)
        kernel += gram * (back @ back.T)
        if k > 0:
            back = (back @ dense[k].weight) * masks[k - 1].repeat_interleave(CLASSES, 0)
    return kernel


def functorch_kernel(net, x):
    import functorch

    apply, parameters = functorch.make_functional(net)
    one = functorch.jacrev(lambda p, xi: apply(p, xi.unsqueeze(0)).squeeze(0))
    jacobians = functorch.vmap(one, (None, 0))(parameters, x)
    flat = (j.flatten(2) for j in jacobians)
    return sum(torch.einsum("iap,jbp->iajb", j, j) for j in flat).reshape(CLASSES * len(x), -1)


def gram(a):
    net, x = perceptron(a.width), torch.rand(a.points, PIXELS)
    kernel = functorch_kernel if a.what == "functorch" else full_kernel
    if a.what == "gram":
        kernel(net, x)
    tell(what=a.what, width=a.width, n=CLASSES * a.points, seconds=timed(lambda: kernel(net, x), a.repeats))


def operator(net, x):
    """J^T J of a network on images x, of a list of tensors like its parameters."""
    from functorch import jvp, make_functional

    function, theta = make_functional(net)

    def product(vector):
        total = [torch.zeros_like(part) for part in vector]
        for batch in x.split(1000):
            _, tangent = jvp(lambda *p: function(p, batch), tuple(theta), tuple(vector))
            outputs = function(theta, batch)
            for part, gradient in zip(total, torch.autograd.grad(outputs, theta, tangent.detach())):
                part += gradient
        return total

    return product, theta


def products(a):
    """A block of vectors with J^T J, summed over the images: what an iterative solver would be given."""
    product, theta = operator(perceptron(a.width), torch.randn(a.points, 784))
    vectors = [[torch.randn_like(part) for part in theta] for _ in range(16)]
    tell(seconds=timed(lambda: [product(vector) for vector in vectors], a.repeats))


@torch.no_grad()
def trace_of(net, x):
    """Sum of the squares of J, layer by layer: |input|^2 + 1 times |back-signals|^2."""
    total = 0.0
    for h in x.split(1000):
        dense, inputs, masks = forward_pass(net, h)
        back = torch.eye(CLASSES).expand(len(h), CLASSES, CLASSES)
        for k in reversed(range(len(dense))):
            total += ((inputs[k].square().sum(1) + 1) * back.square().sum((1, 2))).double().sum().item()
            if k > 0:
                back = (back @ dense[k].weight) * masks[k - 1][:, None]
    return total


def lanczos(apply, z, steps):
    """Nodes and weights of Gauss' rule for z^T f(A) z; fully reorthogonalised."""
    basis, alpha, beta = [z / np.linalg.norm(z)], [], []
    for _ in range(steps):
        w = apply(basis[-1])
        alpha.append(w @ basis[-1])
        for _ in range(2):
            w -= np.array(basis).T @ (np.array(basis) @ w)
        beta.append(np.linalg.norm(w))
        if beta[-1] < 1e-12:
            break
        basis.append(w / beta[-1])
    beside = np.diag(beta[: len(alpha) - 1], 1)
    nodes, vectors = np.linalg.eigh(np.diag(alpha) + beside + beside.T)
    return nodes, (z @ z) * vectors[0] ** 2


def quadrature(a):
    """exp of the entropy of the spectrum to a relative error: leading eigenvectors by scipy's eigsh, the rest by probes
    and Lanczos, with the trace as control variate; one vector at a time, as a LinearOperator is given them."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    images, _ = read_mnist(a.mnist, "train")
    net = drawn_network(a, a.width)
    start = time.perf_counter()
    product, theta = operator(net, images[: a.points])
    trace = trace_of(net, images[: a.points])
    shapes = [part.shape for part in theta]
    order, count = sum(part.numel() for part in theta), [0]

    def apply(v):
        count[0] += 1
        parts = torch.tensor(v, dtype=torch.float32).split([shape.numel() for shape in shapes])
        result = product([part.reshape(shape) for part, shape in zip(parts, shapes)])
        return torch.cat([part.reshape(-1) for part in result]).double().numpy() / trace

    top, q = eigsh(LinearOperator((order, order), matvec=lambda v: apply(v.reshape(-1))), k=48, tol=1e-3)

    def project(v):
        return v - q @ (q.T @ v)

    tail, samples, moments = 1 - top.sum(), [], []
    rng = np.random.default_rng(0)
    while True:
        z = project(rng.standard_normal(order))
        z *= ((order - len(top)) / (z @ z)) ** 0.5
        nodes, weights = lanczos(lambda v: project(apply(v)), z, 15)
        nodes = nodes.clip(1e-300)
        samples.append((-(weights * nodes * np.log(nodes)).sum(), (weights * nodes).sum()))
        moments.append(((weights * -(nodes**2) * np.log(nodes)).sum(), (weights * nodes**2).sum()))
        c = sum(m[0] for m in moments) / sum(m[1] for m in moments)
        values = np.array([f - c * (x - tail) for f, x in samples])
        if len(values) >= 8 and 1.96 * values.std(ddof=1) / len(values) ** 0.5 <= a.relative_error:
            break
    tell(
        seconds=time.perf_counter() - start,
        products=count[0],
        effective_rank=float(np.exp(values.mean() - (top * np.log(top)).sum())),
    )


def eigen(a):
    rng = np.random.default_rng(0)
    factor = rng.standard_normal((a.n, a.n // 4 + 1))
    matrix = (factor @ factor.T).astype(np.float32 if a.single else np.float64)
    np.linalg.eigvalsh(matrix[: a.n // 4, : a.n // 4])
    turns = [timed(lambda: np.linalg.eigvalsh(matrix)) for _ in range(a.repeats)]
    tell(what="eigen", n=a.n, precision="single" if a.single else "double", seconds=min(turns))


def train(a):
    net = perceptron(a.width)
    if a.optimizer == "adam":
        optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    else:
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
    x, y, loss = torch.rand(2048, PIXELS), torch.randint(0, CLASSES, (2048,)), torch.nn.CrossEntropyLoss()

    def steps(count):
        for k in range(count):
            i = k * BATCH % len(x)
            optimizer.zero_grad()
            loss(net(x[i : i + BATCH]), y[i : i + BATCH]).backward()
            optimizer.step()

    steps(20)
    count = max(20, int(20 * a.seconds / max(timed(lambda: steps(20)), 1e-6)))
    tell(what="train", width=a.width, optimizer=a.optimizer, microseconds=1e6 * timed(lambda: steps(count)) / count)


# ---------------------------------------------------------------------------------------------
# Convolutions
# ---------------------------------------------------------------------------------------------


def convolutional(width, colours=3):
    """The network of bench_convolution.c."""
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(colours, width, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, CLASSES),
    )


def convolution(a):
    """Training steps in PyTorch's best mode: mkldnn, channels last."""
    net = convolutional(a.width).to(memory_format=torch.channels_last)
    x = torch.rand(a.batch, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    y = torch.randint(0, CLASSES, (a.batch,))
    optimizer, loss = torch.optim.SGD(net.parameters(), 0.01), torch.nn.CrossEntropyLoss()

    def step():
        optimizer.zero_grad()
        loss(net(x), y).backward()
        optimizer.step()

    step()
    count = max(4, int(a.seconds / max(timed(step), 1e-6)))
    tell(what="convolution", width=a.width, batch=a.batch, milliseconds=1e3 * timed(step, count))


def structured_kernel(net, x):
    """The full kernel as a careful user writes it: one pass forward, one backward an output down to each
    layer's own outputs, all at once; per layer the gradients G [samples x outputs x parameters], and G G^T."""
    inputs, z = [], []
    h = x
    for layer in net:
        weighted = isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear))
        inputs += [h.detach()] if weighted else []
        h = layer(h)
        z += [h] if weighted else []
    each = torch.eye(CLASSES, dtype=x.dtype)[:, None].expand(CLASSES, len(x), CLASSES)
    back = torch.autograd.grad(h, z, each, is_grads_batched=True)  # of each: [outputs x samples x ...]
    kernel = torch.zeros(CLASSES * len(x), CLASSES * len(x), dtype=x.dtype)
    for h, delta in zip(inputs, back):
        if h.dim() == 4:
            h = torch.nn.functional.unfold(h, 3, padding=1)  # [samples x taps x positions]
        else:
            h = h[:, :, None]
        delta = delta.transpose(0, 1).reshape(len(x), -1, h.shape[2])  # [samples x outputs units x positions]
        rows = (delta @ h.transpose(1, 2)).reshape(CLASSES * len(x), -1)
        biases = delta.sum(2).reshape(CLASSES * len(x), -1)
        kernel += rows @ rows.T + biases @ biases.T
    return kernel


def convolution_kernel(a):
    """The full kernel by Jacobian contraction, or layer by layer."""
    kernel = structured_kernel if a.structured else functorch_kernel
    net, x = convolutional(a.width), torch.rand(a.points, 3, 32, 32)
    if not a.single:
        net, x = net.double(), x.double()
    kernel(net, x[:2])
    seconds = timed(lambda: kernel(net, x), a.repeats)
    tell(what="convolution-kernel", width=a.width, n=CLASSES * a.points, seconds=seconds)


# ---------------------------------------------------------------------------------------------
# A whole study
# ---------------------------------------------------------------------------------------------


def read_bytes(folder, name, header=0):
    for path in (pathlib.Path(folder) / name, pathlib.Path(folder) / (name + ".gz")):
        if path.exists():
            opened = gzip.open if path.suffix == ".gz" else open
            with opened(path, "rb") as file:
                return np.frombuffer(file.read(), np.uint8, offset=header)
    raise SystemExit(f"peer.py: {folder}/{name} is missing")


def read_mnist(folder, prefix):
    images = read_bytes(folder, f"{prefix}-images-idx3-ubyte", 16).reshape(-1, PIXELS)
    labels = read_bytes(folder, f"{prefix}-labels-idx1-ubyte", 8)
    return torch.tensor(images / 255.0, dtype=torch.float32), torch.tensor(labels.astype(np.int64))


def read_cifar10(folder, name):
    """Images [N x 3 x 32 x 32], channels last in memory."""
    rows = read_bytes(folder, name).reshape(-1, 1 + 3 * 32 * 32)
    images = torch.tensor(rows[:, 1:].reshape(-1, 3, 32, 32) / 255.0, dtype=torch.float32)
    return images.contiguous(memory_format=torch.channels_last), torch.tensor(rows[:, 0].astype(np.int64))


def read_both(a):
    """Training and test set."""
    if a.cnn:
        return read_cifar10(a.cifar10, "data_batch_1.bin"), read_cifar10(a.cifar10, "test_batch.bin")
    return read_mnist(a.mnist, "train"), read_mnist(a.mnist, "t10k")


def drawn_network(a, width):
    net = convolutional(width).to(memory_format=torch.channels_last) if a.cnn else perceptron(width)
    for layer in net:
        if isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d)):
            variance = 2 if a.cnn else 1
            torch.nn.init.normal_(layer.weight, std=(variance / layer.weight[0].numel()) ** 0.5)
            torch.nn.init.zeros_(layer.bias)
    return net


def observe(kernel):
    spectrum = np.linalg.eigvalsh(kernel).clip(0)
    share = spectrum / spectrum.sum()
    share = share[share > 0]
    return spectrum.mean(), np.exp(-(share * np.log(share)).sum()), spectrum[-1]


def one_cell(job):
    a, width, seed = job
    keep_blocks()
    torch.set_num_threads(a.threads)
    torch.manual_seed(seed)
    (x_all, y_all), (x_test, y_test) = read_both(a)
    net, loss = drawn_network(a, width), torch.nn.CrossEntropyLoss()
    kernel = functorch_kernel if a.cnn else full_kernel  # quicker than structured_kernel up to 32 channels
    optimizer = torch.optim.SGD(net.parameters(), a.rate)
    chosen = torch.randperm(len(x_all))[: a.size]
    x, y, probe = x_all[chosen], y_all[chosen], x_test[: a.probe]
    x_test, y_test = x_test[1000 : 1000 + a.tests], y_test[1000 : 1000 + a.tests]
    due = sorted({0, a.steps} | {round(10 ** (k / 4)) for k in range(int(4 * np.log10(a.steps)) + 1)})
    rows, step = [], 0

    def measure():
        with torch.no_grad():
            outputs = net(x_test)
            losses = loss(net(x), y).item(), loss(outputs, y_test).item()
            right = (outputs.argmax(1) == y_test).float().mean().item()
        full = kernel(net, probe).detach().double().numpy()
        blocks = full.reshape(a.probe, CLASSES, a.probe, CLASSES)
        traced = blocks.diagonal(axis1=1, axis2=3).sum(-1) / CLASSES
        rows.extend((width, seed, step, *losses, right, *observe(k)) for k in (traced, full))

    while True:
        for batch in torch.randperm(a.size).split(BATCH):
            if step in due:
                measure()
            if step >= a.steps:
                return rows
            optimizer.zero_grad()
            loss(net(x[batch]), y[batch]).backward()
            optimizer.step()
            step += 1


def study(a):
    a.threads = max(1, len(os.sched_getaffinity(0)) // a.processes)
    os.environ["OMP_NUM_THREADS"] = str(a.threads)
    jobs = [(a, width, seed) for width in sorted(a.widths, reverse=True) for seed in range(a.seeds)]
    start = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(a.processes) as pool:
        tables = pool.map(one_cell, jobs, chunksize=1)
    tell(what="study", cells=len(jobs), rows=sum(map(len, tables)), seconds=time.perf_counter() - start)


WORK = {
    "gram": gram,
    "functorch": gram,
    "products": products,
    "quadrature": quadrature,
    "eigen": eigen,
    "train": train,
    "convolution": convolution,
    "convolution-kernel": convolution_kernel,
    "study": study,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=list(WORK))
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--points", type=int, default=400)
    parser.add_argument("--n", type=int, default=1500)
    parser.add_argument("--single", action="store_true")
    parser.add_argument("--optimizer", choices=["sgd", "adam"], default="sgd")
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--seconds", type=float, default=0.5, help="of training steps, about")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--structured", action="store_true", help="kernels: layer by layer")
    parser.add_argument("--cnn", action="store_true", help="study: of convolutional networks on CIFAR-10")
    parser.add_argument("--mnist", default="mnist")
    parser.add_argument("--cifar10", default="cifar10")
    parser.add_argument("--tests", type=int, default=2000, help="test images of a study")
    parser.add_argument("--rate", type=float, default=0.1, help="learning rate of a study")
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--relative-error", type=float, default=0.01, help="of a quadrature's effective rank")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--probe", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=2)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    keep_blocks()
    WORK[a.what](a)


if __name__ == "__main__":
    main()

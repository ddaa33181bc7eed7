"""Full-batch training against an independent float64 implementation: from the initial snapshot and
the original files alone, the same losses over 100 steps.
"""

import gzip
import math

import lib

np = lib.need("numpy")
lib.need("h5py")
import network

STEPS = 100
TOLERANCE = 1e-5  # relative

# 1000 evaluations a decade: every one of 100 steps.
STUDY = f"""\
    data:
      source: mnist
      path: {{folder}}
      train_sizes: [100]
      test_size: 200
      probe_size: 10
      label_noise: {{noise}}
    model:
      widths: [16]
      depths: [2]
      activation: {{activation}}
      parametrization: [standard, ntk]
      bias_variance: 0.1
    training:
      loss: [cross-entropy, mse]
      optimizer: {{optimizer}}
      learning_rate: {{rate}}
      momentum: 0.8
      weight_decay: {{decay}}
      schedule: {{schedule}}
      batch_size: full
      max_steps: {STEPS}
      evaluations_per_decade: 1000
    measure:
      kernels: [traced]
      steps_per_decade: 0
    output:
      snapshots: measured
    """


# ---------------------------------------------------------------------------------------------
# The original files
# ---------------------------------------------------------------------------------------------


def read_idx(folder, name):
    for path, opener in ((folder / name, open), (folder / f"{name}.gz", gzip.open)):
        if path.exists():
            with opener(path, "rb") as file:
                content = file.read()
            dimensions = content[3]
            shape = np.frombuffer(content, ">u4", dimensions, offset=4)
            values = np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions)
            return values.reshape(shape)
    raise lib.Skip(f"{folder / name} is not there")


class Mnist:
    """Standardised by one mean and one population std of all training pixels."""

    def __init__(self, folder):
        self.folder = folder
        train = read_idx(folder, "train-images-idx3-ubyte")
        test = read_idx(folder, "t10k-images-idx3-ubyte")
        self.mean, self.std = np.mean(train / 255), np.std(train / 255)
        self.train, self.test = (
            (images.reshape(len(images), -1) / 255 - self.mean) / self.std
            for images in (train, test)
        )
        self.train_labels = read_idx(folder, "train-labels-idx1-ubyte")
        self.test_labels = read_idx(folder, "t10k-labels-idx1-ubyte")


_mnist = None


def mnist():
    global _mnist
    if _mnist is None:
        _mnist = Mnist(lib.data_folder("mnist"))
    return _mnist


# ---------------------------------------------------------------------------------------------
# Training
# ---------------------------------------------------------------------------------------------


def direction(optimizer, beta, gradient, state, step):
    """What a parameter moves against, times the rate; state: its moments, kept from step to step."""
    if optimizer == "sgd":
        return gradient
    if optimizer == "momentum":
        state["v"] = beta * state.get("v", 0) + gradient
        return state["v"]
    state["m"] = 0.9 * state.get("m", 0) + 0.1 * gradient
    state["v"] = 0.999 * state.get("v", 0) + 0.001 * gradient**2
    mean, square = state["m"] / (1 - 0.9**step), state["v"] / (1 - 0.999**step)
    return mean / (np.sqrt(square) + 1e-8)


def curve(keys, net, train, test):
    """Train and test loss at steps 0 .. STEPS."""
    x, labels = train
    states = [({}, {}) for _ in range(net.layers)]
    losses = []
    for step in range(STEPS + 1):
        losses.append([network.loss(keys["loss"], net.outputs(a), b)[0] for a, b in (train, test)])
        rate = keys["learning_rate"]
        if keys["schedule"] == "cosine":
            rate *= 0.5 * (1 + math.cos(math.pi * step / STEPS))
        by_weight, by_bias = net.gradients(x, lambda f: network.loss(keys["loss"], f, labels)[1])
        for l in range(net.layers):
            for value, gradient, state in (
                (net.weights[l], by_weight[l], states[l][0]),
                (net.biases[l], by_bias[l], states[l][1]),
            ):
                gradient = gradient + keys["weight_decay"] * value
                value -= rate * direction(
                    keys["optimizer"], keys["momentum"], gradient, state, step + 1
                )
    return np.array(losses)


def check_cell(cell, file, data, noise):
    keys = dict(file.attrs)
    index = {name: file[f"indices/{name}"][()] for name in ("train", "test", "train_labels")}
    lib.check_close(file["scaling/mean"][0], data.mean, 1e-12, f"{cell}: mean of all pixels")
    lib.check_close(file["scaling/std"][0], data.std, 1e-12, f"{cell}: their standard deviation")
    changed = np.mean(index["train_labels"] != data.train_labels[index["train"]])
    lib.check_close(changed, 0.9 * noise, 0.15 if noise else 0, f"{cell}: share of labels redrawn")
    train = data.train[index["train"]], index["train_labels"]
    test = data.test[index["test"]], data.test_labels[index["test"]]
    net = network.Network(keys, file["snapshots/0"])
    wanted = curve(keys, net, train, test)
    lib.check_equal(list(file["curve/step"]), list(range(STEPS + 1)), f"{cell}: evaluated steps")
    worst = 0
    for column, name in enumerate(("train_loss", "test_loss")):
        got = file[f"curve/{name}"][()]
        errors = np.abs(got / wanted[:, column] - 1)
        worst = max(worst, np.max(errors))
        lib.check_close(np.max(errors), 0, TOLERANCE,
                        f"{cell} {keys['parametrization']} {keys['loss']}: relative error of {name}")  # fmt: skip
    moved = abs(wanted[-1, 0] / wanted[0, 0] - 1)
    lib.check(moved > 0.01, f"{cell}: the training loss moved by {moved:.2g} only: nothing is tested")
    return worst


def reproduces(optimizer, rate, activation="tanh", noise=0.0, decay=0.0,
               schedule="constant"):  # fmt: skip
    data = mnist()
    out = lib.scratch("full-batch") / "out"
    lib.run_study(STUDY.format(folder=data.folder, optimizer=optimizer, rate=rate, decay=decay,
                               activation=activation, noise=noise, schedule=schedule), out)  # fmt: skip
    files = lib.cell_files(out)
    lib.check_equal(len(files), 4, "number of cells")
    worst = max(check_cell(cell, file, data, noise) for cell, file in files.items())
    print(f"    largest relative error {worst:.1e}, allowed {TOLERANCE:.0e}")


# Training is in float32; errors of 1e-7 to 1e-6 were measured, adam's included.
lib.add("gradient descent", reproduces, "sgd", 0.1)
lib.add("gradient descent, relu, label noise", reproduces, "sgd", 0.1, "relu", 0.5)
lib.add("momentum, weight decay, cosine", reproduces, "momentum", 0.03, decay=0.01,
        schedule="cosine")  # fmt: skip
lib.add("adam", reproduces, "adam", 0.003)
lib.main()

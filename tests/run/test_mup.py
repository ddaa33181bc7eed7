"""mup: at its base width it is the standard parametrisation, bit for bit; and a coordinate check (Yang
& Hu, Tensor Programs V, appendix D.1): how far preactivations move in 10 steps does not depend on
the width, while under the standard parametrisation it does.  The outputs of mup at init, random and
of size 1/sqrt(width), move too: they are flat once that is small.
"""

import lib

np = lib.need("numpy")
h5py = lib.need("h5py")
import network

try:
    import convolutional
    import torch

    torch.set_num_threads(1)
except ImportError:
    convolutional = None

WIDTHS = (32, 64, 128, 256, 512, 1024, 2048)
WIDE = 2  # outputs are looked at from here on
STEPS = 10

STUDY = f"""\
    data:
      source: glyphs
      train_sizes: [64]
      test_size: 50
      probe_size: 16
    model:
      widths: {{widths}}
      depths: [2]
      parametrization: [standard, mup]
      base_width: 32
      weight_variance: 2.0
    training:
      loss: cross-entropy
      optimizer: {{optimizer}}
      learning_rate: {{rate}}
      batch_size: 16
      max_steps: {STEPS}
      evaluations_per_decade: 1
    seeds: [0, 1]
    measure:
      kernels: [traced]
      steps_per_decade: 0
      solver: none
    output: {{{{snapshots: measured}}}}
"""


def preactivations(file, step):
    """On the probe, layer by layer."""
    if file.attrs["kind"] == "mlp":
        probe = file["probe/inputs"][()]
        return network.Network(dict(file.attrs), file[f"snapshots/{step}"]).forward(probe)[1]
    net = convolutional.from_layers(file, step)
    net.outputs(_seen)
    return [z.numpy() for z in net.seen]


def movement(file):
    """RMS change of each layer's preactivations on the probe, from the first step to the last."""
    before, after = (preactivations(file, step) for step in (0, STEPS))
    return [np.sqrt(np.mean((y - x) ** 2)) for x, y in zip(before, after)]


def slopes(files, parametrization, widths, wide, seeds):
    """Of ln movement against ln width, layer by layer; seeds averaged."""
    moved = []
    for width in widths:
        same = [
            movement(file)
            for file in files.values()
            if file.attrs["parametrization"] == parametrization and file.attrs["width"] == width
        ]
        lib.check_equal(len(same), seeds, f"cells of {parametrization}, width {width}")
        moved.append(np.mean(same, axis=0))
    moved = np.array(moved)
    print(f"  {parametrization}: {moved.T.round(3).tolist()}")
    hidden = np.polyfit(np.log(widths), np.log(moved[:, :-1]), 1)[0]
    output = np.polyfit(np.log(widths[wide:]), np.log(moved[wide:, -1]), 1)[0]
    return np.array([*hidden, output])


def coordinate_check(optimizer, rate):
    out = lib.scratch("mup") / "out"
    lib.run_study(STUDY.format(widths=list(WIDTHS), optimizer=optimizer, rate=rate), out)
    judge(optimizer, lib.cell_files(out), WIDTHS)


def judge(optimizer, files, widths, wide=WIDE, seeds=2):
    mup, standard = (
        slopes(files, name, widths, wide, seeds) for name in ("mup", "standard")
    )
    print(f"  {optimizer}: slopes of the layers: mup {mup.round(3)}, standard {standard.round(3)}")
    lib.check(np.all(np.abs(mup) < 0.1), f"mup is not flat: slopes {mup}")
    lib.check(np.max(np.abs(standard)) > 0.3, f"standard is flat: slopes {standard}")


def base_width_is_standard():
    """Every number of both cells' rows, every parameter of every snapshot."""
    for optimizer, rate in (("sgd", 0.1), ("momentum", 0.05), ("adam", 0.003)):
        out = lib.scratch("base") / "out"
        lib.run_study(STUDY.format(widths=[32], optimizer=optimizer, rate=rate), out)
        is_the_same(out, optimizer)


def is_the_same(out, optimizer, seeds=(0, 1), **wanted):
    rows, files = lib.table(out), lib.cell_files(out)
    for seed in seeds:
        one, other = (
            lib.select(rows, parametrization=name, seed=seed, kernel="traced", **wanted)
            for name in ("standard", "mup")
        )
        lib.check(len(one) >= 2, f"only {len(one)} rows of {optimizer}, {wanted}")
        for x, y in zip(one, other, strict=True):
            for column in set(x) - {"cell", "parametrization"}:
                lib.check_equal(y[column], x[column], f"{optimizer} {x['tag']}: {column}")
        a, b = files[one[0]["cell"]]["snapshots"], files[other[0]["cell"]]["snapshots"]
        lib.check_equal(set(a), set(b), "steps of the snapshots")
        for step in a:
            for name in a[step]:
                same = a[step][name][()].tobytes() == b[step][name][()].tobytes()
                lib.check(same, f"{optimizer}, step {step}: {name} differs")


# ---------------------------------------------------------------------------------------------
# Convolutional and residual networks, on images of 8 x 8
# ---------------------------------------------------------------------------------------------

CHANNELS = (16, 32, 64, 128)
_seen = np.random.default_rng(2).normal(size=(32, 64))  # what preactivations are looked at with

CONVOLUTIONAL = f"""\
    data: {{{{source: hdf5, path: images.h5, train_sizes: [64], test_size: 50, probe_size: 1, standardize: false}}}}
    model:
      kind: {{kind}}
      widths: {{widths}}
      depths: [1]
      stages: [1, 1]
      head: {{head}}
      dense_multiple: {{dense}}
      normalization: {{norm}}
      parametrization: [standard, mup]
      base_width: {{base}}
      weight_variance: 1.0
    training:
      optimizer: {{optimizer}}
      learning_rate: {{rate}}
      batch_size: 16
      max_steps: {STEPS}
      evaluations_per_decade: 1
    seeds: [0, 1, 2, 3]
    measure: {{{{kernels: [traced], steps_per_decade: 0, solver: none}}}}
    output: {{{{snapshots: measured}}}}
"""


def run_convolutional(**values):
    """The results folder; images are noise on a pattern for each class.  Of ten classes two occur: were
    labels balanced, the mean of y - p were that of the outputs at init, which fall with the width."""
    random = np.random.default_rng(1)
    patterns = random.normal(size=(10, 8, 8))
    out = lib.scratch("mup") / "out"
    with h5py.File(out.parent / "images.h5", "w") as file:
        for name, count in (("train", 200), ("test", 100)):
            labels = 8 + np.arange(count) % 2
            file[f"{name}/images"] = patterns[labels] + random.normal(size=(count, 8, 8))
            file[f"{name}/labels"] = labels
    lib.run_study(CONVOLUTIONAL.format(**values), out)
    return out


def convolutional_base_width_is_standard():
    for optimizer, rate in (("sgd", 0.1), ("adam", 0.003)):
        out = run_convolutional(kind="[cnn, resnet]", widths=[16], base=16, optimizer=optimizer, rate=rate,
                                head="[global-average, flatten]", dense="[0, 2]",
                                norm="[none, layer-norm]")  # fmt: skip
        for kind in ("cnn", "resnet"):
            for head in ("global-average", "flatten"):
                for dense in (0, 2):
                    for norm in ("none", "layer-norm"):
                        is_the_same(out, optimizer, kind=kind, head=head, dense_multiple=dense,
                                    normalization=norm)  # fmt: skip


def convolutional_check(kind, optimizer, rate, head="global-average", dense=0, norm="none"):
    if convolutional is None:
        raise lib.Skip("torch is not installed")
    out = run_convolutional(kind=kind, widths=list(CHANNELS), base=1, optimizer=optimizer, rate=rate,
                            head=head, dense=dense, norm=norm)  # fmt: skip
    judge(f"{kind}, {optimizer}", lib.cell_files(out), CHANNELS, wide=0, seeds=4)


lib.add("base width is standard, bit for bit", base_width_is_standard)
lib.add("coordinate check, sgd", coordinate_check, "sgd", 0.01)
lib.add("coordinate check, adam", coordinate_check, "adam", 0.003)
lib.add("cnn, resnet: base width is standard, bit for bit", convolutional_base_width_is_standard)
lib.add("cnn: coordinate check, sgd", convolutional_check, "cnn", "sgd", 0.01)
lib.add("cnn with a dense layer: coordinate check, adam", convolutional_check, "cnn", "adam", 0.003,
        "flatten", 2)  # fmt: skip
lib.add("resnet: coordinate check, sgd", convolutional_check, "resnet", "sgd", 0.01)
lib.add("resnet with layer norm: coordinate check, adam", convolutional_check, "resnet", "adam", 0.003,
        norm="layer-norm")  # fmt: skip
lib.main(
    quick=[
        "base width is standard, bit for bit",
        "coordinate check, sgd",
        "coordinate check, adam",
        "cnn, resnet: base width is standard, bit for bit",
        "cnn: coordinate check, sgd",
    ]
)

"""mup: at its base width it is the standard parametrisation, bit for bit; and a coordinate check (Yang
& Hu, Tensor Programs V, appendix D.1): how far preactivations move in 10 steps does not depend on
the width, while under the standard parametrisation it does.  The outputs of mup at init, random and
of size 1/sqrt(width), move too: they are flat once that is small.
"""

import lib

np = lib.need("numpy")
lib.need("h5py")
import network

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


def movement(file):
    """RMS change of each layer's preactivations on the probe, from the first step to the last."""
    keys, probe = dict(file.attrs), file["probe/inputs"][()]
    before, after = (
        network.Network(keys, file[f"snapshots/{step}"]).forward(probe)[1] for step in (0, STEPS)
    )
    return [np.sqrt(np.mean((y - x) ** 2)) for x, y in zip(before, after)]


def slopes(files, parametrization):
    """Of ln movement against ln width, layer by layer; seeds averaged."""
    moved = []
    for width in WIDTHS:
        same = [
            movement(file)
            for file in files.values()
            if file.attrs["parametrization"] == parametrization and file.attrs["width"] == width
        ]
        lib.check_equal(len(same), 2, f"cells of {parametrization}, width {width}")
        moved.append(np.mean(same, axis=0))
    moved = np.array(moved)
    print(f"  {parametrization}: {moved.T.round(3).tolist()}")
    hidden = np.polyfit(np.log(WIDTHS), np.log(moved[:, :-1]), 1)[0]
    output = np.polyfit(np.log(WIDTHS[WIDE:]), np.log(moved[WIDE:, -1]), 1)[0]
    return np.array([*hidden, output])


def coordinate_check(optimizer, rate):
    out = lib.scratch("mup") / "out"
    lib.run_study(STUDY.format(widths=list(WIDTHS), optimizer=optimizer, rate=rate), out)
    files = lib.cell_files(out)
    mup, standard = slopes(files, "mup"), slopes(files, "standard")
    print(f"  {optimizer}: slopes of the layers: mup {mup.round(3)}, standard {standard.round(3)}")
    lib.check(np.all(np.abs(mup) < 0.1), f"mup is not flat: slopes {mup}")
    lib.check(np.max(np.abs(standard)) > 0.3, f"standard is flat: slopes {standard}")


def base_width_is_standard():
    """Every number of both cells' rows, every parameter of every snapshot."""
    for optimizer, rate in (("sgd", 0.1), ("momentum", 0.05), ("adam", 0.003)):
        out = lib.scratch("base") / "out"
        lib.run_study(STUDY.format(widths=[32], optimizer=optimizer, rate=rate), out)
        rows, files = lib.table(out), lib.cell_files(out)
        for seed in (0, 1):
            one, other = (
                lib.select(rows, parametrization=name, seed=seed, kernel="traced")
                for name in ("standard", "mup")
            )
            for x, y in zip(one, other, strict=True):
                for column in set(x) - {"cell", "parametrization"}:
                    lib.check_equal(y[column], x[column], f"{optimizer} {x['tag']}: {column}")
            a, b = files[one[0]["cell"]]["snapshots"], files[other[0]["cell"]]["snapshots"]
            lib.check_equal(set(a), set(b), "steps of the snapshots")
            for step in a:
                for name in a[step]:
                    same = a[step][name][()].tobytes() == b[step][name][()].tobytes()
                    lib.check(same, f"{optimizer}, step {step}: {name} differs")


lib.add("base width is standard, bit for bit", base_width_is_standard)
lib.add("coordinate check, sgd", coordinate_check, "sgd", 0.01)
lib.add("coordinate check, adam", coordinate_check, "adam", 0.001)
lib.main()

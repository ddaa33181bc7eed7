"""The limit of infinite width against numpy: infinite.csv, the column infinite_distance from kept
kernels, and kernel regressions from snapshots and the images themselves.
"""

import csv
import io
import math
import struct

import lib

np = lib.need("numpy")
lib.need("h5py")
import network

CLASSES, SIDE = 10, 28
WIDTH, BASE, PROBE, IMAGES, TESTED, RIDGE = 12, 8, 14, 30, 25, 1e-3
VARIANCE, BIAS = 1.5, 0.1
SPECTRAL = ("trace", "entropy", "effective_rank", "participation_ratio", "lambda_max", "lambda_min")
REGRESSION = ("regression_test_loss", "regression_test_accuracy")
LEARNED = ("regression_kare", "regression_predicted_loss", "regression_learnability")

# 20 images are all of a subset, of 40 the regression takes the first 30.
STUDY = f"""\
    data:
      source: mnist
      path: {{folder}}
      train_sizes: [20, 40]
      test_size: 60
      probe_size: {PROBE}
      standardize: false
      label_noise: 0.3
    model:
      widths: [{WIDTH}]
      depths: [1, 3]
      activation: [relu, erf, tanh]
      parametrization: [standard, ntk, mup]
      base_width: {BASE}
      weight_variance: {VARIANCE}
      bias_variance: [0.0, {BIAS}]
    training:
      loss: mse
      learning_rate: 0.05
      batch_size: 10
      max_steps: 6
    seeds: [3, 4]
    measure:
      kernels: [traced, full, class]
      steps_per_decade: 0
      infinite: true
      regression: {{{{train_images: {IMAGES}, test_images: {TESTED}, ridge: {RIDGE}}}}}
    output:
      kernels: true
      snapshots: measured
    """


# ---------------------------------------------------------------------------------------------
# Images
# ---------------------------------------------------------------------------------------------


class Images:
    """Files like those of MNIST: a figure a class, blurred by noise."""

    def __init__(self, folder):
        rng = np.random.default_rng(5)
        figures = rng.integers(0, 256, (CLASSES, SIDE * SIDE))
        self.folder = folder
        self.pixels, self.labels = {}, {}
        for kind, name, count in (("train", "train", 300), ("test", "t10k", 200)):
            labels = np.arange(count) % CLASSES
            noise = rng.integers(0, 256, (count, SIDE * SIDE))
            pixels = np.uint8((figures[labels] + 2 * noise) // 3)
            (folder / f"{name}-images-idx3-ubyte").write_bytes(
                struct.pack(">IIII", 0x803, count, SIDE, SIDE) + pixels.tobytes())  # fmt: skip
            (folder / f"{name}-labels-idx1-ubyte").write_bytes(
                struct.pack(">II", 0x801, count) + np.uint8(labels).tobytes())  # fmt: skip
            self.pixels[kind], self.labels[kind] = pixels, labels

    def inputs(self, kind, index):
        """As the network sees them, in float32."""
        return np.float64(np.float32(1 / 255) * np.float32(self.pixels[kind][index]))


# ---------------------------------------------------------------------------------------------
# Closed forms
# ---------------------------------------------------------------------------------------------


def expectations(activation, uu, uv, vv):
    """E[phi(u) phi(v)] and E[phi'(u) phi'(v)]."""
    if activation == "relu":
        norm = np.sqrt(np.outer(uu, vv))
        cosine = np.where(uv >= (1 - 1e-14) * norm, 1, uv / norm)  # x with itself: arccos loses digits
        angle = np.arccos(np.clip(cosine, -1, 1))
        return (norm * (np.sin(angle) + (math.pi - angle) * np.cos(angle)) / (2 * math.pi),
                (math.pi - angle) / (2 * math.pi))  # fmt: skip
    norm = np.outer(1 + 2 * uu, 1 + 2 * vv)
    return 2 / math.pi * np.arcsin(2 * uv / np.sqrt(norm)), 4 / math.pi / np.sqrt(norm - 4 * uv**2)


def closed_form(keys, x, y, own=None, weighted=False):
    """NNGP and NTK of x with y.  own: multipliers of the gradients of a layer, (of the mean of h h',
    added); None: those of the network's parametrisation at its width."""
    layers, inputs = int(keys["depth"]) + 1, x.shape[1]
    width = int(keys.get("width", 1))  # of limits there is none
    r = width / BASE if keys["parametrization"] == "mup" else 1
    variance = [keys["weight_variance"]] * layers
    bias = [keys["bias_variance"]] * layers
    if own is None:
        own = [(inputs if l == 0 else width, 1) for l in range(layers)]
        if keys["parametrization"] == "ntk":
            own = list(zip(variance, bias))
        if keys["parametrization"] == "mup":
            variance[-1] *= width / BASE / r**2
            own[-1] = width / r**2, 1
            if weighted:
                own = [(a * (r if l in (0, layers - 1) else 1), b * (r if l < layers - 1 else 1))
                       for l, (a, b) in enumerate(own)]  # fmt: skip
    q = x @ y.T / inputs
    qx, qy = np.sum(x * x, 1) / inputs, np.sum(y * y, 1) / inputs
    theta = own[0][0] * q + own[0][1]
    k, kx, ky = (variance[0] * part + bias[0] for part in (q, qx, qy))
    for l in range(1, layers):
        value, slope = expectations(keys["activation"], kx, k, ky)
        theta = own[l][0] * value + own[l][1] + variance[l] * slope * theta
        kx, ky = (np.diag(expectations(keys["activation"], own_k, np.diag(own_k), own_k)[0])
                  * variance[l] + bias[l] for own_k in (kx, ky))  # fmt: skip
        k = variance[l] * value + bias[l]
    return k, theta


def limit(keys, name, x, y):
    """Of infinite width; standard: over the width."""
    layers = int(keys["depth"]) + 1
    own = [(0, 0)] + [(1, 0)] * (layers - 1) if keys["parametrization"] == "standard" else None
    return closed_form(keys, x, y, own)[("nngp", "ntk").index(name)]


def regression(kernel, labels, test_labels, relative=RIDGE):
    """Loss, accuracies and the columns of LEARNED, from the kernel of training and test images."""
    n = len(labels)
    train, cross = kernel[:n, :n], kernel[n:, :n]
    targets = np.eye(CLASSES)[labels] - 1 / CLASSES
    ridge = relative * np.trace(train) / n
    alpha = np.linalg.solve(train + ridge * np.eye(n), targets)
    f = cross @ alpha + 1 / CLASSES
    inverse = np.sum(1 / (np.linalg.eigvalsh(train) + ridge))
    kare = n * np.sum(alpha**2) / CLASSES / inverse**2
    every = np.concatenate((labels, test_labels))
    return (np.mean((f - np.eye(CLASSES)[test_labels]) ** 2), accuracies(f, test_labels),
            (kare, *eigenlearning(kernel, every, n, ridge)))  # fmt: skip


def eigenlearning(kernel, labels, n, ridge):
    """Expected loss on images of a pool that n drawn from it did not teach, and learnability of the
    labels, by eigenvectors (Simon et al. 2021)."""
    pool = len(labels)
    targets = np.eye(CLASSES)[labels] - 1 / CLASSES
    values, vectors = np.linalg.eigh(kernel)
    values = np.maximum(values, 0) / pool
    power = np.sum((vectors.T @ targets) ** 2, 1) / pool
    low, high = 1e-30, 1e9
    for _ in range(300):
        kappa = math.sqrt(low * high)
        above = np.sum(values / (values + kappa)) + ridge / kappa > n
        low, high = (kappa, high) if above else (low, kappa)
    learned = values / (values + kappa)
    on_pool = n / (n - np.sum(learned**2)) * np.sum((1 - learned) ** 2 * power) / CLASSES
    on_drawn = (ridge / n / kappa) ** 2 * on_pool
    return ((pool * on_pool - n * on_drawn) / (pool - n), np.sum(learned * power) / np.sum(power))


def accuracies(f, labels):
    """Least and most, as ties may go: classes that no training image has are predicted alike."""
    hit = f[np.arange(len(f)), labels]
    f = f.copy()
    f[np.arange(len(f)), labels] = -np.inf
    return np.mean(hit > f.max(1) + 1e-9), np.mean(hit > f.max(1) - 1e-9)


def check_regression(row, wanted, what):
    loss, (least, most), learned = wanted
    check_relative(float(row[REGRESSION[0]]), loss, 1e-8, f"{what}: {REGRESSION[0]}")
    for column, value in zip(LEARNED, learned):
        check_relative(float(row[column]), value, 1e-8, f"{what}: {column}")
    accuracy = float(row[REGRESSION[1]])
    lib.check(least - 1e-12 <= accuracy <= most + 1e-12,
              f"{what}: accuracy {accuracy}, expected {least} to {most}")  # fmt: skip


# ---------------------------------------------------------------------------------------------
# One study, looked at from several sides
# ---------------------------------------------------------------------------------------------

_study = None


def study():
    """Images, results folder, cells by their attributes."""
    global _study
    if _study is None:
        out = lib.scratch("infinite") / "out"
        images = Images(lib.scratch("images"))
        lib.run_study(STUDY.format(folder=images.folder), out)
        _study = images, out, open_cells(out)
    return _study


def infinite_table(out):
    return list(csv.DictReader(io.StringIO((out / "infinite.csv").read_text())))


def regression_images(images, file):
    """Inputs and labels: of training, of test."""
    train, test = file["indices/train"][:IMAGES], file["indices/test"][:TESTED]
    return (images.inputs("train", train), file["indices/train_labels"][:IMAGES],
            images.inputs("test", test), images.labels["test"][test])  # fmt: skip


def check_relative(got, wanted, tolerance, what):
    lib.check_close(got, wanted, tolerance * abs(wanted), what)


@lib.case
def images_are_seen_as_the_probe_says():
    images, _, cells = study()
    for keys, file in cells.values():
        got = np.float64(file["probe/inputs"][()])
        wanted = images.inputs("test", file["indices/probe"][()])
        lib.check(np.array_equal(got, wanted), f"{keys['cell']}: the probe has other inputs")


@lib.case
def rows_of_infinite_csv():
    images, out, cells = study()
    rows = infinite_table(out)
    seen = set()
    for row in rows:
        keys = {"activation": row["activation"], "depth": int(row["depth"]),
                "parametrization": row["parametrization"],
                "weight_variance": float(row["weight_variance"]),
                "bias_variance": float(row["bias_variance"])}  # fmt: skip
        seed, n_train = int(row["seed"]), int(row["n_train"])
        file = next(f for k, f in cells.values()
                    if k["seed"] == seed and min(k["n_train"], IMAGES) == n_train)  # fmt: skip
        what = " ".join((row["limit"], row["kernel"], str(keys)))
        probe = images.inputs("test", file["indices/probe"][()])
        kernel = limit(keys, row["limit"], probe, probe)
        if row["kernel"] == "full":
            kernel = np.kron(kernel, np.eye(CLASSES))
        wanted = network.observables(np.linalg.eigvalsh(kernel))
        for column in SPECTRAL:
            tolerance = 1e-9 * (wanted["lambda_max"] if column == "lambda_min" else wanted[column])
            lib.check_close(row[column], wanted[column], tolerance, f"{what}: {column}")
        lib.check_equal(int(row["n"]), len(kernel), f"{what}: n")
        x, labels, y, test_labels = regression_images(images, file)
        both = np.concatenate((x, y))
        wanted = regression(limit(keys, row["limit"], both, both), labels, test_labels)
        check_regression(row, wanted, what)
        seen.add(tuple(row[k] for k in list(row)[:7]) + (row["n_train"], row["seed"]))
    # limits x depths x activations x parametrisations x biases x kernels x subsets
    lib.check_equal(len(rows), 2 * 2 * 2 * 2 * 2 * 2 * 4, "number of rows")
    lib.check_equal(len(seen), len(rows), "number of different rows")


def check_distances(out, cells):
    """infinite_distance from kept kernels; the largest at init."""
    largest = 0
    for row in lib.table(out):
        keys, file = cells[row["cell"]]
        if keys["activation"] == "tanh":
            lib.check_equal(row["infinite_distance"], "nan", "infinite_distance of tanh")
            continue
        probe = np.float64(file["probe/inputs"][()])
        weighted = row["kernel"].endswith("-rate-weighted")
        wanted = closed_form(keys, probe, probe, weighted=weighted)[1]
        if row["kernel"].startswith("full"):
            wanted = np.kron(wanted, np.eye(CLASSES))
        theta = file[f"kernels/{row['kernel']}/{row['step']}"][()]
        distance = np.linalg.norm(theta - wanted) / np.linalg.norm(wanted)
        check_relative(float(row["infinite_distance"]), distance, 1e-8,
                       f"{row['cell']} {row['kernel']} {row['step']}: infinite_distance")  # fmt: skip
        if row["tag"] == "init" and row["kernel"] == "traced":
            largest = max(largest, distance)
    return largest


def open_cells(out):
    return {name: (dict(f.attrs), f) for name, f in lib.cell_files(out).items()}


@lib.case
def distances_of_kept_kernels():
    _, out, cells = study()
    largest = check_distances(out, cells)
    lib.check(0.01 < largest < 2, f"largest distance at init: {largest:.3g}")


@lib.case
def regressions_of_networks():
    images, out, cells = study()
    checked = 0
    for row in lib.select(lib.table(out), kernel="traced"):
        keys, file = cells[row["cell"]]
        x, labels, y, test_labels = regression_images(images, file)
        jacobian = network.Network(keys, file[f"snapshots/{row['step']}"]).jacobian(
            np.concatenate((x, y)))  # fmt: skip
        kernel = np.einsum("iap,jap->ij", jacobian, jacobian, optimize=True) / CLASSES
        wanted = regression(kernel, labels, test_labels)
        check_regression(row, wanted, f"{row['cell']} {row['step']}")
        checked += 1
    lib.check(checked > 100, f"{checked} rows only")


@lib.case
def predictions_hold_for_images_drawn_at_random():
    """Of the formula, not of the program: mean loss over draws, within a tenth (they were within 2 %)."""
    rng = np.random.default_rng(7)
    images = Images(lib.scratch("drawn"))
    x = images.inputs("train", np.arange(300))
    labels = images.labels["train"]
    keys = {"activation": "relu", "depth": 2, "parametrization": "ntk", "weight_variance": 2.0,
            "bias_variance": 0.0}  # fmt: skip
    kernel = limit(keys, "ntk", x, x)
    for n, relative in ((20, 0.0), (80, 0.0)):
        losses = []
        for _ in range(20):
            order = rng.permutation(len(x))
            losses.append(regression(kernel[np.ix_(order, order)], labels[order[:n]],
                                     labels[order[n:]], relative)[0])  # fmt: skip
        expected = eigenlearning(kernel, labels, n, relative * np.trace(kernel) / len(x))[0]
        check_relative(expected, np.mean(losses), 0.1, f"predicted loss of {n} images")


@lib.case
def all_training_images_are_taken():
    out = lib.scratch("all") / "out"
    more = ", regression: {train_images: all, test_images: 7}"
    small(out, "--set", "data.train_sizes=[20, 30]", "--set", "seeds=0", more=more, infinite="false")
    many = lib.scratch("many") / "out"
    small(many, "--set", "data.train_sizes=[20, 30]", "--set", "seeds=0", infinite="false",
          more=more.replace("all", "1000"))  # fmt: skip
    columns = REGRESSION + LEARNED
    for row, wanted in zip(lib.table(out), lib.table(many)):
        lib.check_equal([row[c] for c in columns], [wanted[c] for c in columns], row["cell"])
        lib.check(float(row["regression_learnability"]) > 0, "no learnability")


# ---------------------------------------------------------------------------------------------
# Runs
# ---------------------------------------------------------------------------------------------

SMALL = """\
    data: {source: glyphs, train_sizes: [30], test_size: 40, probe_size: 20, probe_from: train}
    model: {widths: [8, 16], activation: %s}
    training: {max_steps: 5}
    seeds: [0, 1]
    measure: {kernels: [traced], steps_per_decade: 0, infinite: %s%s}
    """


def small(out, *sets, activation="relu", infinite="true", more="", **options):
    return lib.run_study(SMALL % (activation, infinite, more), out, *sets, **options)


@lib.case
def the_table_is_the_same_again_and_on_more_ranks():
    folder = lib.scratch("again")
    small(folder / "one", "--set", "output.kernels=true")
    check_distances(folder / "one", open_cells(folder / "one"))  # a probe per seed
    first = (folder / "one/infinite.csv").read_text()
    lib.check_equal(len(first.splitlines()), 1 + 2 * 2, "lines: two limits, a probe per seed")
    (folder / "one/infinite.csv").unlink()
    small(folder / "one", "--set", "output.kernels=true")
    lib.check_same_bytes((folder / "one/infinite.csv").read_text(), first, "infinite.csv again")
    small(folder / "two", ranks=2)
    lib.check_same_bytes((folder / "two/infinite.csv").read_text(), first, "infinite.csv, 2 ranks")
    small(folder / "shared", more=", team_size: all, solver: scalapack", ranks=4)
    for got, wanted in zip(infinite_table(folder / "shared"), infinite_table(folder / "one")):
        lib.check_equal(got["solver"], "scalapack", "solver of a team of 4")
        for column in SPECTRAL[:-1]:
            check_relative(float(got[column]), float(wanted[column]), 1e-9, f"4 ranks: {column}")
    for name in ("two", "shared"):
        for got, wanted in zip(lib.table(folder / name), lib.table(folder / "one")):
            check_relative(float(got["infinite_distance"]), float(wanted["infinite_distance"]),
                           1e-12, f"infinite_distance, {name}")  # fmt: skip


@lib.case
def asking_for_it_later_measures_nothing_anew():
    out = lib.scratch("later") / "out"
    small(out, infinite="false")
    lib.check(not (out / "infinite.csv").exists(), "infinite.csv was not asked for")
    before = {path.name: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}
    small(out)
    after = {path.name: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}
    lib.check_equal(after, before, "times of the cells' files")
    lib.check(len(infinite_table(out)) > 0, "infinite.csv has no rows")


@lib.case
def what_has_no_closed_form_has_no_rows():
    out = lib.scratch("tanh") / "out"
    small(out, activation="tanh")
    lib.check_equal(infinite_table(out), [], "rows of tanh")
    distances = {row["infinite_distance"] for row in lib.table(out)}
    lib.check_equal(distances, {"nan"}, "infinite_distance of tanh")


@lib.case
def without_a_solver_moments_are_told():
    out = lib.scratch("moments") / "out"
    small(out, more=", solver: none")
    for row in infinite_table(out):
        lib.check_equal(row["solver"], "none", "solver")
        lib.check_equal(row["entropy"], "nan", "entropy")
        lib.check(float(row["trace"]) > 0 and float(row["participation_ratio"]) > 1, "moments")


@lib.case
def a_regression_that_does_not_fit_is_refused():
    out = lib.scratch("large") / "out"
    more = ", memory_per_rank: 100M, regression: {train_images: 30, test_images: 5000}"
    line = lib.only_complaint(small(out, "--set", "data.test_size=5000", more=more, expect=2))
    lib.check("measure.regression.train_images" in line, f"the keys are not named: {line}")


lib.main()

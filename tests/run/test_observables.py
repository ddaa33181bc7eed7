"""Every observable of results.csv against numpy: from the kernels, spectra and snapshots that the
cells' files keep, and from the definitions of `ntklens keys --columns`, to 1e-8.
"""

import math

import lib

np = lib.need("numpy")
lib.need("h5py")
import network

TOLERANCE = 1e-8
EPS = np.finfo(float).eps
CONTRACT = ("trace", "entropy", "effective_rank", "participation_ratio", "lambda_max", "lambda_min")
# of the eigenvalue solve, whose rounding is relative to lambda_max
ROUNDED = ("lambda_min", "condition_number")
# test_infinite.py looks at these
ELSEWHERE = ("infinite_distance", "regression_test_loss", "regression_test_accuracy",
             "regression_kare", "regression_predicted_loss", "regression_learnability")

STUDY = """\
    data:
      source: glyphs
      train_sizes: [45]
      test_size: 50
      probe_size: {probe}
      probe_from: {probe_from}
    model:
      widths: [7]
      depths: {depths}
      activation: {activation}
      parametrization: {parametrization}
      base_width: 3
      weight_variance: 1.7
      bias_variance: 0.1
    training:
      loss: {loss}
      optimizer: {optimizer}
      learning_rate: {rate}
      batch_size: 10
      max_steps: 57
      evaluations_per_decade: 9
    measure:
      kernels: {kernels}
      steps_per_decade: {per_decade}
      at: {{steps: [20], train_loss: [{train_loss}]}}
      auxiliary_spectra: {auxiliary}
      eigenvectors: {eigenvectors}
    output: {{kernels: true, snapshots: measured}}
"""


# ---------------------------------------------------------------------------------------------
# Definitions
# ---------------------------------------------------------------------------------------------


def of_spectrum(lam, classes):
    n, positive = len(lam), lam[lam > 0]
    floor = n * EPS * lam[0]
    above = lam[lam > floor]
    result = network.observables(lam)
    result["entropy_density"] = result["entropy"] / math.log(n)
    result["lambda_max_over_n"] = lam[0] / n
    result["stable_rank"] = positive.sum() / lam[0]
    result["trace_ratio"] = lam[:classes].clip(min=0).sum() / positive.sum()
    result["trace_ratio_1"] = lam[0] / positive.sum()
    result["condition_number"] = lam[0] / above[-1]
    result["numerical_rank"] = len(above)
    first, last = max(2, n // 50), min(n // 4, len(above))
    fitted = np.arange(first, last + 1)
    if len(fitted) >= 5:
        slope = np.polyfit(np.log(fitted), np.log(lam[fitted - 1]), 1)[0]
        result["spectral_exponent"] = -slope - 1
        result["spectral_exponent_from"], result["spectral_exponent_to"] = first, last
    for word, share in (("", 1), ("_tenth", 0.1), ("_hundredth", 0.01)):
        result["effective_dimension" + word] = np.sum(positive / (positive + share * lam.mean()))
    return result


def effective_rank(kernel):
    return network.observables(np.linalg.eigvalsh(kernel))["effective_rank"]


def centring(samples, unit):
    """On the samples, for kernels of `unit` rows a sample."""
    return np.kron(np.eye(samples) - 1 / samples, np.eye(unit))


def of_related(kernel, samples, unit):
    h = centring(samples, unit)
    magnitude = np.sqrt(np.diag(kernel))
    half, quarter = samples // 2 * unit, samples // 4 * unit
    return {
        "effective_rank_centred": effective_rank(h @ kernel @ h),
        "effective_rank_cosine": effective_rank(kernel / np.outer(magnitude, magnitude)),
        "effective_rank_half": effective_rank(kernel[:half, :half]),
        "effective_rank_quarter": effective_rank(kernel[:quarter, :quarter]),
    }


def targets_and_gradients(name, g, labels):
    """Centred one-hot targets and gradients as columns, as the kernel takes them, and how often the
    kernel stands on the diagonal of the one they are for."""
    samples, classes = g.shape
    y = np.eye(classes)[labels]
    y = y - y.mean(axis=0)
    if name.startswith("full"):
        return y.reshape(-1, 1), g.reshape(-1, 1), 1
    if name.startswith("class"):
        output = int(name.removeprefix("class").split("-")[0])
        return y, g[:, [output]], 1
    return y, g, classes


def of_labels(name, kernel, g, labels):
    samples, classes = g.shape
    n = len(kernel)
    y, g, copies = targets_and_gradients(name, g, labels)
    h = centring(samples, n // samples)
    centred, target = h @ kernel @ h, y @ y.T
    used = np.trace(g.T @ kernel @ g)
    result = {
        "label_alignment": np.sum(centred * target)
        / (np.linalg.norm(centred) * np.linalg.norm(target)),
        "chi_net": np.trace(kernel) / n,
        "chi_loss": copies * n * np.sum(g**2),
        "chi_coup": used / (copies * np.trace(kernel) * np.sum(g**2)),
    }
    product = result["chi_net"] * result["chi_loss"] * result["chi_coup"]
    lib.check_close(product / used, 1, 1e-12, "the product of the chi is g^T Theta g")
    return result


def of_eigenvectors(name, kernel, g, labels):
    n = len(kernel)
    y, g_columns, _ = targets_and_gradients(name, g, labels)
    lam, u = np.linalg.eigh(kernel)
    lam, u = lam[::-1], u[:, ::-1]
    power = np.cumsum(np.sum((u.T @ y) ** 2, axis=1)) / np.sum(y**2)
    used = lam.clip(min=0) * np.sum((u.T @ g_columns) ** 2, axis=1)
    apart = np.flatnonzero(-np.diff(lam) > n * EPS * lam[0]) + 1
    used = np.array([part.sum() for part in np.split(used, apart)])
    p = used[used > 0] / used.sum()
    return {
        "target_power": power[g.shape[1] - 1],
        "target_power_tenth": power[math.ceil(n / 10) - 1],
        "used_rank": math.exp(-np.sum(p * np.log(p))),
    }


def of_outputs(kernel, samples, classes):
    """Of a full kernel: how far it is from traced x identity, and its mean block of outputs."""
    blocks = kernel.reshape(samples, classes, samples, classes)
    traced = np.einsum("iaja->ij", blocks) / classes
    mean_block = np.einsum("iaib->ab", blocks) / samples
    return {
        "identity_distance": np.linalg.norm(kernel - np.kron(traced, np.eye(classes)))
        / np.linalg.norm(kernel),
        "effective_rank_outputs": effective_rank(mean_block),
    }


def of_position(lam, kernel, result, classes, name):
    """Where in its spectrum the kernel's Rayleigh quotient of the loss gradient lies."""
    n = len(lam) * (classes if name.startswith("traced") else 1)
    position = n * result["chi_coup"]
    value, i = position * lam.mean(), int(np.sum(lam >= position * lam.mean()))
    index = i if i == len(lam) or lam[i] <= 0 else i + math.log(lam[i - 1] / value) / math.log(
        lam[i - 1] / lam[i]
    )
    return {"spectral_position": position, "spectral_index": index}


def of_both_kernels(file, name, step):
    """What the effective ranks of the full and the traced kernel say together."""
    weighted = "-rate-weighted" if name.endswith("-rate-weighted") else ""
    if not name.startswith("full") or f"spectra/traced{weighted}" not in file:
        return {}
    full, traced = (
        network.observables(file[f"spectra/{kind}{weighted}/{step}"][()])["effective_rank"]
        for kind in ("full", "traced")
    )
    return {"class_factor": full / traced}


def rate_ratio(study, file, probe):
    """The learning rate over the largest stable one at init, of plain sgd."""
    name = "full-rate-weighted" if study["parametrization"] == "mup" else "full"
    init = network.Network(dict(file.attrs), file["snapshots/0"])
    return study["rate"] / stability_rate(
        study["loss"], file[f"kernels/{name}/0"][()], init.outputs(probe)
    )


def stability_rate(loss, kernel, outputs):
    """Of plain gradient descent on the mean loss, from its Gauss-Newton matrix over the outputs."""
    samples, classes = outputs.shape
    if loss == "mse":
        curvature = 2 / (samples * classes) * kernel
    else:
        p = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        root = np.zeros_like(kernel)
        for i in range(samples):
            lam, u = np.linalg.eigh(np.diag(p[i]) - np.outer(p[i], p[i]))
            at = slice(i * classes, (i + 1) * classes)
            root[at, at] = u @ np.diag(np.sqrt(lam.clip(min=0))) @ u.T
        curvature = root @ kernel @ root / samples
    return 2 / np.linalg.eigvalsh(curvature)[-1]


def distance(a, b):
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    return 0.5 * np.linalg.norm(a - b) ** 2


def layer_traces(net, probe, name):
    """Squared gradients of first, hidden and output layers, summed and over n."""
    jacobian = net.jacobian(probe)
    weight = net.rates() if "rate-weighted" in name else 1
    squares = np.sum(jacobian**2 * weight, axis=0)
    rows = len(probe) * (1 if name.startswith("class") else squares.shape[0])
    if name.startswith("class"):
        squares = squares[[int(name.removeprefix("class").split("-")[0])]]
    squares = squares.sum(axis=0) / rows
    ends = np.cumsum([w.size + b.size for w, b in zip(net.weights, net.biases)])
    return {
        "trace_first": squares[: ends[0]].sum(),
        "trace_hidden": squares[ends[0] : ends[-2]].sum(),
        "trace_output": squares[ends[-2] :].sum(),
    }


def of_matrix(kernel):
    magnitude = np.sqrt(np.diag(kernel))
    q = magnitude / magnitude.sum()
    return {
        "frobenius_norm": np.linalg.norm(kernel),
        "magnitude_entropy": -np.sum(q * np.log(q)),
    }


# ---------------------------------------------------------------------------------------------
# Rows
# ---------------------------------------------------------------------------------------------


def velocity_from(step, tags, per_decade):
    """Where a state's velocity starts; None: it has none."""
    if step == 0 or tags == {"best"}:
        return None
    logged = [round(10 ** (k / per_decade)) for k in range(20)] if per_decade else []
    return max([0, *(s for s in logged if s < step)])


def expected(study, file, row, tags):
    name, step = row["kernel"], int(row["step"])
    keys, probe, labels = dict(file.attrs), file["probe/inputs"][()], file["probe/labels"][()]
    kernels = file[f"kernels/{name}"]
    kernel, initial = kernels[str(step)][()], kernels["0"][()]
    net = network.Network(keys, file[f"snapshots/{step}"])
    outputs = net.outputs(probe)
    loss, g = network.loss(keys["loss"], outputs, labels)
    samples, classes = outputs.shape
    unit = len(kernel) // samples
    result = of_spectrum(file[f"spectra/{name}/{step}"][()], classes)
    result |= of_matrix(kernel)
    result |= layer_traces(net, probe, name)
    result |= of_labels(name, kernel, g, labels)
    result["kernel_change"] = np.linalg.norm(kernel - initial) / np.linalg.norm(initial)
    result["kernel_distance"] = distance(kernel, initial)
    start = velocity_from(step, tags, study["per_decade"])
    if start is not None:
        before = kernels[str(start)][()]
        result["kernel_velocity"] = distance(kernel, before) / (step - start)
    lam = file[f"spectra/{name}/{step}"][()]
    result |= of_position(lam, kernel, result, classes, name)
    if unit == classes:
        result |= of_outputs(kernel, samples, classes)
        result["stability_rate"] = stability_rate(keys["loss"], kernel, outputs)
    result |= of_both_kernels(file, name, step)
    if study["optimizer"] == "sgd":
        result["rate_ratio"] = rate_ratio(study, file, probe)
    if study["auxiliary"] == "all" or study["auxiliary"] == "traced" and "traced" in name:
        result |= of_related(kernel, samples, unit)
    if study["eigenvectors"] == "true":
        result |= of_eigenvectors(name, kernel, g, labels)
    weights = sum(w.size for w in net.weights)
    seen = sum(min(10, 45 - k % 5 * 10) for k in range(step))
    result["samples_seen"], result["training_flops"] = seen, 6 * weights * seen
    return result


def check_row(where, study, file, row, tags):
    wanted = expected(study, file, row, tags)
    names = [name for name in row if name not in ELSEWHERE and name not in lib.MLP_HAS]
    lib.check_equal({name: row[name] for name in lib.MLP_HAS}, lib.MLP_HAS, f"{where}: what is no observable")
    observables = [*CONTRACT, *names[names.index("validation_accuracy") + 1 :]]
    lib.check(set(wanted) <= set(observables), f"{where}: columns {set(wanted) - set(observables)}")
    for name in observables:
        if name not in wanted:
            lib.check_equal(row[name], "nan", f"{where}: {name}")
            continue
        scale = abs(wanted[name])
        if name in ROUNDED:
            scale = max(scale, wanted["lambda_max"] if name == "lambda_min" else scale * scale)
        lib.check_close(row[name], wanted[name], TOLERANCE * scale, f"{where}: {name}")
    _asked.update(observables)
    _seen.update(wanted)


_asked, _seen = set(), set()


def whole_study(**study):
    out = lib.scratch("observables") / "out"
    lib.run_study(STUDY.format(**study), out)
    rows, files = lib.table(out), lib.cell_files(out)
    for cell, file in files.items():
        mine = lib.select(rows, cell=cell)
        for row in mine:
            tags = {r["tag"] for r in lib.select(mine, step=row["step"])}
            where = f"{cell} step {row['step']} {row['kernel']}"
            check_row(where, study, file, row, tags)


def every_observable_was_seen():
    lib.check_equal(_asked - _seen, set(), "columns that no study had a value for")
    text = lib.run(["keys", "--columns"]).stdout
    for name in _asked:
        lib.check(f"\n  {name} " in text, f"`keys --columns` does not tell of {name}")


lib.add("relu, standard, cross-entropy, probe from test, all kernels", whole_study, probe=21,
        probe_from="test", depths="[1, 3]", activation="relu", parametrization="standard",
        loss="cross-entropy", optimizer="sgd", rate=0.2, kernels="[traced, full, class]",
        per_decade=3, train_loss=2.0, auxiliary="all", eigenvectors="false")  # fmt: skip
lib.add("tanh, mup, mse, probe from train, eigenvectors", whole_study, probe=24,
        probe_from="train", depths="[2]", activation="tanh", parametrization="mup", loss="mse",
        optimizer="adam", rate=0.003, kernels="[traced, full]", per_decade=2, train_loss=0.1,
        auxiliary="traced", eigenvectors="true")  # fmt: skip
lib.add("gelu, ntk, cross-entropy, probe from train, eigenvectors", whole_study, probe=15,
        probe_from="train", depths="[2]", activation="gelu", parametrization="ntk",
        loss="cross-entropy", optimizer="momentum", rate=0.05, kernels="[full]", per_decade=0,
        train_loss=2.2, auxiliary="none", eigenvectors="true")  # fmt: skip
lib.add("every observable was seen", every_observable_was_seen)
lib.main()

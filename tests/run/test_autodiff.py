"""Spectra and observables against kernels built outside from /snapshots and /probe: the explicit
Jacobian, from the definition of the network in numpy and, where it is installed, by torch.autograd.
"""

import math

import lib

np = lib.need("numpy")
lib.need("h5py")
import network

try:
    import torch
except ImportError:
    torch = None

TOLERANCE = 1e-10  # of lambda_max
MAX_STEPS, PER_DECADE, EVALUATIONS = 60, 2, 10

# Small enough for explicit Jacobians; a rate at which some cells are past their best at the end.
STUDY = f"""\
    data:
      source: glyphs
      train_sizes: [30]
      test_size: 50
      probe_size: 8
    model:
      widths: [6]
      depths: [1, 3]
      activation: {{activation}}
      parametrization: {{parametrization}}
      base_width: 2
      weight_variance: 1.5
      bias_variance: 0.1
    training:
      loss: {{loss}}
      optimizer: {{optimizer}}
      learning_rate: {{rate}}
      batch_size: 10
      max_steps: {MAX_STEPS}
      evaluations_per_decade: {EVALUATIONS}
    measure:
      kernels: [traced, full, class]
      steps_per_decade: {PER_DECADE}
    output:
      snapshots: measured
    """


def log_steps(per_decade):
    """Unique round(10^(k/K)) from 1 to MAX_STEPS."""
    most = per_decade * (math.floor(math.log10(MAX_STEPS)) + 1)
    steps = {int(math.floor(10 ** (k / per_decade) + 0.5)) for k in range(most + 1)}
    return sorted(step for step in steps if step <= MAX_STEPS)


# ---------------------------------------------------------------------------------------------
# Kernels
# ---------------------------------------------------------------------------------------------


def torch_jacobian(net, activation, x):
    """The same as net.jacobian(x), by automatic differentiation."""
    phi = {
        "relu": torch.relu,
        "tanh": torch.tanh,
        "erf": torch.erf,
        "gelu": torch.nn.functional.gelu,
    }[activation]
    parameters = []
    for weight, bias in zip(net.weights, net.biases):
        parameters += [torch.tensor(weight), torch.tensor(bias)]
    for parameter in parameters:
        parameter.requires_grad_(True)
    h = torch.tensor(np.float64(x))
    for l in range(net.layers):
        z = net.s[l] * h @ parameters[2 * l].T + net.t[l] * parameters[2 * l + 1]
        h = phi(z)
    rows = []
    for output in z.flatten():
        gradient = torch.autograd.grad(output, parameters, retain_graph=True)
        rows.append(torch.cat([part.flatten() for part in gradient]).numpy())
    return np.stack(rows).reshape(*z.shape, -1)


def kernels(jacobian, rates):
    """All kernels of a Jacobian [samples x outputs x parameters] by the name ntklens gives them."""
    samples, outputs, _ = jacobian.shape
    result = {}
    for suffix, weighted in (("", jacobian), ("-rate-weighted", jacobian * rates)):
        blocks = [jacobian[:, a] @ weighted[:, a].T for a in range(outputs)]
        rows = samples * outputs
        result["full" + suffix] = jacobian.reshape(rows, -1) @ weighted.reshape(rows, -1).T
        result["traced" + suffix] = sum(blocks) / outputs
        result.update({f"class{a}{suffix}": block for a, block in enumerate(blocks)})
    return result


def check_kernel(where, name, kernel, file, row):
    step = int(row["step"])
    wanted = np.linalg.eigvalsh(kernel)[::-1]
    got = file[f"spectra/{name}/{step}"][()]
    lib.check_equal(got.shape, wanted.shape, f"{where}: number of eigenvalues")
    error = np.max(np.abs(got - wanted))
    lib.check_close(error / wanted[0], 0, TOLERANCE, f"{where}: largest error over lambda_max")
    lib.check_equal(int(row["n"]), len(wanted), f"{where}: column n")
    for column, value in network.observables(got).items():
        tolerance = 1e-12 * max(abs(value), column == "entropy")  # near 0 for one large eigenvalue
        lib.check_close(row[column], value, tolerance, f"{where}: {column} of its spectrum")
    for column, value in network.observables(wanted).items():
        # p ln p is steep at 0: what tiny eigenvalues add to the entropy is less sharp
        scale = max(abs(value), column == "entropy")
        tolerance = TOLERANCE * wanted[0] if column.startswith("lambda") else 1e-8 * scale
        lib.check_close(row[column], value, tolerance, f"{where}: {column}")


def check_states(cell, file, rows, weighted):
    """Every row of a cell against the kernel of its step."""
    keys = dict(file.attrs)
    probe = file["probe/inputs"][()]
    built = {}
    for row in rows:
        step = int(row["step"])
        if step not in built:
            net = network.Network(keys, file[f"snapshots/{step}"])
            built[step] = kernels(net.jacobian(probe), net.rates())
        check_kernel(f"{cell} step {step} {row['kernel']}", row["kernel"],
                     built[step][row["kernel"]], file, row)  # fmt: skip
    expected = {name for name in built[0] if weighted or not name.endswith("weighted")}
    lib.check_equal({row["kernel"] for row in rows}, expected, f"{cell}: kernels")


def check_against_torch(cell, file):
    keys, best = dict(file.attrs), int(file.attrs["best_step"])
    net = network.Network(keys, file[f"snapshots/{best}"])
    probe = file["probe/inputs"][()]
    jacobian = torch_jacobian(net, keys["activation"], probe)
    for name, kernel in kernels(jacobian, net.rates()).items():
        if f"spectra/{name}" in file:
            wanted = np.linalg.eigvalsh(kernel)[::-1]
            error = np.max(np.abs(file[f"spectra/{name}/{best}"][()] - wanted)) / wanted[0]
            lib.check_close(error, 0, TOLERANCE, f"{cell} {name}: error against torch")


# ---------------------------------------------------------------------------------------------
# Tags and steps
# ---------------------------------------------------------------------------------------------


def check_tags(cell, file, rows):
    steps = [int(step) for step in file["curve/step"]]
    test_loss = list(file["curve/test_loss"])
    lib.check_equal(steps, sorted({0, MAX_STEPS, *log_steps(EVALUATIONS)}), f"{cell}: /curve/step")
    best = steps[test_loss.index(min(test_loss))]
    wanted = [("init", 0), ("best", best), ("final", MAX_STEPS)]
    wanted += [("log", step) for step in log_steps(PER_DECADE)]
    wanted.sort(key=lambda state: (state[1], state[0]))
    for kernel in {row["kernel"] for row in rows}:
        got = [(row["tag"], int(row["step"])) for row in lib.select(rows, kernel=kernel)]
        lib.check_equal(got, wanted, f"{cell} {kernel}: tags and steps")
    for row in rows:
        step = int(row["step"])
        if step in steps:
            for column in ("train_loss", "test_loss", "train_accuracy", "test_accuracy"):
                on_curve = file[f"curve/{column}"][steps.index(step)]
                lib.check_equal(float(row[column]), on_curve, f"{cell} step {step}: {column}")
        lib.check_equal("censored" in row["flags"], row["tag"] == "best" and best == MAX_STEPS,
                        f"{cell} {row['tag']}: is flagged censored")  # fmt: skip
    return best


_best_steps = set()


def whole_study(**values):
    out = lib.scratch("autodiff") / "out"
    lib.run_study(STUDY.format(**values), out)
    rows, files = lib.table(out), lib.cell_files(out)
    lib.check_equal({row["cell"] for row in rows}, set(files), "cells of the table")
    weighted = "mup" in values["parametrization"]
    for cell, file in files.items():
        mine = lib.select(rows, cell=cell)
        _best_steps.add(check_tags(cell, file, mine))
        check_states(cell, file, mine, weighted)
        if torch is not None:
            check_against_torch(cell, file)


def best_is_not_always_the_end():
    lib.check(_best_steps - {MAX_STEPS}, "every cell is best at its end: the rule is not tested")


for _activations in ("[relu, tanh]", "[erf, gelu]"):
    lib.add(f"{_activations}: standard, ntk, mup; sgd", whole_study, activation=_activations,
            parametrization="[standard, ntk, mup]", optimizer="sgd", loss="cross-entropy",
            rate=0.5)  # fmt: skip
lib.add("relu: mup; adam, mse", whole_study, activation="relu", parametrization="mup",
        optimizer="adam", loss="mse", rate=0.002)  # fmt: skip
lib.add("best is not always the end", best_is_not_always_the_end)
if torch is None:
    print("torch is not installed: numpy alone is the judge")
lib.main()

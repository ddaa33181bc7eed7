"""What is no clean, ordinary training: flags, tags and options of the schedule."""

import math
import os

import lib

np = lib.need("numpy")
lib.need("h5py")
import network

STUDY = """\
    data:
      source: glyphs
      train_sizes: [100]
      test_size: 200
      probe_size: 12
    model:
      widths: [8]
    training:
      learning_rate: 0.05
      max_steps: 60
    measure:
      kernels: [traced]
      steps_per_decade: 1
    output:
      snapshots: measured
    """


def results(*sets):
    """Rows and cell files of the study with these keys set."""
    out = lib.scratch("flags") / "out"
    lib.run_study(STUDY, out, *(word for text in sets for word in ("--set", text)))
    return lib.table(out), lib.cell_files(out)


def only_cell(*sets):
    rows, files = results(*sets)
    lib.check_equal(len(files), 1, "number of cells")
    return rows, next(iter(files.values()))


def flags(row):
    return set(row["flags"].split("+")) - {""}


def steps_of(file):
    return [int(step) for step in file["curve/step"]]


# ---------------------------------------------------------------------------------------------
# Flags
# ---------------------------------------------------------------------------------------------


@lib.case
def a_diverged_cell_is_flagged_and_the_others_finish():
    # mse: at this rate already the output bias grows without bound
    rows, _ = results("training.loss=mse", "training.learning_rate=[0.01, 1000]")
    sound = lib.select(rows, learning_rate="0.01")
    wild = lib.select(rows, learning_rate="1000")
    lib.check_equal(len(sound) + len(wild), len(rows), "rows of the two learning rates")
    lib.check_equal(lib.one(sound, tag="final")["step"], "60", "last step of the sound cell")
    lib.check(not any("diverged" in flags(row) for row in sound), "the sound cell is flagged")
    final = lib.one(wild, tag="final")
    lib.check("diverged" in flags(final), f"final row of the other: flags '{final['flags']}'")
    lib.check(0 < int(final["step"]) < 60, f"it diverged, but went on to step {final['step']}")
    lib.check(not math.isfinite(float(final["train_loss"])), "it diverged with a finite loss")
    lib.check(math.isnan(float(final["trace"])), "a kernel was measured of what is not finite")
    best = lib.one(wild, tag="best")
    lib.check(math.isfinite(float(best["test_loss"])), "its best is not finite")
    lib.check_equal(flags(lib.one(wild, tag="init")), set(), "flags of its initial network")


@lib.case
def an_exploded_cell_is_flagged_however_finite():
    """tanh, mse: width 128 is unstable at rate 0.6, but 30 steps do not bring it to infinity."""
    sets = ["training.loss=mse", "model.activation=tanh", "model.widths=[8,128]", "training.max_steps=30"]
    rows, files = results(*sets, "training.learning_rate=[0.1,0.6]", "measure.steps_per_decade=2")
    seen = set()
    for row in rows:
        file = files[row["cell"]]
        losses = file["curve/train_loss"][()]
        lib.check(np.isfinite(losses).all(), f"{row['cell']}: not finite, so no test of this flag")
        wanted = losses[-1] > 10 * losses[0] and row["step"] != "0"
        seen.add(wanted)
        where = f"{row['cell']}, tag {row['tag']}"
        lib.check_equal("diverged" in flags(row), wanted, f"{where}: is flagged diverged")
        untrained = row["tag"] == "best" and row["step"] == "0"
        lib.check_equal("untrained" in flags(row), untrained, f"{where}: is flagged untrained")
    lib.check_equal(seen, {False, True}, "cells that exploded, and others")
    lib.check(any("untrained" in flags(row) for row in rows), "no best state is the initial one")


def dead(file, step):
    """Is every unit of some hidden layer 0 on the whole probe?"""
    net = network.Network(dict(file.attrs), file[f"snapshots/{step}"])
    hidden, _ = net.forward(file["probe/inputs"][()])
    return any(not h.any() for h in hidden[1:])


@lib.case
def dead_networks_are_flagged_collapsed_and_others_are_not():
    rows, files = results("training.learning_rate=[0.05, 20]")
    seen = set()
    for row in rows:
        wanted = dead(files[row["cell"]], int(row["step"]))
        seen.add(wanted)
        where = f"learning rate {row['learning_rate']}, step {row['step']}"
        lib.check_equal("collapsed" in flags(row), wanted, f"{where}: is flagged collapsed")
    lib.check_equal(seen, {False, True}, "networks with and without a dead layer")


@lib.case
def a_second_solve_is_flagged_resolved():
    """The probe's 12 samples, or the 6 of an auxiliary spectrum, are solved wrongly once."""
    shim = os.environ.get("NTKLENS_SOLVER_SHIM")
    if not shim:
        raise lib.Skip("NTKLENS_SOLVER_SHIM does not name the shim")
    wanted, _ = results()
    for order in (12, 6):
        out = lib.scratch("resolved") / "out"
        env = lib.environment(LD_PRELOAD=shim, NTKLENS_WRONG_ORDER=order)
        told = lib.run_study(STUDY, out, env=env, expect=None)
        if "cannot be preloaded" in told.stderr or "ASan runtime" in told.stderr:
            raise lib.Skip("the shim cannot be preloaded into this build")
        lib.check_equal(told.returncode, 0, f"exit code; stderr:\n{told.stderr}")
        lib.check_equal(told.stderr.count("warning: "), 1, f"warnings in\n{told.stderr}")
        rows = lib.table(out)
        resolved = [row["tag"] for row in rows if "resolved" in flags(row)]
        lib.check_equal(resolved, ["init"], f"order {order}: rows that are flagged resolved")
        for column in ("effective_rank", "effective_rank_half"):
            value = float(wanted[0][column])
            lib.check_close(rows[0][column], value, 1e-9 * value, f"order {order}: {column}")


@lib.case
def a_spectrum_that_lost_its_tail_is_flagged_resolved():
    """The smallest 70 of 800 eigenvalues are zero, in single precision: 2 % of the effective rank."""
    shim = os.environ.get("NTKLENS_SOLVER_SHIM")
    if not shim:
        raise lib.Skip("NTKLENS_SOLVER_SHIM does not name the shim")
    keys = ["data.probe_size=80", "model.widths=48", "measure.kernels=full", "measure.precision=single",
            "measure.solver=scalapack", "training.max_steps=1", "measure.auxiliary_spectra=none"]  # fmt: skip
    wanted, _ = results(*keys)
    out = lib.scratch("lost") / "out"
    env = lib.environment(LD_PRELOAD=shim, NTKLENS_LOST_ORDER=800)
    told = lib.run_study(STUDY, out, *(w for key in keys for w in ("--set", key)), env=env, expect=None)
    if "cannot be preloaded" in told.stderr or "ASan runtime" in told.stderr:
        raise lib.Skip("the shim cannot be preloaded into this build")
    lib.check_equal(told.returncode, 0, f"exit code; stderr:\n{told.stderr}")
    rows = lib.table(out)
    resolved = [row["tag"] for row in rows if "resolved" in flags(row)]
    lib.check_equal(resolved, ["init"], "rows that are flagged resolved")
    value = float(wanted[0]["effective_rank"])
    lib.check_close(rows[0]["effective_rank"], value, 1e-4 * value, "effective rank")


@lib.case
def a_best_at_the_end_is_flagged_censored():
    rows, file = only_cell("training.learning_rate=0.01", "training.max_steps=20")
    lib.check_equal(int(file.attrs["best_step"]), 20, "a short training is best at its end: step")
    for row in rows:
        wanted = {"censored"} if row["tag"] == "best" else set()
        lib.check_equal(flags(row), wanted, f"flags of {row['tag']}")
    rows, file = only_cell("training.learning_rate=0.5", "training.max_steps=200")
    lib.check(int(file.attrs["best_step"]) < 200, "a long training is still best at its end")
    lib.check_equal(flags(lib.one(rows, tag="best")), set(), "flags of a best in the middle")


# ---------------------------------------------------------------------------------------------
# What is measured, and what best is
# ---------------------------------------------------------------------------------------------


@lib.case
def without_a_solver_moments_are_left():
    rows, _ = results("measure.solver=none")
    solved, _ = results("measure.solver=lapack")
    lib.check_equal(len(rows), len(solved), "rows without a solver")
    for row, other in zip(rows, solved):
        where = f"{row['tag']} {row['step']}"
        lib.check_equal((row["solver"], other["solver"]), ("none", "lapack"), f"{where}: solver")
        for column in ("trace", "participation_ratio"):
            value = float(other[column])
            lib.check_close(row[column], value, 1e-12 * value, f"{where}: {column}")
        for column in ("entropy", "effective_rank", "lambda_max", "lambda_min"):
            lib.check_equal(row[column], "nan", f"{where}: {column}")


@lib.case
def label_noise_redraws_labels_and_nothing_else():
    _, clean = only_cell("data.train_sizes=400", "training.max_steps=2")
    for noise in (1.0, 0.5):
        rows, noisy = only_cell("data.train_sizes=400", "training.max_steps=2",
                                f"data.label_noise={noise}")  # fmt: skip
        for name in ("train", "test", "probe"):
            same = np.array_equal(clean[f"indices/{name}"], noisy[f"indices/{name}"])
            lib.check(same, f"label noise {noise}: other images in {name}")
        labels = noisy["indices/train_labels"][()]
        changed = np.mean(labels != clean["indices/train_labels"][()])
        # one in ten is redrawn as it was; 5 standard deviations
        spread = 5 * math.sqrt(0.9 * noise * (1 - 0.9 * noise) / len(labels))
        lib.check_close(changed, 0.9 * noise, spread, f"label noise {noise}: share of labels changed")
        lib.check_equal(set(labels), set(range(10)), f"label noise {noise}: labels")
        lib.check_equal({float(row["label_noise"]) for row in rows}, {noise}, "column label_noise")


@lib.case
def best_is_chosen_on_the_validation_set():
    rows, file = only_cell("data.validation_size=30", "data.label_noise=0.8",
                           "training.max_steps=200")  # fmt: skip
    steps, validation = steps_of(file), list(file["curve/validation_loss"])
    test = list(file["curve/test_loss"])
    best = steps[validation.index(min(validation))]
    lib.check(best != steps[test.index(min(test))], "both sets agree on the best step: no test")
    row = lib.one(rows, tag="best")
    lib.check_equal(int(row["step"]), best, "step of best")
    lib.check_equal(float(row["validation_loss"]), min(validation), "its validation loss")
    sets = [set(file[f"indices/{name}"][()]) for name in ("test", "validation", "probe")]
    lib.check_equal(len(set.union(*sets)), 200 + 30 + 12, "different images in the three sets")


@lib.case
def matched_steps_and_losses():
    rows, file = only_cell("measure.at={steps: [0, 7, 10, 37], train_loss: [2.2, 1.5, 0.001]}")
    steps, losses = steps_of(file), list(file["curve/train_loss"])
    wanted = {("step=0", 0), ("step=7", 7), ("step=10", 10), ("step=37", 37)}
    for loss in (2.2, 1.5):
        first = next(step for step, value in zip(steps, losses) if value <= loss)
        wanted.add((f"train_loss={loss}", first))
    lib.check(min(losses) > 0.001, "the lowest loss asked for is reached: no test")
    got = {(row["tag"], int(row["step"])) for row in rows if "=" in row["tag"]}
    lib.check_equal(got, wanted, "rows at matched states")
    lib.check(37 not in steps, "step 37 is on the evaluation grid: no test")
    for tag in ("log", "step=10"):
        row = lib.one(rows, tag=tag, step=10)
        lib.check_equal(row["trace"], lib.one(rows, tag="log", step=10)["trace"], f"{tag}: trace")


@lib.case
def training_stops_after_best():
    rows, file = only_cell("training.learning_rate=0.5", "training.stop_after_best=2",
                           "training.max_steps=2000")  # fmt: skip
    steps, test = steps_of(file), list(file["curve/test_loss"])
    for last in range(1, len(steps)):
        best = steps[test.index(min(test[: last + 1]))]
        if steps[last] > 2 * max(best, 1):
            break
    lib.check_equal(steps[last], steps[-1], "first evaluated step beyond twice that of best")
    lib.check(steps[-1] < 2000, "training went on to max_steps: no test")
    lib.check_equal(int(lib.one(rows, tag="final")["step"]), steps[-1], "step of final")
    lib.check_equal(int(lib.one(rows, tag="best")["step"]), best, "step of best")


@lib.case
def a_probe_from_the_training_set():
    rows, files = results("data.probe_from=train", "data.train_sizes=[50, 100]")
    first = None
    for cell, file in files.items():
        probe, train = file["indices/probe"][()], file["indices/train"][()]
        lib.check_equal(list(probe), list(train[:12]), f"{cell}: probe")
        lib.check_equal(list(file["probe/labels"]), list(file["indices/train_labels"][:12]),
                        f"{cell}: labels of the probe")  # fmt: skip
        first = probe if first is None else first
        lib.check_equal(list(probe), list(first), f"{cell}: the same probe for every size")
    traces = {row["trace"] for row in lib.select(rows, tag="init")}
    lib.check_equal(len(traces), 1, "traces at init: same start, same probe")


@lib.case
def kernels_of_more_rows_than_parameters_are_flagged_overdetermined():
    """Of cnn and resnet; tables of MLPs keep their bytes."""
    out = lib.scratch("overdetermined") / "out"
    lib.run_study("""
study: overdetermined
data: {source: glyphs, train_sizes: [30], test_size: 30, probe_size: 12}
model: {kind: [mlp, cnn, resnet], widths: [1, 4], depths: [1], stages: [1, 1], biases: [true, false]}
training: {learning_rate: 0.01, max_steps: 3}
measure: {kernels: [traced, full], steps_per_decade: 0, auxiliary_spectra: none}
""", out)
    rows = lib.table(out)
    for row in rows:
        wanted = row["kind"] != "mlp" and int(row["n"]) > int(row["parameters"])
        lib.check_equal("overdetermined" in flags(row), wanted, f"{row['cell']} {row['tag']} {row['kernel']}")
        applies = row["kind"] != "mlp"
        lib.check_equal((row["stages"], row["biases"] != ""), ("1-1" if applies else "", applies), row["cell"])
        lib.check_equal(row["infinite_distance"] == "nan", row["kind"] != "mlp", f"{row['cell']}: infinite_distance")
    told = {(row["kind"], row["kernel"]) for row in rows if "overdetermined" in flags(row)}
    lib.check(("cnn", "full") in told and ("cnn", "traced") not in told, f"flagged: {told}")
    cells = {row["cell"] for row in rows}
    lib.check_equal(len(cells), 2 + 4 + 4, "cells: biases make no mlp")
    status = lib.run(["status", out]).stdout
    lib.check("10" in status, status)


lib.main()

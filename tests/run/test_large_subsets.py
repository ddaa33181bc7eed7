#!/usr/bin/env python3
"""Kernels by their duals: the same columns as by themselves, on any number of ranks; what is chosen;
kernels of the first images of a probe."""

import json
import os

import life
import lib

np = lib.need("numpy")

STUDY = """
study: large
data: {{source: glyphs, train_sizes: [64], probe_size: {probe}, test_size: 400}}
model: {{widths: [2], depths: [2], activation: {activation}}}
training: {{loss: {loss}, optimizer: sgd, learning_rate: 0.05, max_steps: 4}}
seeds: [0]
measure: {{kernels: [{kernels}], steps_per_decade: 0{more}}}
"""
# What a dual cannot tell; the smallest eigenvalue is rounding, and what is over it.
UNKNOWN = """magnitude_entropy infinite_distance identity_distance effective_rank_outputs
    stability_rate rate_ratio""".split()
# What earlier states say; of stored kernels of cnn and resnet nothing does.
OF_EARLIER = "kernel_change kernel_distance kernel_velocity".split()
ROUNDING = "lambda_min condition_number spectral_exponent numerical_rank".split()
# What quadrature has of products with few vectors, or of the probe.
EXACTLY = {"trace": 1e-12, "chi_coup": 1e-9, "lambda_max": 1e-5, "participation_ratio": 0.01,
           "label_alignment": 0.01}
BY_MATRIX = {"trace": 1e-6, "chi_coup": 1e-5, "lambda_max": 1e-5, "participation_ratio": 1e-6,
             "label_alignment": 1e-6}
NETWORKS = {
    "mlp": [],
    "cnn": ["model.kind=cnn", "data.probe_size=60", "model.widths=[3]", "model.depths=1",
            "model.stages=[1,1]"],
    "wide": ["model.widths=[24]"],  # fewer rows of the kernel than parameters
    "resnet": ["model.kind=resnet", "data.probe_size=12", "model.depths=1", "model.stages=[1]"],
}
# Of differences of sums: a few eps, of the squares of a change.
LOST = {"kernel_distance": 4e-15, "kernel_velocity": 4e-15}
TOLERANCE = {"entropy": 1e-10, "effective_rank": 1e-10, "kernel_change": 1e-10, "kernel_distance": 1e-10}


def study(**values):
    defaults = {"probe": 90, "activation": "relu", "loss": "mse", "kernels": "full, class",
                "more": ""}
    return STUDY.format(**(defaults | values))


def rows_of(text, out, *sets, ranks=1):
    options = [word for pair in sets for word in ("--set", pair)]
    lib.run_study(text, out, *options, ranks=ranks)
    return lib.table(out)


def compare(rows, reference, name):
    lib.check_equal(len(rows), len(reference), f"{name}: rows")
    for row, wanted in zip(rows, reference):
        where = f"{name}, {row['tag']} {row['kernel']}"
        for column, text in wanted.items():
            if column in ROUNDING or column in ("solver", "method"):
                continue
            if column in UNKNOWN and row[column] == "nan":
                continue
            if column == "target_power_tenth" and float(row["numerical_rank"]) < int(row["n"]) / 10:
                lib.check_equal(row[column], "nan", f"{where}: {column}, among zeros")
                continue
            if text in ("nan", "inf") or not is_number(text):
                lib.check_equal(row[column], text, f"{where}: {column}")
            else:
                value = float(text)
                most = TOLERANCE.get(column, 1e-9) * abs(value) + LOST.get(column, 0.0)
                if column == "kernel_change" and value > 0:
                    most += 1e-15 / value
                lib.check_close(row[column], value, most, f"{where}: {column}")


def is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def duals_give_what_kernels_give(activation, loss, model="mlp"):
    folder = lib.scratch("large")
    text = study(activation=activation, loss=loss, more=", eigenvectors: true")
    if loss == "mse":
        text = text.replace("steps_per_decade: 0", "steps_per_decade: 1")
    sets = NETWORKS[model]
    primal = rows_of(text, folder / "primal", *sets)
    told = [row for row in primal if row["kernel_velocity"] not in ("nan", "0")]
    lib.check(told or loss != "mse", "kernel_velocity is told nowhere")
    for ranks in 1, 2:
        rows = rows_of(text, folder / f"dual-{ranks}", "measure.method=dual",
                       "measure.team_size=all", *sets, ranks=ranks)
        lib.check_equal({row["method"] for row in rows}, {"dual"}, "method")
        lib.check_equal({row["entropy_error"] for row in rows}, {"0"}, "entropy_error")
        compare(rows, primal, f"{model}, {activation}, {loss}, {ranks} ranks")
    lib.check_equal({row["method"] for row in primal}, {"primal"}, "method")


def check_estimates(rows, reference, name, exactly=EXACTLY):
    lib.check_equal({row["method"] for row in rows}, {"quadrature"}, f"{name}: method")
    lib.check_equal({row["solver"] for row in rows}, {"quadrature"}, f"{name}: solver")
    for row, wanted in zip(rows, reference):
        where = f"{name}, {row['tag']} {row['kernel']}"
        error = float(row["entropy_error"])
        lib.check(0.0 < error < 0.0101, f"{where}: entropy_error {error}")
        lib.check_close(row["entropy"], float(wanted["entropy"]), error, f"{where}: entropy")
        for column, most in exactly.items():
            value = float(wanted[column])
            lib.check_close(row[column], value, most * abs(value), f"{where}: {column}")
        for column in "lambda_min", "condition_number", "numerical_rank":
            lib.check_equal(row[column], "nan", f"{where}: {column}")
        if row["target_power"] != "nan":
            lib.check_close(row["target_power"], float(wanted["target_power"]), 0.01, f"{where}: target_power")


# What small eigenvalues or all eigenvectors make.
OF_THE_SMALL = """lambda_min condition_number numerical_rank effective_dimension effective_dimension_tenth
    effective_dimension_hundredth spectral_index target_power_tenth used_rank infinite_distance""".split()
ESTIMATED = "entropy effective_rank entropy_density spectral_exponent target_power trace_ratio".split()


def traced_kernels_are_stored(model):
    """All that is told of the matrix is exact, as far as single precision is; the spectrum is estimated."""
    folder = lib.scratch("stored")
    sets = [*NETWORKS[model], "data.probe_size=600" if model == "wide" else "data.probe_size=150"]
    text = study(kernels="traced", more=", eigenvectors: true, auxiliary_spectra: none, steps_per_decade: 1").replace("steps_per_decade: 0, ", "")
    primal = rows_of(text, folder / "primal", *sets)
    for ranks in 1, 2:
        out = folder / f"on-{ranks}"
        rows = rows_of(text, out, "measure.method=quadrature", "measure.team_size=all", *sets, ranks=ranks)
        check_estimates(rows, primal, f"{model}, {ranks} ranks", BY_MATRIX)
        check_spectra(out, folder / "primal", f"{model}, {ranks} ranks")
        lib.check_equal(len(rows), len(primal), "rows")
        for row, wanted in zip(rows, primal):
            where = f"{model}, {ranks} ranks, {row['tag']}"
            for column, value in wanted.items():
                if column in OF_THE_SMALL:
                    lib.check_equal(row[column], "nan", f"{where}: {column}")
                elif column in OF_EARLIER and model != "wide" and row["step"] != "0":
                    lib.check_equal(row[column], "nan", f"{where}: {column}, by a second matrix")
                elif column in ESTIMATED or not is_number(value) or value == "nan":
                    lib.check(column not in ("kernel_change", "label_alignment"), f"{where}: {column} is {value}")
                elif column in OF_EARLIER:
                    lib.check_close(row[column], float(value), 1e-3 * float(value) + 1e-9, f"{where}: {column}")
                elif column != "entropy_error":
                    lib.check_close(row[column], float(value), 1e-5 * abs(float(value)), f"{where}: {column}")


def logarithms(curve, ranks):
    """ln lambda at these places of a spectrum of which some are known."""
    place, value = curve
    return np.interp(np.log(ranks), np.log(place), np.log(value))


def check_spectra(out, exact, name):
    """The largest eigenvalues to 1e-3, and the whole spectrum as a curve."""
    told = 0
    for cell, file in lib.cell_files(out).items():
        other = next(theirs for name, theirs in lib.cell_files(exact).items() if alike(name, cell))
        with file, other:
            for path in names_below(file["spectra"]):
                top, wanted = file["spectra"][path][:], other["spectra"][path][:]
                lib.check(0 < len(top) < len(wanted), f"{name}: {len(top)} eigenvalues of {path}")
                worst = np.abs(top / wanted[: len(top)] - 1).max()
                lib.check(worst < 1e-3, f"{name}: {path}: an eigenvalue is off by {worst}")
                place, value = file["rank_curve"][path][:].T
                lib.check((np.diff(place) >= 0).all() and (np.diff(value) <= 0).all(), f"{name}: {path}: no curve")
                ranks = np.arange(max(len(wanted) // 50, 2), len(wanted) // 4)
                ranks = ranks[wanted[ranks - 1] > 1e-6 * wanted[0]]
                off = logarithms((place, value), ranks) - np.log(wanted[ranks - 1])
                rms = np.sqrt((off ** 2).mean()) if len(ranks) else 0.0
                lib.check(rms < 0.15, f"{name}: {path}: the rank curve is off by {rms}")
                told += len(ranks) > 0
    lib.check(told > 0, f"{name}: no spectrum was compared")


def alike(one, other):
    """Ids of a network, but for the hash of what is measured."""
    return one.rsplit("-", 1)[0] == other.rsplit("-", 1)[0]


def names_below(group):
    return [f"{kernel}/{step}" for kernel in group for step in group[kernel]]


def quadrature_says_how_far_it_may_be_off(model):
    folder = lib.scratch("large")
    text = study(kernels="full, class" if model == "mlp" else "full", more=", eigenvectors: true")
    sets = NETWORKS[model]
    primal = rows_of(text, folder / "primal", *sets)
    tables = []
    for ranks in 1, 2:
        tables.append(rows_of(text, folder / f"on-{ranks}", "measure.method=quadrature",
                              "measure.team_size=all", *sets, ranks=ranks))
        check_estimates(tables[-1], primal, f"{model}, {ranks} ranks")
        check_spectra(folder / f"on-{ranks}", folder / "primal", f"{model}, {ranks} ranks")
    told = [row for row in tables[0] if row["target_power"] != "nan"]
    lib.check(told, "target_power is told nowhere")
    for row, wanted in zip(*tables):
        lib.check_close(row["entropy"], float(wanted["entropy"]), 1e-4, f"{model}: other ranks")


def the_same_bytes_again(method, model="mlp"):
    """By another run on the same ranks, and read back from finished cells."""
    folder = lib.scratch("large")
    kernels = "full" if method == "dual" else "traced, full"
    text = study(kernels=kernels, more=f", method: {method}, team_size: all")
    for out in "a", "b":
        rows_of(text, folder / out, *NETWORKS[model], ranks=2)
    before = (folder / "a/results.csv").read_bytes()
    lib.check((folder / "b/results.csv").read_bytes() == before, "two runs on the same ranks left different tables")
    (folder / "a/results.csv").unlink()
    rows_of(text, folder / "a", *NETWORKS[model])
    lib.check((folder / "a/results.csv").read_bytes() == before, "read back, the table differs")


def quadrature_checks_itself():
    """Against exact eigenvalues of the same kernel, or its first images, in the first state of a study."""
    folder = lib.scratch("checked")
    text = study(kernels="traced, full", more=", method: quadrature")
    path = lib.write_study(folder, text)
    summary = lib.run(["run", path, "-o", folder / "out", "--set", "seeds=[0, 1]"]).stderr
    lib.check("2 checked quadratures held" in summary, f"the summary says {summary}")
    told = life.events(folder / "out", "quadrature_checked")
    for kernel in "full", "traced":
        count = sum(f"{kernel} of 90 images" in line for line in told)
        lib.check_equal(count, 1, f"checks of the {kernel} kernel in {told}")
    said = json.loads(lib.run(["status", folder / "out", "--json"]).stdout)
    lib.check_equal(len(said["quadrature_checks"]), 2, "checks that status tells")
    lib.check_equal(said["incidents"], [], "incidents")
    text_said = lib.run(["status", folder / "out"]).stdout
    lib.check(text_said.count("of the half width it states") == 2, f"status says {text_said}")
    shim = os.environ.get("NTKLENS_SOLVER_SHIM")
    if not shim:
        return
    env = lib.environment(LD_PRELOAD=shim, NTKLENS_WRONG_RULES=1)
    told = lib.run_study(text, folder / "wrong", "--set", "measure.kernels=[full]", env=env, expect=None)
    if "cannot be preloaded" in told.stderr or "ASan runtime" in told.stderr:
        return
    lib.check_equal(told.returncode, 4, f"exit code with wrong rules; {told.stderr}")
    lib.check("of the half width it states" in told.stderr, f"nothing is said: {told.stderr}")
    lib.check_equal(len(life.events(folder / "wrong", "quadrature_off")), 1, "events")
    said = json.loads(lib.run(["status", folder / "wrong", "--json"]).stdout)
    lib.check_equal([i["event"] for i in said["incidents"]], ["quadrature_off", "end"], "incidents")
    unknown = [row["tag"] for row in lib.table(folder / "wrong") if row["entropy"] == "nan"]
    lib.check_equal(unknown, ["init"], "rows without an entropy")


def the_plan_says_how():
    folder = lib.scratch("large")
    path = lib.write_study(folder, study(kernels="traced, full", more=", method: dual"))
    plan = json.loads(lib.run(["plan", path, "--json"]).stdout)
    found = {kernel["kernel"]: kernel for kernel in plan["kernels"]}
    lib.check_equal(found["traced"]["method"], "primal", "traced")
    lib.check_equal(found["full"]["method"], "dual", "full")
    lib.check(found["full"]["operations"] > 1e6, "operations of the dual are not told")
    text = lib.run(["plan", path]).stdout
    lib.check("dual" in text and "operations" in text, f"no method in\n{text}")


# ---------------------------------------------------------------------------------------------
# Prefixes of the probe
# ---------------------------------------------------------------------------------------------

PREFIXES = ", probe_prefixes: [30, 60]"


def of_samples(rows, samples):
    """Rows of a probe of so many images: ten outputs."""
    return [row for row in rows if int(row["n"]) == samples * (10 if row["kernel"] == "full" else 1)]


def prefixes_are_smaller_probes(method, kernels, loss, precision="double"):
    """Each row is, byte for byte, that of a study of that probe; the closed form is compared in
    tiles, whose sums go by the size of the largest."""
    folder = lib.scratch("prefixes")
    more = f", method: {method}, precision: {precision}"
    rows = rows_of(study(kernels=kernels, loss=loss, more=more + PREFIXES), folder / "all")
    places = [(row["step"], row["tag"], row["kernel"], int(row["n"])) for row in rows]
    lib.check_equal(places, sorted(places, key=lambda p: (int(p[0]), *p[1:])), "order of rows")
    found = 0
    looked_at = (30, 60, 90) if method == "primal" else (30, 90)
    for samples in looked_at:
        text = study(kernels=kernels, loss=loss, probe=samples, more=more)
        reference = rows_of(text, folder / f"of-{samples}")
        part = of_samples(rows, samples)
        found += len(part)
        lib.check_equal(len(part), len(reference), f"{samples} samples: rows")
        for row, wanted in zip(part, reference):
            where = f"{samples} samples, {row['tag']} {row['kernel']}"
            distance = wanted.pop("infinite_distance")
            if distance != "nan":
                lib.check_close(row["infinite_distance"], distance, 1e-12, f"{where}: infinite")
            lib.check_equal({key: row[key] for key in wanted}, wanted, where)
    lib.check_equal(3 * found, len(looked_at) * len(rows), "rows of some probe")


def prefixes_are_the_same_on_other_ranks():
    folder = lib.scratch("prefixes")
    text = study(kernels="traced, full", loss="cross-entropy", more=PREFIXES)
    wide = "model.widths=8"  # of a rank that is no smaller than indices that are compared
    alone = rows_of(text, folder / "alone", wide)
    for ranks, team in (2, 1), (3, "all"):
        sets = wide, f"measure.team_size={team}"
        rows = rows_of(text, folder / f"on-{ranks}", *sets, ranks=ranks)
        for row in rows:
            lib.check(row["solver"] == ("lapack" if team == 1 else "twostage"), row["solver"])
        if team == 1:
            lib.check_equal(rows, alone, f"{ranks} ranks, private kernels")
        else:
            compare(rows, alone, f"{ranks} ranks")


def prefixes_need_no_training():
    folder = lib.scratch("prefixes")
    kept = ("output.snapshots=measured", "output.kernels=true")
    rows_of(study(kernels="full"), folder / "out", *kept)
    rows = rows_of(study(kernels="full", more=PREFIXES), folder / "out", *kept)
    lib.check_equal(rows, rows_of(study(kernels="full", more=PREFIXES), folder / "new"), "rows")
    trained = (folder / "out/timings.csv").read_text().count(",train,")
    lib.check_equal(trained, 1, "cells that were trained in both runs together")
    (cell,) = lib.cell_files(folder / "out").values()
    whole, part = (cell[f"kernels/{name}/0"][:] for name in ("full", "full@30"))
    lib.check_equal(part.shape, (300, 300), "kernel of a prefix")
    lib.check(abs(whole[:300, :300] - part).max() <= 1e-13 * abs(part).max(), "it is no prefix")
    lib.check_equal(cell["spectra/full@60/0"].shape, (600,), "spectrum of a prefix")
    labels = list(cell["probe/labels"][:])
    lib.check_equal(len(labels), 90, "probe")
    for samples in 30, 60, 90:
        counts = {labels[:samples].count(label) for label in range(10)}
        lib.check(max(counts) - min(counts) <= 1, f"classes among the first {samples}: {counts}")


def each_prefix_has_a_method_of_its_own():
    folder = lib.scratch("prefixes")
    more = PREFIXES + ", exact_operations: 1.0e+8"
    rows = rows_of(study(kernels="traced, full", more=more), folder / "out")
    methods = {(row["kernel"], int(row["n"])): row["method"] for row in rows}
    lib.check_equal(methods[("full", 300)], "primal", "300 rows")
    lib.check(methods[("full", 900)] != "primal", f"900 rows: {methods[('full', 900)]}")
    path = lib.write_study(folder, study(kernels="traced, full", more=more))
    plan = json.loads(lib.run(["plan", path, "--json"]).stdout)
    planned = {(k["kernel"], k["n"]): k["method"] for k in plan["kernels"]}
    lib.check_equal(planned, methods, "methods of the plan")
    text = lib.run(["plan", path]).stdout
    lib.check("with 6 kernels each" in text and "full@30 " in text, f"no prefixes in\n{text}")


lib.add("relu, mse", duals_give_what_kernels_give, "relu", "mse")
lib.add("tanh, cross-entropy", duals_give_what_kernels_give, "tanh", "cross-entropy")
lib.add("a cnn", duals_give_what_kernels_give, "relu", "cross-entropy", "cnn")
lib.add("quadrature of an mlp", quadrature_says_how_far_it_may_be_off, "mlp")
lib.add("quadrature of a wide mlp", quadrature_says_how_far_it_may_be_off, "wide")
lib.add("quadrature of a resnet", quadrature_says_how_far_it_may_be_off, "resnet")
lib.add("stored kernels of a wide mlp", traced_kernels_are_stored, "wide")
lib.add("stored kernels of a cnn", traced_kernels_are_stored, "cnn")
lib.add("the same bytes again, dual", the_same_bytes_again, "dual")
lib.add("the same bytes again, dual of a cnn", the_same_bytes_again, "dual", "cnn")
lib.add("the same bytes again, quadrature", the_same_bytes_again, "quadrature")
lib.add("quadrature checks itself", quadrature_checks_itself)
lib.add("the plan says how", the_plan_says_how)
lib.add("prefixes, primal", prefixes_are_smaller_probes, "primal", "traced, full, class", "mse")
lib.add("prefixes, single", prefixes_are_smaller_probes, "primal", "full", "cross-entropy", "single")
lib.add("prefixes, dual", prefixes_are_smaller_probes, "dual", "full", "cross-entropy")
lib.add("prefixes, quadrature", prefixes_are_smaller_probes, "quadrature", "traced, full", "mse")
lib.add("prefixes on other ranks", prefixes_are_the_same_on_other_ranks)
lib.add("prefixes need no training", prefixes_need_no_training)
lib.add("each prefix has a method of its own", each_prefix_has_a_method_of_its_own)
lib.main(quick=["tanh, cross-entropy", "the same bytes again, dual", "the plan says how",
                "prefixes, primal", "each prefix has a method of its own"])  # fmt: skip

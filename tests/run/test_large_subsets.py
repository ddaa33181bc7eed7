#!/usr/bin/env python3
"""Kernels by their duals: the same columns as by themselves, on any number of ranks; what is chosen."""

import json

import lib

STUDY = """
study: large
data: {{source: glyphs, train_sizes: [64], probe_size: {probe}, test_size: 400}}
model: {{widths: [2], depths: [2], activation: {activation}}}
training: {{loss: {loss}, optimizer: sgd, learning_rate: 0.05, max_steps: 4}}
seeds: [0]
measure: {{kernels: [{kernels}], steps_per_decade: 0{more}}}
"""
# What a dual cannot tell; the smallest eigenvalue is rounding, and what is over it.
UNKNOWN = """magnitude_entropy kernel_change kernel_distance kernel_velocity infinite_distance
    identity_distance effective_rank_outputs stability_rate rate_ratio""".split()
ROUNDING = "lambda_min condition_number spectral_exponent numerical_rank".split()
# What quadrature has of products with few vectors, or of the probe.
EXACTLY = {"trace": 1e-12, "chi_coup": 1e-9, "lambda_max": 1e-5, "participation_ratio": 0.01}
NETWORKS = {
    "mlp": [],
    "resnet": ["model.kind=resnet", "data.probe_size=12", "model.depths=1", "model.stages=[1]"],
}
TOLERANCE = {"entropy": 1e-10, "effective_rank": 1e-10}


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
            if text in ("nan", "inf") or not is_number(text):
                lib.check_equal(row[column], text, f"{where}: {column}")
            else:
                value = float(text)
                most = TOLERANCE.get(column, 1e-9) * abs(value)
                lib.check_close(row[column], value, most, f"{where}: {column}")


def is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def duals_give_what_kernels_give(activation, loss):
    folder = lib.scratch("large")
    text = study(activation=activation, loss=loss)
    primal = rows_of(text, folder / "primal")
    for ranks in 1, 2:
        rows = rows_of(text, folder / f"dual-{ranks}", "measure.method=dual",
                       "measure.team_size=all", ranks=ranks)
        lib.check_equal({row["method"] for row in rows}, {"dual"}, "method")
        lib.check_equal({row["entropy_error"] for row in rows}, {"0"}, "entropy_error")
        compare(rows, primal, f"{activation}, {loss}, {ranks} ranks")
    lib.check_equal({row["method"] for row in primal}, {"primal"}, "method")


def check_estimates(rows, reference, name):
    lib.check_equal({row["method"] for row in rows}, {"quadrature"}, f"{name}: method")
    lib.check_equal({row["solver"] for row in rows}, {"quadrature"}, f"{name}: solver")
    for row, wanted in zip(rows, reference):
        where = f"{name}, {row['tag']} {row['kernel']}"
        error = float(row["entropy_error"])
        lib.check(0.0 < error < 0.0101, f"{where}: entropy_error {error}")
        lib.check_close(row["entropy"], float(wanted["entropy"]), error, f"{where}: entropy")
        for column, most in EXACTLY.items():
            value = float(wanted[column])
            lib.check_close(row[column], value, most * abs(value), f"{where}: {column}")
        for column in "lambda_min", "condition_number", "magnitude_entropy", "numerical_rank":
            lib.check_equal(row[column], "nan", f"{where}: {column}")


def quadrature_says_how_far_it_may_be_off(model):
    folder = lib.scratch("large")
    text = study(kernels="full, class" if model == "mlp" else "full")
    sets = NETWORKS[model]
    primal = rows_of(text, folder / "primal", *sets)
    tables = []
    for ranks in 1, 2:
        tables.append(rows_of(text, folder / f"on-{ranks}", "measure.method=quadrature",
                              "measure.team_size=all", *sets, ranks=ranks))
        check_estimates(tables[-1], primal, f"{model}, {ranks} ranks")
    for row, wanted in zip(*tables):
        lib.check_close(row["entropy"], float(wanted["entropy"]), 1e-4, f"{model}: other ranks")


def the_same_bytes_again(method):
    folder = lib.scratch("large")
    text = study(kernels="full", more=f", method: {method}, team_size: all")
    for out in "a", "b":
        rows_of(text, folder / out, ranks=2)
    lib.check((folder / "a/results.csv").read_bytes() == (folder / "b/results.csv").read_bytes(),
              "two runs on the same ranks left different tables")


def a_finished_folder_is_read_back():
    folder = lib.scratch("large")
    text = study(kernels="full", more=", method: dual")
    rows_of(text, folder / "a")
    before = (folder / "a/results.csv").read_bytes()
    (folder / "a/results.csv").unlink()
    rows_of(text, folder / "a")
    lib.check((folder / "a/results.csv").read_bytes() == before, "read back, the table differs")


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


lib.add("relu, mse", duals_give_what_kernels_give, "relu", "mse")
lib.add("tanh, cross-entropy", duals_give_what_kernels_give, "tanh", "cross-entropy")
lib.add("quadrature of an mlp", quadrature_says_how_far_it_may_be_off, "mlp")
lib.add("quadrature of a resnet", quadrature_says_how_far_it_may_be_off, "resnet")
lib.add("the same bytes again, dual", the_same_bytes_again, "dual")
lib.add("the same bytes again, quadrature", the_same_bytes_again, "quadrature")
lib.add("a finished folder is read back", a_finished_folder_is_read_back)
lib.add("the plan says how", the_plan_says_how)
lib.main(quick=["tanh, cross-entropy", "a finished folder is read back", "the plan says how"])

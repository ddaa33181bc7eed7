#!/usr/bin/env python3
"""One flipped bit in one matrix product of a measurement: kernels are checked, and made again."""

import math
import os
import re
import sys

import lib

STUDY = """\
    data: {source: glyphs, train_sizes: [40], test_size: 60, probe_size: 24}
    model: {widths: [12], depths: [2]}
    training: {max_steps: 5}
    measure: {kernels: [traced, full], steps_per_decade: 1}
    study: flips
    """
RUNS = 28 if "long" in sys.argv else 10
BITS = [54, 52, 51, 48, 44]  # exponent, and the first bits of the mantissa
# Of this network's smallest eigenvalues, which are rounding: no moment knows them.
ROUNDING = {"condition_number", "lambda_min", "numerical_rank"}


def run(name, *options, **env):
    shim = os.environ.get("NTKLENS_FLIP_SHIM")
    if not shim:
        raise lib.Skip("NTKLENS_FLIP_SHIM does not name the shim")
    out = lib.scratch(name) / "out"
    env = lib.environment(LD_PRELOAD=shim, **env)
    told = lib.run_study(STUDY, out, *options, env=env, expect=None)
    if "cannot be preloaded" in told.stderr or "ASan runtime" in told.stderr:
        raise lib.Skip("the shim cannot be preloaded into this build")
    return told, out


def calls_of_a_clean_run(*options):
    file = lib.scratch("count") / "calls"
    told, out = run("clean", *options, NTKLENS_FLIP_COUNT=file)
    lib.check_equal(told.returncode, 0, f"exit code; stderr:\n{told.stderr}")
    return int(file.read_text()), lib.table(out)


def differs(rows, wanted):
    """Names of columns that are off by more than a millionth of themselves."""
    names = set()
    for row, other in zip(rows, wanted):
        for name, value in other.items():
            if name in {"flags", "solver", *ROUNDING} or row[name] == value:
                continue
            if not math.isclose(float(row[name]), float(value), rel_tol=1e-6):
                names.add(name)
    return names if len(rows) == len(wanted) else names | {"rows"}


def flip(*options):
    """Flips spread over a run's products: how many were noticed, and the silent changes of tables."""
    calls, wanted = calls_of_a_clean_run(*options)
    changed, noticed, silent = 0, 0, []
    for k in range(RUNS):
        call, bit = 1 + (2 * k + 1) * calls // (2 * RUNS), BITS[k % len(BITS)]
        told, out = run("flip", *options, NTKLENS_FLIP_CALL=call, NTKLENS_FLIP_BIT=bit)
        rows = lib.table(out) if (out / "results.csv").exists() else []
        flagged = any(re.search("refilled|resolved", row["flags"]) for row in rows)
        columns = differs(rows, wanted)
        changed += bool(columns)
        noticed += flagged or told.returncode == 4
        if columns and not flagged and told.returncode == 0:
            silent.append((call, bit, sorted(columns)))
    print(f"{RUNS} runs, {calls} products each: {noticed} noticed, {changed} tables changed, "
          f"{len(silent)} of them in silence: {silent}")  # fmt: skip
    return noticed, silent


@lib.case
def a_flipped_bit_in_a_solve_is_noticed():
    noticed, silent = flip()
    lib.check(noticed >= RUNS // 2, f"only {noticed} of {RUNS} flipped bits were noticed")
    lib.check(len(silent) <= RUNS // 10, f"tables changed in silence: {silent}")


@lib.case
def a_flipped_bit_in_a_fill_is_noticed():
    noticed, silent = flip("--set", "measure.solver=none")
    lib.check(noticed >= RUNS // 4, f"only {noticed} of {RUNS} flipped bits were noticed")
    lib.check(len(silent) <= RUNS // 10, f"tables changed in silence: {silent}")


def a_flipped_bit_in_a_convolutional_fill_is_noticed(kind):
    noticed, silent = flip("--set", f"model.kind={kind}", "--set", "model.stages=[1, 1]", "--set",
                           "model.widths=[3]", "--set", "model.depths=[1]", "--set",
                           "measure.solver=none")  # fmt: skip
    lib.check(noticed >= RUNS // 4, f"only {noticed} of {RUNS} flipped bits were noticed")
    lib.check(len(silent) <= RUNS // 10, f"tables changed in silence: {silent}")


for _kind in ("cnn", "resnet"):
    lib.add(f"a flipped bit in a fill is noticed, {_kind}",
            a_flipped_bit_in_a_convolutional_fill_is_noticed, _kind)  # fmt: skip


@lib.case
def tiny_networks_without_a_flip_are_left_alone():
    """Two units for 784 inputs: their rounding is that of half the kernel.  These seeds failed a check once."""
    out = lib.scratch("tiny") / "out"
    told = lib.run_study("""\
        study: tiny
        data: {source: glyphs, train_sizes: [20], test_size: 20, probe_size: 4}
        model: {widths: [2]}
        training: {max_steps: 2}
        measure: {steps_per_decade: 1}
        seeds: [64, 625, 652, 709, 740, 749, 751, 870, 949, 1176, 1281, 1340]
        """, out, expect=None)  # fmt: skip
    lib.check_equal(told.returncode, 0, f"exit code; stderr:\n{told.stderr}")
    lib.check(all("refilled" not in row["flags"] for row in lib.table(out)), "a kernel was made again")


@lib.case
def products_that_stay_wrong_end_with_a_numerical_failure():
    told, out = run("always", NTKLENS_FLIP_CALL=1, NTKLENS_FLIP_BIT=51, NTKLENS_FLIP_EVERY=1)
    lib.check_equal(told.returncode, 4, f"exit code; stderr:\n{told.stderr}")
    lib.check("twice it did not match" in told.stderr, f"stderr:\n{told.stderr}")
    lib.check(len(lib.table(out)) > 0, "the rest is not saved")


lib.main()

#!/usr/bin/env python3
"""One flipped bit in one matrix product of a measurement: kernels are checked, and made again."""

import math
import os
import re

import lib

STUDY = """\
    data: {source: glyphs, train_sizes: [40], test_size: 60, probe_size: 24}
    model: {widths: [24], depths: [2]}
    training: {max_steps: 20}
    measure: {kernels: [traced, full], steps_per_decade: 1}
    study: flips
    """
RUNS = 28
BITS = [54, 52, 51, 48, 44]  # exponent, and the first bits of the mantissa


def run(name, **env):
    shim = os.environ.get("NTKLENS_FLIP_SHIM")
    if not shim:
        raise lib.Skip("NTKLENS_FLIP_SHIM does not name the shim")
    out = lib.scratch(name) / "out"
    told = lib.run_study(STUDY, out, env=lib.environment(LD_PRELOAD=shim, **env), expect=None)
    if "cannot be preloaded" in told.stderr or "ASan runtime" in told.stderr:
        raise lib.Skip("the shim cannot be preloaded into this build")
    return told, out


def calls_of_a_clean_run():
    file = lib.scratch("count") / "calls"
    told, out = run("clean", NTKLENS_FLIP_COUNT=file)
    lib.check_equal(told.returncode, 0, f"exit code; stderr:\n{told.stderr}")
    return int(file.read_text()), lib.table(out)


def differs(rows, wanted):
    """Names of columns that are off by more than a millionth of themselves."""
    names = set()
    for row, other in zip(rows, wanted):
        for name, value in other.items():
            if name in ("flags", "solver") or row[name] == value:
                continue
            if not math.isclose(float(row[name]), float(value), rel_tol=1e-6):
                names.add(name)
    return names if len(rows) == len(wanted) else names | {"rows"}


@lib.case
def a_flipped_bit_is_noticed():
    calls, wanted = calls_of_a_clean_run()
    changed, noticed, silent = 0, 0, []
    for k in range(RUNS):
        # spread over the run, and over what the products are for
        call, bit = 1 + (2 * k + 1) * calls // (2 * RUNS), BITS[k % len(BITS)]
        told, out = run("flip", NTKLENS_FLIP_CALL=call, NTKLENS_FLIP_BIT=bit)
        rows = lib.table(out) if (out / "results.csv").exists() else []
        flagged = any(re.search("refilled|resolved", row["flags"]) for row in rows)
        columns = differs(rows, wanted)
        changed += bool(columns)
        noticed += flagged or told.returncode == 4
        if columns and not flagged and told.returncode == 0:
            silent.append((call, bit, sorted(columns)))
    print(f"{RUNS} runs, {calls} products each: {noticed} noticed, {changed} tables changed, "
          f"{len(silent)} of them in silence: {silent}")  # fmt: skip
    lib.check(noticed >= RUNS // 2, f"only {noticed} of {RUNS} flipped bits were noticed")
    kernel = {"trace", "effective_rank", "entropy", "kernel_distance", "participation_ratio"}
    wrong = [entry for entry in silent if kernel & set(entry[2])]
    lib.check(len(wrong) <= 1, f"kernels changed in silence: {wrong}")


@lib.case
def products_that_stay_wrong_end_with_a_numerical_failure():
    told, out = run("always", NTKLENS_FLIP_CALL=1, NTKLENS_FLIP_BIT=51, NTKLENS_FLIP_EVERY=1)
    lib.check_equal(told.returncode, 4, f"exit code; stderr:\n{told.stderr}")
    lib.check("twice it did not match" in told.stderr, f"stderr:\n{told.stderr}")
    lib.check(len(lib.table(out)) > 0, "the rest is not saved")


lib.main()

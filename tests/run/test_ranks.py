"""The same table from any number of ranks: training columns byte for byte, spectra to rounding."""

import math
import sys

import lib

# Fewer blocks than ranks (traced), a ragged last block (full), a prime number of ranks.
STUDY = """\
    data:
      source: glyphs
      train_sizes: [100]
      test_size: 200
      probe_size: 40
    model:
      widths: [8, 24]
    training:
      learning_rate: 0.05
      max_steps: 100
    seeds: [0, 1]
    measure:
      kernels: [traced, full]
      steps_per_decade: 1
      solver: {solver}
      team_size: {team}
    """

SPECTRAL = ("trace", "entropy", "effective_rank", "participation_ratio", "lambda_max")
MAY_DIFFER = {*SPECTRAL, "lambda_min", "condition_number", "solver", "flags"}
RELATIVE = 1e-9  # double precision; the README's "same table" holds for the same number of ranks

_folder = lib.scratch("ranks")


def results(ranks, solver, team):
    """Results folder of that run; runs once."""
    out = _folder / f"{solver}-{team}-{ranks}"
    if not out.exists():
        lib.run_study(STUDY.format(solver=solver, team=team), out, ranks=ranks)
    return out


def compare(rows, wanted, ranks):
    lib.check_equal(len(rows), len(wanted), f"{ranks} ranks: rows")
    names = list(rows[0])
    behind = names[names.index("training_flops") + 1 :]
    observables = [*SPECTRAL, *(name for name in behind if name not in lib.MLP_HAS)]
    may_differ = {*MAY_DIFFER, *observables}
    for row, reference in zip(rows, wanted):
        where = f"{ranks} ranks, {row['cell']} {row['tag']} {row['step']} {row['kernel']}"
        for column, value in row.items():
            if column not in may_differ:
                lib.check_equal(value, reference[column], f"{where}: {column}")
        for column in observables:
            value = float(reference[column])
            if math.isnan(value):
                lib.check_equal(row[column], "nan", f"{where}: {column}")
                continue
            rounding = RELATIVE * abs(value)
            if column == "condition_number":  # of lambda_min, over lambda_min^2
                rounding = int(row["n"]) * sys.float_info.epsilon * value**2
            lib.check_close(row[column], value, rounding, f"{where}: {column}")
        rounding = int(row["n"]) * sys.float_info.epsilon * float(reference["lambda_max"])
        lib.check_close(row["lambda_min"], reference["lambda_min"], rounding, f"{where}: lambda_min")
        lib.check_equal(row["solver"], "scalapack", f"{where}: solver")


def shared_kernels(ranks):
    wanted = lib.table(results(1, "scalapack", "all"))
    lib.check_equal(len(wanted), 2 * 2 * 2 * 6, "rows: widths, seeds, kernels, tags")
    compare(lib.table(results(ranks, "scalapack", "all")), wanted, ranks)


@lib.case
def a_rank_a_kernel_is_the_same_byte_for_byte():
    alone = lib.table_text(results(None, "lapack", 1))
    for ranks in (1, 2):
        text = lib.table_text(results(ranks, "lapack", 1))
        lib.check_same_bytes(text, alone, f"results.csv of {ranks} ranks under mpirun")


@lib.case
def kernels_that_other_ranks_measure_are_the_same_byte_for_byte():
    """Two cells on four ranks, whose kernels take long enough for ranks without work to help."""
    texts = []
    for ranks in (1, 4):
        out = _folder / f"helped-{ranks}"
        options = ("data.probe_size=60", "model.widths=[24]", "measure.steps_per_decade=3")
        lib.run_study(STUDY.format(solver="lapack", team=1), out,
                      *(part for option in options for part in ("--set", option)), ranks=ranks)  # fmt: skip
        texts.append(lib.table_text(out))
    lib.check_same_bytes(texts[1], texts[0], "results.csv of 4 ranks")


for _ranks in (2, 3, 4, 5, 6):  # of 5 ranks one takes other work
    lib.add(f"kernels shared by {_ranks} ranks", shared_kernels, _ranks)


def again(ranks, solver, team):
    """A rerun into another folder, and the same command into the same folder."""
    out = results(ranks, solver, team)
    before = lib.table_text(out)
    other = _folder / f"again-{solver}-{ranks}"
    lib.run_study(STUDY.format(solver=solver, team=team), other, ranks=ranks)
    lib.check_same_bytes(lib.table_text(other), before, "results.csv of a rerun")
    timings, files = (out / "timings.csv").read_text(), file_times(out)
    done = len(lib.log_events(out, "cell_done"))
    lib.check_equal(done, 4, "cells that the log tells of")
    lib.run_study(STUDY.format(solver=solver, team=team), out, ranks=ranks)
    lib.check_same_bytes(lib.table_text(out), before, "results.csv of the command run again")
    lib.check_equal(len(lib.log_events(out, "cell_done")), done, "cells done after the second run")
    lib.check_equal((out / "timings.csv").read_text(), timings, "timings after the second run")
    lib.check_equal(file_times(out), files, "cell files after the second run")


def file_times(out):
    return {path.name: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}


lib.add("the same again, lapack on 2 ranks", again, 2, "lapack", 1)
lib.add("the same again, scalapack on 3 ranks", again, 3, "scalapack", "all")
lib.main()

"""A results folder goes on: wider grids, other measurements, longer trainings, interruptions; always
to the table of a fresh run, byte for byte."""

import functools
import signal
import subprocess
import time

import lib

numpy = lib.need("numpy")

STUDY = """\
    data:
      source: glyphs
      train_sizes: {sizes}
      test_size: 200
      probe_size: {probe}
    model:
      widths: {widths}
    training:
      learning_rate: {rate}
      max_steps: {steps}
      evaluations_per_decade: 10
    seeds: {seeds}
    measure:
      kernels: {kernels}
      steps_per_decade: 2
      solver: {solver}
    output:
      snapshots: {snapshots}
    """

SMALL = {"sizes": [50], "probe": 10, "widths": [8, 12], "rate": 0.05, "steps": 30, "seeds": [0],
         "kernels": "[traced]", "snapshots": "best", "solver": "auto"}  # fmt: skip


def run(out, *options, ranks=None, expect=0, **changes):
    """Run the small study, with these changes, into out."""
    return lib.run_study(STUDY.format(**{**SMALL, **changes}), out, *options, ranks=ranks,
                         expect=expect)  # fmt: skip


def fresh_table(**changes):
    out = lib.scratch("fresh") / "out"
    run(out, **changes)
    return lib.table_text(out)


def cells_done(out):
    return len(lib.log_events(out, "cell_done"))


def stamps(out):
    """When each file of a finished cell was written."""
    return {path.name: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}


# ---------------------------------------------------------------------------------------------
# Wider, longer, otherwise measured
# ---------------------------------------------------------------------------------------------


def goes_on(change, new_cells, kept=True, ranks=None, **start):
    """Run, run again with the change: so many cells more, and the table of a fresh run."""
    out = lib.scratch("continue") / "out"
    run(out, **start)
    first, before = cells_done(out), stamps(out)
    run(out, ranks=ranks, **{**start, **change})
    lib.check_equal(cells_done(out) - first, new_cells, "cells of the second run")
    lib.check_same_bytes(lib.table_text(out), fresh_table(**{**start, **change}), "results.csv")
    after = stamps(out)
    if kept:
        untouched = {name: after.get(name) for name in before}
        lib.check_equal(untouched, before, "files of cells that were finished")
    return out


lib.add("more widths", goes_on, {"widths": [4, 8, 12, 16]}, 2)
lib.add("more sizes and seeds, on 2 ranks", goes_on, {"sizes": [50, 100], "seeds": [0, 1]}, 6,
        ranks=2)  # fmt: skip
lib.add("one more learning rate: an axis", goes_on, {"rate": [0.05, 0.1]}, 2)
lib.add("fewer widths: a smaller table", goes_on, {"widths": [8]}, 0)


@lib.case
def other_measurements_need_no_training():
    change = {"probe": 15, "kernels": "[traced, full]"}
    out = goes_on(change, 2, kept=False, snapshots="measured")
    trained = [line for line in (out / "timings.csv").read_text().splitlines() if ",train," in line]
    lib.check_equal(len(trained), 2, "cells that were trained in both runs together")


@lib.case
def spectra_after_a_run_without_a_solver():
    goes_on({"solver": "lapack"}, 2, kept=False, solver="none")


@lib.case
def a_longer_training_equals_a_fresh_one():
    goes_on({"steps": 70}, 2, kept=False)


@lib.case
def a_longer_training_that_may_lose_patience_equals_a_fresh_one():
    """The rates decide: some lose it before the shorter end, which is off the grid, some behind."""
    rates, steps, patience = [0.01, 0.02, 0.05, 0.2], 120, 1.5
    kept = {"widths": [8], "rate": f"{rates}\n      stop_after_best: {patience}"}
    out = goes_on({"steps": 4 * steps}, len(rates), kept=False, steps=steps, **kept)
    last = {int(row["step"]) for row in lib.select(lib.table(out), tag="final")}
    lib.check(min(last) < steps, f"none lost its patience before: {last}")
    lib.check(max(last) > steps, f"none went on: {last}")
    extended = len(lib.log_events(out, "cell_extended"))
    lib.check_equal(extended, len(rates), "cells that were not trained anew")


@lib.case
def patience_that_ends_with_the_shorter_training():
    """A cell that is through at its last step for both reasons does not go on."""
    kept = {"widths": [8], "rate": "0.05\n      stop_after_best: 1.5"}
    first = lib.scratch("patience") / "out"
    run(first, steps=400, **kept)
    end = int(lib.one(lib.table(first), tag="final")["step"])
    lib.check(10 < end < 400, f"its patience ended at step {end}: no test")
    out = goes_on({"steps": 400}, 1, kept=False, steps=end, **kept)
    lib.check_equal(int(lib.one(lib.table(out), tag="final")["step"]), end, "last step")


@lib.case
def a_diverged_cell_is_not_trained_again_for_a_kernel_that_is_left():
    """Its checkpoint as a stop in the kernel of `best`, behind the last step, leaves it."""
    keys = {"widths": [8], "rate": "1000\n      loss: mse"}
    out, whole = lib.scratch("diverged") / "out", lib.scratch("whole") / "out"
    run(whole, snapshots="measured", **keys)
    (done,) = (whole / "cells").iterdir()
    run(out, **keys)
    (file,) = (out / "cells").iterdir()
    reference = lib.table_text(out)
    with lib.need("h5py").File(done) as source:
        steps = sorted(map(int, source["snapshots"]))
        snapshots = {step: [source[f"snapshots/{step}/{name}"][()].ravel()
                            for l in range(3) for name in (f"weight{l}", f"bias{l}")]
                     for step in steps}  # fmt: skip
    lib.check_equal(file.name, done.name, "names")

    def reopen(file):
        best, final = int(file.attrs["best_step"]), int(file.attrs["final_step"])
        lib.check(file.attrs["diverged"] == 1 and best in snapshots, "it did not diverge: no test")
        flat = {step: numpy.concatenate(parts) for step, parts in snapshots.items()}
        at = list(file["states/step"]).index(best)
        file["measurements/traced/bits"][at] = 0
        previous = max(step for step in steps if step < final and step in (1, 3, 10))
        training = file.create_group("training")
        training["theta"], training["best"] = flat[best], flat[best]
        training["previous"] = flat[previous]
        for name, value in (("step", final), ("best_step", best), ("previous_step", previous)):
            training.attrs[name] = numpy.int64(value)
        training.attrs["best_loss"] = float(file["states/test_loss"][at])
        del file["snapshots"]

    lib.edit_cell(file, reopen, out / "checkpoints" / file.name)
    file.unlink()
    (out / "results.csv").unlink()
    run(out, **keys)
    lib.check_equal(len(lib.log_events(out, "cell_resumed")), 1, "cells resumed")
    lib.check_equal(lib.log_events(out, "checkpoint_dropped"), [], "checkpoints dropped")
    lib.check_same_bytes(lib.table_text(out), reference, "results.csv")


# ---------------------------------------------------------------------------------------------
# On another machine
# ---------------------------------------------------------------------------------------------


def computed_elsewhere(out, **facts):
    """Finished cells as another BLAS kernel or library would have left them."""

    def edit(file):
        for name, value in facts.items():
            lib.check(name in file.attrs, f"no attribute {name}")
            file.attrs[name] = value

    for path in (out / "cells").iterdir():
        lib.edit_cell(path, edit)


def mixed_rows(out):
    return [row for row in lib.table(out) if "mixed" in row["flags"].split("+")]


def mix_is_told(facts, mixed, start, **change):
    """Go on elsewhere: is every row flagged (mixed) or none, and does the log name the fact?"""
    out = lib.scratch("mixed") / "out"
    run(out, **start)
    lib.check_equal(lib.log_events(out, "blas_mix"), [], "blas_mix on one machine")
    computed_elsewhere(out, **facts)
    run(out, **{**start, **change})
    rows = lib.table(out)
    lib.check_equal(len(mixed_rows(out)), len(rows) if mixed else 0, f"mixed rows of {len(rows)}")
    told = lib.log_events(out, "blas_mix")
    for name, value in facts.items():
        lib.check(any(f"{name} {value}, here " in line for line in told), f"log: {told}")


KEPT = {"widths": [8], "snapshots": "measured"}
lib.add("finished cells of another BLAS kernel stay as they are, and are told", mix_is_told,
        {"blas_kernel": "Elsewhere"}, False, KEPT)  # fmt: skip
lib.add("kernels measured anew with another BLAS kernel are flagged", mix_is_told,
        {"blas_kernel": "Elsewhere"}, True, KEPT, probe=15)  # fmt: skip
lib.add("a training extended with another BLAS kernel is flagged", mix_is_told,
        {"blas_kernel": "Elsewhere"}, True, KEPT, steps=70)  # fmt: skip
lib.add("so is one with another library", mix_is_told,
        {"blas": "OpenBLAS 0.0.1", "scalapack": "lib.so.0"}, True, KEPT, steps=70)  # fmt: skip


@lib.case
def a_team_of_different_ranks_is_flagged():
    out = lib.scratch("team") / "out"
    text = STUDY.format(**{**SMALL, "widths": [8], "solver": "scalapack\n      team_size: all"})
    study = lib.write_study(out.parent, text)
    line = lib.command(["run", study, "-o", out, "--quiet"], 1)
    at = line.index("-n")
    two = [*line[:at], "-n", "1", "true", ":", "-n", "1", "true"]
    if subprocess.run(two, env=lib.environment(), capture_output=True).returncode != 0:
        raise lib.Skip("this mpirun cannot start two programs as one job")  # Debian 13's crashes
    ranks = [["-n", "1", "env", f"OPENBLAS_CORETYPE={kernel}", *line[at + 2:]]
             for kernel in ("Nehalem", "Prescott")]  # fmt: skip
    told = subprocess.run([*line[:at], *ranks[0], ":", *ranks[1]], env=lib.environment(), text=True,
                          capture_output=True, timeout=lib.TIMEOUT)  # fmt: skip
    lib.check_equal(told.returncode, 0, f"exit code; stderr:\n{told.stderr}")
    if "blas_kernel Prescott, here Nehalem" not in told.stderr:
        raise lib.Skip("this BLAS has no choice of kernels")
    lib.check(lib.log_events(out, "blas_mix"), "the log does not tell it")
    lib.check_equal(len(mixed_rows(out)), len(lib.table(out)), "mixed rows")


# ---------------------------------------------------------------------------------------------
# Refused, and anew
# ---------------------------------------------------------------------------------------------


@lib.case
def another_learning_rate_is_refused_unless_fresh():
    out = lib.scratch("refused") / "out"
    run(out)
    before, study, files = lib.table_text(out), (out / "study.yaml").read_text(), stamps(out)
    for ranks in (None, 2):
        result = run(out, ranks=ranks, expect=2, rate=0.1)
        line = lib.only_complaint(result, ranks)
        for phrase in ("training.learning_rate", "0.05", "0.1", "--fresh"):
            lib.check(phrase in line, f"'{line}' does not say '{phrase}'")
    lib.check_same_bytes(lib.table_text(out), before, "results.csv after the refusal")
    lib.check_same_bytes((out / "study.yaml").read_text(), study, "study.yaml after the refusal")
    lib.check_equal(stamps(out), files, "cell files after the refusal")
    run(out, "--fresh", rate=0.1)
    kept = [path for path in out.rglob("results.csv") if path.parent != out]
    lib.check_equal(len(kept), 1, "tables kept aside")
    lib.check_same_bytes(kept[0].read_text(), before, f"{kept[0].relative_to(out)}")
    lib.check_same_bytes(lib.table_text(out), fresh_table(rate=0.1), "results.csv after --fresh")


@lib.case
def another_learning_rate_where_no_cell_is_finished():
    out = lib.scratch("unfinished") / "out"
    run(out, "--max-time", "0.01", expect=None, steps=10000)
    if any((out / "cells").iterdir()):
        raise lib.Skip("a cell was finished before the run was stopped")
    run(out, rate=0.1)
    (told,) = lib.log_events(out, "keys_changed")
    for phrase in ("training.learning_rate (was 0.05, now 0.1)", "training.max_steps (was 10000, now 30)"):
        lib.check(phrase in told, f"the log does not say '{phrase}': {told}")
    lib.check_same_bytes(lib.table_text(out), fresh_table(rate=0.1), "results.csv")


# ---------------------------------------------------------------------------------------------
# Interrupted
# ---------------------------------------------------------------------------------------------

LONG = {"widths": [8, 16, 24, 32], "seeds": [0, 1], "steps": 15000}
CELLS = 8
LONGEST = 64 * LONG["steps"]

@functools.cache
def uninterrupted(steps):
    return fresh_table(**{**LONG, "steps": steps})


def wait_for_a_cell(out, process):
    """Until the first cell is done."""
    deadline = time.monotonic() + lib.TIMEOUT
    while not ((out / "log.txt").exists() and cells_done(out) > 0):
        lib.check(process.poll() is None, "the run ended before its first cell was done")
        lib.check(time.monotonic() < deadline, "no cell was done in time")
        time.sleep(0.01)


def interrupted(number, ranks, codes, orderly=True, steps=LONG["steps"]):
    """A signal in the middle, to the program or its launcher.  codes: exit codes that are right;
    orderly: it has the time to say so and to write its table.  A machine that is through before the
    signal arrives gets longer trainings."""
    out = lib.scratch("interrupted") / "out"
    study = lib.write_study(out.parent, STUDY.format(**{**SMALL, **LONG, "steps": steps}))
    arguments = ["run", study, "-o", out, "--quiet"]
    process = subprocess.Popen(lib.command(arguments, ranks), env=lib.environment(),
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # fmt: skip
    try:
        wait_for_a_cell(out, process)
        process.send_signal(number)
        _, told = process.communicate(timeout=lib.TIMEOUT)
    except BaseException:
        process.kill()
        raise
    if cells_done(out) == CELLS and steps < LONGEST:
        return interrupted(number, ranks, codes, orderly, 4 * steps)
    lib.check(process.returncode in codes, f"exit code {process.returncode}, expected {codes}: {told}")
    files, done = stamps(out), cells_done(out)
    lib.check(0 < done < CELLS, f"{done} of {CELLS} cells were done: not in the middle")
    lib.check(len(files) >= done, f"{len(files)} files of {done} cells that were done")
    if orderly:
        lib.check("the same command continues" in told, f"stderr does not say how to go on:\n{told}")
        tabled = {row["cell"] + ".h5" for row in lib.table(out)}
        lib.check_equal(tabled, set(files), "cells in the table")
    lib.run(arguments, ranks)
    lib.check_equal({name: stamps(out)[name] for name in files}, files, "cells finished before")
    lib.check_equal(cells_done(out), CELLS, "cells done in both runs")
    lib.check_same_bytes(lib.table_text(out), uninterrupted(steps), "results.csv")


@lib.case
def a_finished_folder_of_an_older_version_is_kept_without_its_newer_columns():
    """Versions before them wrote no dataset of these columns: nan, and nothing is computed anew."""
    newer = ("identity_distance", "effective_rank_outputs", "spectral_position", "spectral_index",
             "effective_dimension", "effective_dimension_tenth",
             "effective_dimension_hundredth")  # fmt: skip
    out = lib.scratch("older") / "out"
    run(out, kernels="[traced, full]")
    wanted = lib.table(out)

    def forget(file):
        for kernel in ("traced", "full"):
            for name in newer:
                del file[f"measurements/{kernel}/{name}"]

    for path in (out / "cells").iterdir():
        lib.edit_cell(path, forget)
    before = stamps(out)
    run(out, kernels="[traced, full]")
    lib.check_equal(stamps(out), before, "cells of the older version")
    lib.check_equal(lib.table(out), [{**row, **dict.fromkeys(newer, "nan")} for row in wanted],
                    "table")  # fmt: skip
    lib.check_equal(len(lib.log_events(out, "columns_missing")), 1, "lines of the log")


@lib.case
def a_stop_behind_the_last_cell_leaves_the_limit_to_the_next_run():
    out = lib.scratch("limit") / "out"
    options = ("--set", "measure.infinite=true")
    run(out, *options)
    wanted = (out / "infinite.csv").read_text()
    (out / "infinite.csv").unlink()
    code = run(out, *options, "--max-time", "0.01", ranks=2, expect=None).returncode
    written = (out / "infinite.csv").exists()
    lib.check((code, written) in ((75, False), (0, True)), f"exit code {code}, infinite.csv {written}")
    run(out, *options)
    lib.check_same_bytes((out / "infinite.csv").read_text(), wanted, "infinite.csv")


lib.add("SIGTERM to the program", interrupted, signal.SIGTERM, None, {75})
lib.add("SIGUSR1 to mpirun, 2 ranks", interrupted, signal.SIGUSR1, 2, {75})
# Open MPI's mpirun passes SIGTERM on a second later, kills its ranks another second later, and ends
# with a code of its own.
lib.add("SIGTERM to mpirun, 2 ranks", interrupted, signal.SIGTERM, 2, {1, 75, 143}, orderly=False,
        steps=4 * LONG["steps"])  # fmt: skip
lib.main()

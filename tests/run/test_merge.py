#!/usr/bin/env python3
"""ntklens merge: parts of a grid become what one run over the whole grid leaves."""

import shutil

import lib

STUDY = """
study: tiny
data: {source: glyphs, train_sizes: [64], test_size: 100, probe_size: 12}
model: {widths: [16, 8], depths: [1]}
training: {learning_rate: [0.1, 0.05], batch_size: 16, max_steps: 60}
seeds: [1, 0]
measure: {kernels: [traced, full], steps_per_decade: 2, probe_prefixes: [5]}
"""
PARTS = {
    "a": ["--set", "seeds=0"],
    "b": ["--set", "seeds=1", "--set", "model.widths=8"],
    "c": ["--set", "seeds=1", "--set", "model.widths=16"],
}


def parts(folder):
    for name, options in PARTS.items():
        lib.run_study(STUDY, folder / name, *options)
    return [folder / name for name in PARTS]


def content(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@lib.case
def table_is_that_of_one_run():
    folder = lib.scratch("merge")
    out = folder / "out"
    done = parts(folder)
    lib.run_study(STUDY, folder / "whole")
    lib.run(["merge", "-o", out, done[0], done[1]])
    lib.run(["merge", "-o", out, done[2]])
    lib.check_same_bytes(lib.table_text(out), lib.table_text(folder / "whole"), "table")
    for path in (out / "cells").iterdir():
        source = [part / "cells" / path.name for part in done]
        lib.check(
            path.read_bytes() in [s.read_bytes() for s in source if s.exists()], f"{path} differs"
        )
    before = content(out)
    lib.run(["merge", "-o", out, *done])
    lib.check(content(out) == before, "merging again changed something")
    lib.run(["run", out / "study.yaml", "-o", out, "-q"])
    lib.check_equal(len(lib.log_events(out, "cell_done")), 8, "cells trained")
    lib.check_same_bytes(lib.table_text(out), lib.table_text(folder / "whole"), "table")
    times = (out / "timings.csv").read_text().splitlines()
    lib.check_equal(len({line.split(",")[0] for line in times[1:]}), 8, "cells with times")


@lib.case
def networks_of_other_kinds_join_mlps():
    """Keys of a kind count where it is trained: an MLP's folder has no stages to disagree about."""
    folder = lib.scratch("kinds")
    small = ("--set", "training.max_steps=5", "--set", "seeds=0", "--set", "training.learning_rate=0.05")
    cnn = ("--set", "model.kind=cnn", "--set", "model.stages=[2, 1]")
    lib.run_study(STUDY, folder / "mlp", *small)
    lib.run_study(STUDY, folder / "cnn", *small, *cnn)
    lib.run_study(STUDY, folder / "other", *small, "--set", "model.kind=cnn", "--set", "model.stages=[1, 1]")
    lib.run_study(STUDY, folder / "whole", *small, "--set", "model.kind=[mlp, cnn]", *cnn[2:])
    lib.run(["merge", "-o", folder / "out", folder / "mlp", folder / "cnn"])
    lib.check_same_bytes(lib.table_text(folder / "out"), lib.table_text(folder / "whole"), "table")
    told = lib.only_complaint(
        lib.run(["merge", "-o", folder / "no", folder / "cnn", folder / "other"], expect=2)
    )
    lib.check("model.stages (2, 1 there, 1, 1 here)" in told, told)
    lib.run_study(STUDY, folder / "mlp", *small, *cnn[2:])  # nothing of the folder depends on them
    lib.check_equal(len(lib.log_events(folder / "mlp", "cell_done")), 2, "cells of the MLP, trained once")


@lib.case
def other_studies_are_named():
    folder = lib.scratch("merge")
    lib.run_study(STUDY, folder / "a", *PARTS["a"])
    lib.run_study(STUDY, folder / "d", *PARTS["b"], "--set", "data.probe_size=13")
    told = lib.only_complaint(
        lib.run(["merge", "-o", folder / "out", folder / "a", folder / "d"], expect=2)
    )
    lib.check("data.probe_size (12 there, 13 here)" in told, told)
    lib.check(not (folder / "out").exists(), "something was written")
    lib.run(["merge", "-o", folder / "out", folder], expect=2)
    lib.run(["merge", folder / "a"], expect=2)


@lib.case
def two_results_of_a_cell_are_refused():
    folder = lib.scratch("merge")
    few = ["--set", "seeds=0", "--set", "model.widths=8", "--set", "training.learning_rate=0.1"]
    lib.run_study(STUDY, folder / "a", *few)
    lib.run_study(STUDY, folder / "b", *few, env=lib.environment(OPENBLAS_CORETYPE="Prescott"))
    out = lib.run(["merge", "-o", folder / "out", folder / "a", folder / "b"], expect=None)
    if lib.table_text(folder / "a") == lib.table_text(folder / "b"):
        raise lib.Skip("this BLAS gives the same bits with other kernels")
    lib.check_equal(out.returncode, 3, "exit code")
    lib.check("has other results" in lib.only_complaint(out), out.stderr)


@lib.case
def damaged_cells_are_left_out():
    folder = lib.scratch("merge")
    few = ["--set", "seeds=0", "--set", "training.learning_rate=0.1"]
    lib.run_study(STUDY, folder / "a", *few)
    cell = sorted((folder / "a" / "cells").iterdir())[0]
    cell.write_bytes(cell.read_bytes()[:-9])
    lib.run(["merge", "-o", folder / "out", folder / "a"])
    lib.check(not (folder / "out" / "cells" / cell.name).exists(), "a damaged cell was copied")
    lib.check_equal(len({row["cell"] for row in lib.table(folder / "out")}), 1, "cells")
    shutil.rmtree(folder / "a")


lib.main()

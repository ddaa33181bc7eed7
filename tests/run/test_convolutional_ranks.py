"""Convolutional and residual networks on several ranks: the same table; the same after a kill, on
another number of ranks; the same to rounding where kernels are shared; and kept snapshots that are
measured with another probe."""

import math
import signal
import time

import life
import lib

np = lib.need("numpy")
h5py = lib.need("h5py")

CLASSES = 2
STUDY = """\
    data: {{source: hdf5, path: images.h5, train_sizes: [40], test_size: 50, probe_size: {probe}}}
    model:
      kind: [cnn, resnet]
      widths: [3, 5]
      depths: [1]
      stages: [1, 1]
      downsampling: max-pool
      normalization: layer-norm
    training: {{learning_rate: 0.05, batch_size: 16, max_steps: {steps}, optimizer: momentum}}
    measure: {{kernels: [traced, full], steps_per_decade: 1, auxiliary_spectra: none, {solver}}}
    output: {{snapshots: measured}}
    checkpoint: {{every: 0.05}}
"""
CELLS = 4
RELATIVE = 1e-9


def new_folder():
    """With images of 9 x 7."""
    folder = lib.scratch("convolutional-ranks")
    random = np.random.default_rng(8)
    with h5py.File(folder / "images.h5", "w") as file:
        for name in ("train", "test"):
            labels = np.arange(120) % CLASSES
            noise = random.normal(size=(120, 9, 7))
            file[f"{name}/images"] = np.float32(noise + labels[:, None, None])
            file[f"{name}/labels"] = labels
    return folder


def text(steps=40, probe=10, solver="solver: lapack"):
    return STUDY.format(steps=steps, probe=probe, solver=solver)


_folder = new_folder()


def table_alone():
    out = _folder / "alone"
    if not out.exists():
        lib.run_study(text(), out)
    return lib.table_text(out)


def same_bytes(ranks):
    out = _folder / f"on-{ranks}"
    lib.run_study(text(), out, ranks=ranks)
    lib.check_same_bytes(lib.table_text(out), table_alone(), f"results.csv of {ranks} ranks")


def shared(ranks):
    """What is no spectrum is equal to the digit, the rest to rounding."""
    out = _folder / f"shared-{ranks}"
    lib.run_study(text(solver="solver: scalapack, team_size: all"), out, ranks=ranks)
    table_alone()
    rows, wanted = lib.table(out), lib.table(_folder / "alone")
    lib.check_equal(len(rows), len(wanted), "rows")
    names = list(rows[0])
    spectral = ["trace", "entropy", "effective_rank", "participation_ratio", "lambda_max"]
    for row, other in zip(rows, wanted):
        for column in names[: names.index("trace")]:
            lib.check_equal(row[column], other[column], f"{row['cell']} {row['tag']}: {column}")
        for column in spectral:
            value = float(other[column])
            lib.check(math.isfinite(value), f"{column} is {value}")
            lib.check_close(row[column], value, RELATIVE * abs(value),
                            f"{row['cell']} {row['tag']} {row['kernel']}: {column}")  # fmt: skip
        lib.check_equal(row["solver"], "scalapack", "solver")


def new_checkpoints(out, since):
    try:
        files = list((out / "checkpoints").glob("*.h5"))
        return [path for path in files if path.stat().st_mtime > since]
    except OSError:  # gone meanwhile
        return []


def killed(first, then):
    """Killed twice on `first` ranks, each time once a checkpoint is there; ended on `then`."""
    folder = new_folder()
    study = lib.write_study(folder, text(steps=6000))
    whole, out = folder / "whole", folder / "killed"
    lib.run(["run", study, "-o", whole, "--quiet"])
    kills = 0
    for _ in range(2):
        run, started = life.Run(study, out, ranks=first), time.time()
        while run.running() and not new_checkpoints(out, started):
            time.sleep(0.005)
        kills += run.running()
        run.send(signal.SIGKILL, list(run.ranks().values()))
        run.wait()
    lib.check(kills > 0, "the study was through before it could be killed")
    lib.run(["run", study, "-o", out, "--quiet"], ranks=then)
    lib.check_same_bytes(lib.table_text(out), lib.table_text(whole), "results.csv after kills")
    life.check_nothing_redone(out)
    resumed = len(lib.log_events(out, "cell_resumed"))
    lib.check(resumed > 0, "no checkpoint was used")
    print(f"    {kills} kills, {resumed} cells resumed from checkpoints")


@lib.case
def kept_snapshots_are_measured_with_another_probe():
    """No step of training is taken, and the table is that of a study which began with this probe."""
    folder = new_folder()
    out, fresh = folder / "out", folder / "fresh"
    lib.run_study(text(), out)
    lib.run_study(text(probe=14), out, ranks=2)
    lib.run_study(text(probe=14), fresh)
    lib.check_same_bytes(lib.table_text(out), lib.table_text(fresh), "results.csv with another probe")
    lib.check_equal(len(lib.log_events(out, "cell_remeasured")), CELLS, "cells that were measured anew")
    lib.check_equal(len(lib.log_events(out, "cell_retrained")), 0, "cells that were trained anew")


for _ranks in (2, 3, 4):
    lib.add(f"{_ranks} ranks, byte for byte", same_bytes, _ranks)
for _ranks in (2, 3):
    lib.add(f"kernels shared by {_ranks} ranks", shared, _ranks)
lib.add("killed on 2 ranks, ended on 3", killed, 2, 3)
lib.add("killed on 3 ranks, ended on 1", killed, 3, None)
lib.main()

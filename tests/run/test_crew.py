"""Cores without work share the steps of networks that train: the same table, byte for byte, however many
there are and whenever they come and go; told in log, timings and summary; and none where that is turned off."""

import os

import lib

RANDOM = lib.environment(NTKLENS_TEST_CREW=1)  # threads come and go at every chance, whatever cores there are

STUDY = """\
    data:
      source: glyphs
      train_sizes: [200]
      test_size: 100
      probe_size: 10
    model: {{{model}}}
    training:
      optimizer: {optimizer}
      learning_rate: 0.001
      batch_size: {batch}
      max_steps: 8
      evaluations_per_decade: 2
    measure:
      kernels: traced
      steps_per_decade: 1
    """

_folder = lib.scratch("crew")


def run(name, ranks, study, *options, env=None):
    out = _folder / name
    lib.run_study(study, out, *options, ranks=ranks, env=env)
    return out


def the_table_is_the_same(name, study):
    alone = lib.table_text(run(f"{name}-alone", None, study, "--set", "training.share_cores=false"))
    for ranks in (3,) if name.endswith("momentum") else (1, 2, 3, 4, 6):
        out = run(f"{name}-{ranks}", ranks, study, env=RANDOM)
        lib.check_same_bytes(lib.table_text(out), alone, f"{name}: results.csv of {ranks} ranks")


# Wide enough for pieces; batches that wide layers take by blocks, and others that they do not.
MLP = "widths: [768, 300], depths: [2]"
CNN = "kind: cnn, widths: [24], depths: [1]"
for name, optimizer, batch, model in (
    ("mlp-sgd", "sgd", 32, MLP),
    ("mlp-momentum", "momentum", 100, MLP + ", activation: gelu"),
    ("mlp-adam", "adam", 50, MLP),
    ("cnn-sgd", "sgd", 50, CNN),
    ("cnn-momentum", "momentum", 32, CNN + ", normalization: layer-norm"),
    ("cnn-adam", "adam", 33, CNN),
):
    lib.add(f"the table of {name} is the same", the_table_is_the_same, name,
            STUDY.format(optimizer=optimizer, batch=batch, model=model))  # fmt: skip


@lib.case
def cores_are_lent_and_that_is_told():
    """Of two ranks one has nothing to do: its core, where there are two, works for the other."""
    study = STUDY.format(optimizer="sgd", batch=64, model="widths: [1024], depths: [3]")
    out = run("lent", 2, study, "--set", "training.max_steps=60", "--set", "data.test_size=2000")
    seconds = {}
    for line in (out / "timings.csv").read_text().splitlines():
        cell, phase, rank, took, _ = line.split(",")
        if cell == "-":
            seconds[phase, int(rank)] = float(took)
    lib.check_equal(sorted(seconds), [("idle", 0), ("idle", 1), ("lent", 0), ("lent", 1)], "lines of ranks")
    lent = seconds["lent", 0] + seconds["lent", 1]
    end = lib.log_events(out, "end")[0]
    lib.check("lent_percent=" in end, f"no share that was lent: {end}")
    if len(os.sched_getaffinity(0)) > 1:
        lib.check(lent > 0, "nothing was lent, with two cores")
        lib.check(lib.log_events(out, "cores"), "no word in the log of two cores")
        lib.check(lib.log_events(out, "cores_returned"), "no word in the log of what was lent")
    off = run("off", 2, study, "--set", "training.share_cores=false")
    lib.check(lib.log_events(off, "cores_not_shared"), "no word that cores are not shared")
    lib.check(not lib.log_events(off, "cores"), "cores are shared, which is turned off")


if __name__ == "__main__":
    lib.main()

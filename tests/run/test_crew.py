"""Cores without work share the steps of networks that train: the same table, byte for byte, however many
there are and whenever they come and go; told in log, timings and summary; and none where that is turned off."""

import json
import os
import signal
import time

import life
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


@lib.case
def without_memory_for_their_scratch_no_cores_are_lent():
    study = STUDY.format(optimizer="adam", batch=64, model="widths: [1024], depths: [3]")
    steps = ["--set", "training.max_steps=60"]
    tables = []
    for memory in ("80MiB", "2GiB"):
        out = run(f"memory-{memory}", 2, study, *steps, "--set", f"measure.memory_per_rank={memory}")
        tables.append(lib.table_text(out))
        if len(os.sched_getaffinity(0)) > 1:
            lib.check_equal(bool(lib.log_events(out, "cores")), memory == "2GiB", f"were cores lent within {memory}?")
    lib.check_same_bytes(tables[0], tables[1], "results.csv with less memory")


LONG = STUDY.format(optimizer="momentum", batch=64, model="widths: [1024], depths: [3]")
LONG = LONG.replace("max_steps: 8", "max_steps: 400")


def helped(study, out):
    """A run of two ranks, one of which has borrowed the other's core; and who that is."""
    told = len(lib.log_events(out, "cores")) if (out / "log.txt").exists() else 0
    run = life.Run(study, out, "--set", "checkpoint.every=0.2")
    life.wait_for(lambda: (out / "log.txt").exists() and len(lib.log_events(out, "cores")) > told, "a core is lent")
    event = lib.log_events(out, "cores")[-1]
    ranks = run.ranks().values()
    run.send(signal.SIGSTOP, ranks)  # or it is over when that is said
    told = json.loads(lib.run(["status", out, "--json"]).stdout)["sharing"]
    run.send(signal.SIGCONT, ranks)
    lib.check_equal(told, [{"cell": event.split("cell=")[1].split()[0], "cores": 2}], "what status says of cores")
    return run, int(event.split("rank=")[1].split()[0])


@lib.case
def kills_stops_and_a_rank_that_is_suspended_change_nothing():
    if len(os.sched_getaffinity(0)) < 2:
        raise lib.Skip("one core: nothing is lent")
    alone = lib.table_text(run("undisturbed", None, LONG, "--set", "training.share_cores=false"))
    study = lib.write_study(_folder, LONG, "disturbed.yaml")
    out = _folder / "disturbed"
    for who in ("lender", "borrower", "stop file", "interrupt"):
        going, borrower = helped(study, out)
        if who == "stop file":
            (out / "stop").touch()
            lib.check_equal(going.wait(), 75, "exit code after a stop file")
        elif who == "interrupt":
            going.send(signal.SIGINT, [going.ranks()[borrower]])
            lib.check_equal(going.wait(), 75, "exit code after an interrupt")
        else:
            ranks = going.ranks()
            going.send(signal.SIGKILL, [ranks[borrower if who == "borrower" else 1 - borrower]])
            lib.check(going.wait() != 0, f"exit code 0 after a kill of the {who}")
    going, borrower = helped(study, out)
    lender = [going.ranks()[1 - borrower]]
    going.send(signal.SIGSTOP, lender)
    time.sleep(2)
    going.send(signal.SIGCONT, lender)
    going.finish()
    lib.check_same_bytes(lib.table_text(out), alone, "results.csv after all that")


if __name__ == "__main__":
    lib.main()

#!/usr/bin/env python3
"""Asked to stop, a study stops soon, on every rank, with a checkpoint and exit code 75.

    test_stop.py [long]    long: also --max-time 00:01:00 to the letter
"""

import signal
import sys
import time

import life
import lib

LONG = "long" in sys.argv[1:]
SOON = 6.0  # seconds from the wish to the end of mpirun; agreement takes a second, the rest is MPI


class Study:
    """Trains for minutes, if it is let: only checkpoints of a stop can be there."""

    def __init__(self, name, text=None):
        self.folder = lib.scratch(name)
        text = text or life.study_text(sizes="400", widths="64, 128", steps=10**6, every=3600)
        self.path = lib.write_study(self.folder, text)
        self.out = self.folder / "out"

    def start(self, *options, ranks=2):
        run = life.Run(self.path, self.out, *options, ranks=ranks)
        life.wait_for(lambda: life.events(self.out, "start"), "start")
        time.sleep(1.5)  # into the training
        return run

    def check_stopped(self, run, asked, soon=SOON):
        run.finish(75)
        took = time.monotonic() - asked
        lib.check(took < soon, f"ended {took:.1f} s after it was asked to")
        lib.check(
            any("stopped early; the same command continues" in line for line in run.complaints()),
            f"not told:\n{run.stderr()}",
        )
        last = life.events(self.out, "end")[-1]
        lib.check("stopped early" in last, f"log: {last}")
        files = list(self.out.glob("checkpoints/*.h5"))
        lib.check_equal(len(files), 2, "checkpoints, one a rank")
        age = max(time.time() - path.stat().st_mtime for path in files)
        lib.check(age < took + 2, f"a checkpoint is {age:.1f} s old")
        return took


def signal_to(number, target):
    study = Study("signal")
    run = study.start()
    asked = time.monotonic()
    run.send(number, [run.process.pid if target == "mpirun" else run.ranks()[target]])
    took = study.check_stopped(run, asked)
    print(f"  ended {took:.1f} s later")


def goes_on(study):
    """The same command continues from the checkpoints."""
    run = study.start()
    life.wait_for(lambda: len(life.events(study.out, "cell_resumed")) == 2, "two resumed cells")
    run.end()


@lib.case
def interrupt_to_mpirun():
    """mpirun kills its ranks a second after Ctrl-C: what was checkpointed before stays."""
    study = Study("interrupt", text=life.study_text(widths="64, 128", steps=10**6, every=0.5))
    run = study.start()
    life.wait_for(lambda: len(list(study.out.glob("checkpoints/*.h5"))) == 2, "two checkpoints")
    asked = time.monotonic()
    run.send(signal.SIGINT, [run.process.pid])
    lib.check(run.wait() != 0, "exit code 0 after SIGINT to mpirun")
    lib.check(time.monotonic() - asked < 15, "mpirun ends more than 15 s after SIGINT")
    goes_on(study)


@lib.case
def terminate_to_mpirun_with_time_to_end():
    study = Study("terminate")
    run = life.Run(
        study.path, study.out, launcher=["--mca", "odls_base_sigkill_timeout", "20"]
    )
    life.wait_for(lambda: life.events(study.out, "start"), "start")
    time.sleep(1.5)
    run.send(signal.SIGTERM, [run.process.pid])
    run.wait(60)
    files = list(study.out.glob("checkpoints/*.h5"))
    lib.check_equal(len(files), 2, "checkpoints, one a rank")
    goes_on(study)


@lib.case
def a_second_interrupt_ends_at_once():
    study = Study("twice")
    run = study.start()
    rank = run.ranks()[0]
    asked = time.monotonic()
    run.send(signal.SIGINT, [rank])
    run.send(signal.SIGINT, [rank])
    code = run.wait()
    lib.check(time.monotonic() - asked < SOON, "ended more than a few seconds after two SIGINT")
    lib.check(code in (75, 130), f"exit code {code}")


@lib.case
def stop_file():
    study = Study("file")
    run = study.start()
    asked = time.monotonic()
    (study.out / "stop").touch()
    study.check_stopped(run, asked)
    lib.check(not (study.out / "stop").exists(), "the stop file is still there: the next run stops")
    goes_on(study)


def limited(text, least, most, name):
    study = Study(name)
    run = life.Run(study.path, study.out, "--max-time", text, ranks=2)
    run.finish(75)
    lib.check(
        least <= run.seconds() <= most,
        f"--max-time {text}: {run.seconds():.1f} s, expected {least} to {most}",
    )
    ages = [time.time() - path.stat().st_mtime for path in study.out.glob("checkpoints/*.h5")]
    lib.check_equal(len(ages), 2, "checkpoints, one a rank")
    lib.check(max(ages) < 20, f"the oldest checkpoint is {max(ages):.1f} s old")
    print(f"  --max-time {text}: {run.seconds():.1f} s")


# Trained in a moment, then one kernel of order 10 x 400 that takes longer than there is time.
BIG = """\
study: big
data: {source: glyphs, train_sizes: [100], test_size: 500, probe_size: 400}
model: {widths: [8], depths: [2]}
training: {max_steps: 20}
seeds: [0]
measure: {kernels: [full], steps_per_decade: 0, solver: scalapack, team_size: all}
"""


@lib.case
def a_solve_beyond_the_limit_ends_the_job_and_is_done_again():
    study = Study("solve", BIG)
    run = life.Run(study.path, study.out, "--max-time", "00:00:07", ranks=2)
    run.finish(75)
    lib.check(run.seconds() < 15, f"--max-time 00:00:07 ends after {run.seconds():.1f} s")
    if not any("no time is left for a solve" in line for line in run.stderr().splitlines()):
        raise lib.Skip("this machine solves order 4000 within a few seconds")
    lib.check(list(study.out.glob("checkpoints/*.h5")), "the training is not kept")
    if LONG:
        life.run(study.path, study.out, ranks=2)
        lib.check_equal(len(lib.table(study.out)), 3, "rows")
        lib.check(life.events(study.out, "cell_resumed"), "trained anew")


for name in "SIGUSR1", "SIGTERM", "SIGINT":
    for rank in (0, 1) if LONG else (1,):
        lib.add(f"{name} to rank {rank}", signal_to, getattr(signal, name), rank)
lib.add("SIGUSR1 to mpirun", signal_to, signal.SIGUSR1, "mpirun")
# On a busy machine the launcher takes its time behind the study: the letter is for `long`.
lib.add("a limit of 20 s", limited, "00:00:20", 10, 20 if LONG else 25, "limit")
if LONG:
    lib.add("a limit of a minute", limited, "00:01:00", 40, 60, "minute")
lib.main()

#!/usr/bin/env python3
"""Asked to stop, a study stops soon, on every rank, with a checkpoint and exit code 75.

    test_stop.py [quick | long]    long: also --max-time 00:01:00 to the letter
"""

import signal
import sys
import time

import life
import lib

LONG = "long" in sys.argv[1:]


class Study:
    """Two cells in the middle of trainings that take minutes.  What was trained so far is in
    checkpoints, so a start says when each rank trains (cell_resumed), and checkpoints that are newer
    were written at the stop."""

    def __init__(self, name):
        self.folder = lib.scratch(name)
        text = life.study_text(sizes="400", widths="64, 128", steps=10**8, every=3600)
        text = text.replace("seeds: [0, 1]", "seeds: [0]")
        self.path = lib.write_study(self.folder, text)
        self.out = self.folder / "out"
        run = life.Run(self.path, self.out, "--set", "checkpoint.every=0.05")
        life.wait_for(lambda: len(self.checkpoints()) == 2, "two checkpoints")
        run.end()

    def checkpoints(self):
        return sorted(self.out.glob("checkpoints/*.h5"))

    def written(self):
        return {path.name: path.stat().st_mtime_ns for path in self.checkpoints()}

    def resumed(self):
        return len(life.events(self.out, "cell_resumed"))

    def start(self, *options, **how):
        before = self.resumed()
        run = life.Run(self.path, self.out, *options, **how)
        life.wait_for(lambda: self.resumed() == before + 2, "two resumed cells")
        return run

    def check_stopped(self, run, before):
        """Stopped in order, with a checkpoint of every rank that is newer than those before."""
        run.finish(75)
        lib.check(
            any("stopped early; the same command continues" in line for line in run.complaints()),
            f"not told:\n{run.stderr()}",
        )
        last = life.events(self.out, "end")[-1]
        lib.check("stopped early" in last, f"log: {last}")
        self.check_written(before)

    def check_written(self, before):
        after = self.written()
        lib.check_equal(sorted(after), sorted(before), "checkpoints, one per rank")
        old = [name for name in after if after[name] <= before[name]]
        lib.check(not old, f"not written at the stop: {old}")

    def goes_on(self):
        """The same command continues from the checkpoints."""
        self.start().end()


def signal_to(number, target):
    study = Study("signal")
    before = study.written()
    run = study.start()
    run.send(number, [run.process.pid if target == "mpirun" else run.ranks()[target]])
    asked = time.monotonic()
    study.check_stopped(run, before)
    print(f"  ended {time.monotonic() - asked:.1f} s later")


@lib.case
def interrupt_to_mpirun():
    """mpirun kills its ranks a second after Ctrl-C: what was checkpointed before stays."""
    study = Study("interrupt")
    run = study.start()
    run.send(signal.SIGINT, [run.process.pid])
    lib.check(run.wait() != 0, "exit code 0 after SIGINT to mpirun")
    study.goes_on()


@lib.case
def terminate_to_mpirun_with_time_to_end():
    study = Study("terminate")
    before = study.written()
    run = study.start(launcher=["--mca", "odls_base_sigkill_timeout", "20"])
    run.send(signal.SIGTERM, [run.process.pid])
    run.wait()
    study.check_written(before)
    study.goes_on()


@lib.case
def a_second_interrupt_ends_at_once():
    study = Study("twice")
    run = study.start()
    rank = run.ranks()[0]
    run.send(signal.SIGINT, [rank])
    run.send(signal.SIGINT, [rank])
    code = run.wait()
    lib.check(code in (75, 130), f"exit code {code}")  # 75: the first one was quicker
    study.goes_on()


@lib.case
def stop_file():
    study = Study("file")
    before = study.written()
    run = study.start()
    (study.out / "stop").touch()
    study.check_stopped(run, before)
    lib.check(not (study.out / "stop").exists(), "the stop file is still there: the next run stops")
    study.goes_on()


@lib.case
def a_limit():
    """Ends by itself, once a machine as slow as this one trains at all."""
    for seconds in 8, 25, 75:
        study = Study("limit")
        before = study.written(), study.resumed()
        run = life.Run(study.path, study.out, "--max-time", str(seconds))
        run.finish(75)
        if study.resumed() == before[1] + 2:
            study.check_stopped(run, before[0])
            return
    raise lib.Failure("no cell was resumed within 75 s")


def a_failure_does_not_pass_for_a_stop():
    """Rank 0 cannot write, rank 1, held, is as deaf as in a solve: the job ends, as a failure."""
    study = Study("failure")
    run = study.start("--set", "checkpoint.every=0.05")
    run.send(signal.SIGSTOP, [run.ranks()[1]])
    (study.out / "checkpoints").rename(study.folder / "lost")
    code = run.wait()
    told = run.stderr()
    lib.check_equal(code, 75, f"exit code; stderr:\n{told}")  # of a folder that is gone
    lib.check("the study has failed (folder gone or not writable)" in told, told)
    lib.check("no time is left" not in told, told)


def limited(text, least, most):
    """To the letter; for a machine that is ours."""
    study = Study("limit")
    before = study.written()
    run = study.start("--max-time", text)
    study.check_stopped(run, before)
    took = run.seconds()
    print(f"  --max-time {text}: {took:.1f} s")
    lib.check(least <= took <= most, f"{took:.1f} s, expected {least} to {most}")


# Trained in a moment, then one kernel of order 10 x {probe} that takes longer than there is time.
BIG = """\
study: big
data: {{source: glyphs, train_sizes: [100], test_size: 900, probe_size: {probe}}}
model: {{widths: [8], depths: [2]}}
training: {{max_steps: 20}}
seeds: [0]
measure: {{kernels: [full], steps_per_decade: 0, solver: scalapack, team_size: all}}
"""


def ended_in_a_solve(probe, limit):
    """The folder of a job that was ended in the middle of a solve; None: it came to another end."""
    folder = lib.scratch("solve")
    study = lib.write_study(folder, BIG.format(probe=probe))
    run = life.Run(study, folder / "out", "--max-time", limit)
    code = run.wait()
    if not any("no time is left for a solve" in line for line in run.stderr().splitlines()):
        lib.check(code in (0, 75), f"exit code {code}; stderr:\n{run.stderr()}")
        return None
    lib.check_equal(code, 75, "exit code of a job that was ended in a solve")
    return study, folder / "out"


def a_solve_beyond_the_limit_ends_the_job_and_is_done_again():
    """Neither through before the limit, on a fast machine, nor not yet there, on a slow one."""
    for probe, limit in (400, "00:00:09"), (800, "00:00:09"), (400, "00:00:30"), (800, "00:01:30"):
        if found := ended_in_a_solve(probe, limit):
            break
    else:
        raise lib.Skip("no solve was running when the time was over")
    study, out = found
    lib.check(list(out.glob("checkpoints/*.h5")), "the training is not kept")
    life.run(study, out)
    lib.check_equal(len(lib.table(out)), 3, "rows")
    lib.check(life.events(out, "cell_resumed"), "trained anew")


if LONG:
    for name in "SIGUSR1", "SIGUSR2", "SIGTERM", "SIGINT", "SIGHUP", "SIGXCPU", "SIGPWR":
        for rank in (0, 1) if name in ("SIGUSR1", "SIGTERM", "SIGINT") else (1,):
            lib.add(f"{name} to rank {rank}", signal_to, getattr(signal, name), rank)
    lib.case(a_solve_beyond_the_limit_ends_the_job_and_is_done_again)
    lib.case(a_failure_does_not_pass_for_a_stop)
    lib.add("a limit of 20 s", limited, "00:00:20", 10, 20)
    lib.add("a limit of a minute", limited, "00:01:00", 40, 60)
else:
    lib.add("SIGTERM to rank 1", signal_to, signal.SIGTERM, 1)
lib.add("SIGUSR1 to mpirun", signal_to, signal.SIGUSR1, "mpirun")
lib.main(quick=["SIGTERM to rank 1", "stop file"])

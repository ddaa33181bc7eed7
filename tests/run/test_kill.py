#!/usr/bin/env python3
"""A study killed at random moments, again and again, ends with the table of one left in peace.

    test_kill.py [kills | quick]    on 2 ranks with LAPACK, on 3 ranks that share every kernel, on 3
                                    ranks of which two measure kernels of the cell of the third, and on
                                    4 ranks that share the kernels of one cell in two teams; convolutional
                                    networks on 2 ranks, and one whose kernels a second rank measures

Moments are drawn in time (training, measuring) and in changes of files (writing, renaming).
NTKLENS_TEST_SEED repeats a sequence.
"""

import os
import random
import shutil
import signal
import sys
import time

import life
import lib

KILLS = 4 if lib.QUICK else int(sys.argv[1]) if len(sys.argv) > 1 else 8
SEED = int(os.environ.get("NTKLENS_TEST_SEED", random.randrange(10**6)))
AFTER_EACH = KILLS >= 30  # look at the table after every kill, not only at the ends
TARGETS = ["one rank", "all ranks", "mpirun"]


def victims(run, target, rng):
    if target == "mpirun":
        return [run.process.pid]
    ranks = list(run.ranks().values())
    return ranks if target == "all ranks" else rng.sample(ranks, min(len(ranks), 1))


def kill_in_time(study, out, ranks, target, most, rng):
    """Kill after a random time; False where the run was quicker."""
    run = life.Run(study, out, ranks=ranks)
    life.wait_for(lambda: not run.running() or life.log_text(out).count("\n") > 0, "log", 120)
    time.sleep(rng.uniform(0, most))
    alive = run.running()
    run.send(signal.SIGKILL, victims(run, target, rng))
    code = run.wait()
    # Below 0: mpirun itself died; Open MPI 4's does so at times when its ranks are killed (-11, -13).
    lib.check(code in (0, 137, 143) or code < 0 or not alive, f"killed {target}: exit code {code}")
    return alive


def kill_in_writing(study, out, ranks, rng, calls):
    """The process that makes a random change of a file dies in it."""
    call = rng.randrange(1, calls)
    count = out.parent / "count"
    count.unlink(missing_ok=True)
    run = life.Run(
        study, out, ranks=ranks, env=life.fault_environment(out, call, "KILL", count)
    )
    return run.wait() != 0


def kill_again_and_again(name, text, ranks, kills):
    rng = random.Random(f"{SEED} {name}")
    folder = lib.scratch("kill")
    study = lib.write_study(folder, text)
    count = folder / "count"
    whole = folder / "uninterrupted"
    start = time.monotonic()
    life.run(study, whole, ranks=ranks, env=life.fault_environment(whole, 0, "NONE", count))
    seconds = time.monotonic() - start
    calls = int.from_bytes(count.read_bytes()[:8], sys.byteorder)
    reference = life.table_bytes(whole)
    killed = ends = 0
    out = folder / "killed-0"
    while killed < kills:
        target = TARGETS[killed % 3]
        if killed % 4 == 3:
            alive = kill_in_writing(study, out, ranks, rng, max(10, calls // 4))
        else:
            alive = kill_in_time(study, out, ranks, target, seconds / 4, rng)
        killed += alive
        if alive and AFTER_EACH and out.exists():  # a copy goes on to the end, the original to the next kill
            copy = folder / "copy"
            shutil.copytree(out, copy)
            finish(study, copy, ranks, reference)
            shutil.rmtree(copy)
        if not alive or rng.random() < 0.15:  # done, or to be done now: look, then a new folder
            finish(study, out, ranks, reference)
            ends += 1
            out = folder / f"killed-{ends}"
    finish(study, out, ranks, reference)
    print(f"  {name}: {killed} kills, {ends + 1} ends, a whole run takes {seconds:.1f} s")


def finish(study, out, ranks, reference):
    life.run(study, out, ranks=ranks)
    life.check_table(out, reference, "after kills")
    done, files = life.check_nothing_redone(out)
    starts = len(life.events(out, "start"))
    lib.check(
        files - (starts - 1) * ranks <= done <= files,
        f"{done} cells done by the log of {starts} starts, {files} files",
    )


print(f"NTKLENS_TEST_SEED={SEED}")
lib.add("LAPACK, 2 ranks", kill_again_and_again, "LAPACK", life.study_text(), 2, KILLS)
lib.add(
    "ScaLAPACK shared by 3 ranks",
    kill_again_and_again,
    "ScaLAPACK",
    life.study_text(sizes="200", solver=life.SHARED),
    3,
    KILLS,
)
lib.add(
    "one cell, two ranks that help",
    kill_again_and_again,
    "help",
    life.study_text(sizes="200", widths="16").replace("probe_size: 20", "probe_size: 90").replace("[8]", "[80]").replace("[0, 1]", "[0]"),
    3,
    KILLS,
)
lib.add(
    "one cell, two teams",
    kill_again_and_again,
    "teams",
    life.study_text(sizes="200", widths="16", solver="solver: scalapack, team_size: 2").replace("[0, 1]", "[0]"),
    4,
    KILLS,
)
lib.add(
    "convolutional networks",
    kill_again_and_again,
    "cnn",
    life.study_text(sizes="200", widths="2, 3", steps=400, model=life.CNN),
    2,
    KILLS,
)
lib.add(
    "one convolutional network, a rank that helps",
    kill_again_and_again,
    "cnn-help",
    life.study_text(sizes="200", widths="3", steps=400, model=life.CNN).replace("[0, 1]", "[0]"),
    2,
    KILLS,
)
lib.main(quick=["LAPACK, 2 ranks"])

#!/usr/bin/env python3
"""Writes that fail, at every point: a clear message, nothing lost that was safe.

    test_write_failures.py [quick | all]    all: every call fails in turn; else a few of them
"""

import os
import random
import shutil
import subprocess
import sys
import time

import life
import lib

EVERYTHING = "all" in sys.argv[1:]
SEED = int(os.environ.get("NTKLENS_TEST_SEED", random.randrange(10**6)))
SAMPLE = 2 if lib.QUICK else 6  # calls, where not all are tried
STUDY = life.study_text(sizes="100", widths="8", steps=400, every=0.01)
# Time for checkpoints, and for a fault in the middle.
LONGER = life.study_text(sizes="200", widths="8, 16", steps=3000, every=0.02)


def go_on(study, out, reference, what):
    """The same command, with nothing in its way."""
    finished = {path: path.read_bytes() for path in out.glob("cells/*.h5")}
    life.run(study, out)
    life.check_table(out, reference, what)
    life.check_nothing_redone(out)
    for path, content in finished.items():
        lib.check(path.read_bytes() == content, f"{what}: finished before, written again: {path}")
    leftover = [str(path) for path in out.rglob("*.tmp")]
    lib.check(not leftover, f"{what}: left behind: {leftover}")


class Faults:
    def __init__(self):
        self.folder = lib.scratch("faults")
        self.study = lib.write_study(self.folder, STUDY)
        self.count = self.folder / "count"
        whole = self.folder / "whole"
        life.run(self.study, whole, env=life.fault_environment(whole, 0, "NONE", self.count))
        self.reference = life.table_bytes(whole)
        self.calls = int.from_bytes(self.count.read_bytes()[:8], sys.byteorder)
        print(f"  {self.calls} calls that change files")

    def fail(self, call, action, code):
        what = f"{action} at call {call}"
        out = self.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        self.count.unlink()
        run = life.Run(
            self.study, out, env=life.fault_environment(out, call, action, self.count)
        )
        got = run.wait()
        reached = int.from_bytes(self.count.read_bytes()[:8], sys.byteorder) >= call
        told = run.complaints()
        if reached and got == 0:
            pass  # a touch of the lock, which the next one makes good: the table, below, is whole
        elif reached:
            lib.check(got == code, f"{what}: exit code {got}, expected {code}\n{run.stderr()}")
            lib.check(
                any(str(out) in line and "failed" in line or "cannot" in line for line in told),
                f"{what}: not told where:\n{run.stderr()}",
            )
        else:
            lib.check(got == 0, f"{what}: not reached, and exit code {got}\n{run.stderr()}")
        go_on(self.study, out, self.reference, what)

    def every_call(self, action, code):
        rng = random.Random(f"{SEED} {action}")
        calls = range(1, self.calls + 1)
        for call in calls if EVERYTHING else sorted(rng.sample(calls, SAMPLE)):
            self.fail(call, action, code)


def injected(action, code):
    global _faults
    if _faults is None:
        _faults = Faults()
    _faults.every_call(action, code)


_faults = None


@lib.case
def interrupted_calls_are_repeated():
    """Every other call on a file is interrupted by a signal: nobody notices."""
    folder = lib.scratch("interrupted")
    study = lib.write_study(folder, STUDY)
    whole, out = folder / "whole", folder / "out"
    life.run(study, whole)
    count = folder / "count"
    for options in ([], ["--set", "data.probe_size=15"]):  # the second reads what the first wrote
        env = life.fault_environment(out, 0, "INTERRUPT", count)
        run = life.run(study, out, *options, env=env)
        lib.check(not run.complaints(), run.stderr())
        interrupted = int.from_bytes(count.read_bytes()[:8], sys.byteorder)
        lib.check(interrupted > 30, f"{interrupted} calls were interrupted")
        if not options:
            life.check_table(out, life.table_bytes(whole), "interrupted calls")
    leftover = [str(path) for path in out.rglob("*.tmp")]
    lib.check(not leftover, f"left behind: {leftover}")


# ---------------------------------------------------------------------------------------------
# A small disk
# ---------------------------------------------------------------------------------------------


def mount(folder, size, *options):
    line = ["mount", "-t", "tmpfs", "-o", ",".join([*options, f"size={size}"]), "tmpfs", folder]
    result = subprocess.run(line, capture_output=True, text=True)
    if result.returncode != 0:
        raise lib.Skip(f"no tmpfs can be mounted: {result.stderr.strip()}")


def small_disk():
    folder = lib.scratch("disk")
    study = lib.write_study(folder, LONGER)
    whole = folder / "whole"
    life.run(study, whole)
    reference = life.table_bytes(whole)
    total = sum(path.stat().st_size for path in whole.rglob("*") if path.is_file())
    disk = folder / "disk"
    disk.mkdir()
    for part in (0.0, 0.1, 0.25, 0.5, 0.7, 0.9) if EVERYTHING else (0.0, 0.3, 0.7):
        what = f"a disk of {part:.0%} of {total} bytes"
        mount(disk, max(4096, int(part * total)))
        try:
            out = disk / "out"
            run = life.Run(study, out)
            code = run.wait()
            lib.check(code == 75, f"{what}: exit code {code}, expected 75\n{run.stderr()}")
            lib.check(
                any(str(out) in line and "No space" in line for line in run.complaints()),
                f"{what}: not told:\n{run.stderr()}",
            )
            mount(disk, 64 << 20, "remount")
            go_on(study, out, reference, what)
        finally:
            subprocess.run(["umount", disk], check=True)


# ---------------------------------------------------------------------------------------------
# Folders that go away
# ---------------------------------------------------------------------------------------------


class Taken:
    """A study in the middle of its training."""

    def __init__(self, name):
        self.folder = lib.scratch(name)
        text = life.study_text(sizes="400", widths="16, 32", steps=10**6, every=0.05)
        self.study = lib.write_study(self.folder, text)
        self.out = self.folder / "out"
        self.run = life.Run(self.study, self.out)
        life.wait_for(lambda: list(self.out.glob("checkpoints/previous/*.h5")), "checkpoint")

    def check_ended(self):
        code = self.run.wait(90)
        lib.check_equal(code, 75, f"exit code; {self.run.stderr()}")
        lib.check(
            any(str(self.out) in line for line in self.run.complaints()),
            f"no line names the folder:\n{self.run.stderr()}",
        )


@lib.case
def the_folder_is_removed():
    taken = Taken("removed")
    limit = time.monotonic() + 10
    while taken.out.exists() and time.monotonic() < limit:
        shutil.rmtree(taken.out, ignore_errors=True)  # a write may come between
    taken.check_ended()


@lib.case
def the_permission_is_lost():
    taken = Taken("permission")
    files = sorted(taken.out.glob("checkpoints/*.h5"))
    locked = taken.out / "checkpoints"
    if os.geteuid() == 0:
        change = lambda sign: subprocess.run(["chattr", f"{sign}i", locked], capture_output=True)
        if shutil.which("chattr") is None or change("+").returncode != 0:
            taken.run.end()
            raise lib.Skip("root may write everywhere, and chattr +i does not work here")
        restore = lambda: change("-")
    else:
        locked.chmod(0o500)
        restore = lambda: locked.chmod(0o700)
    try:
        taken.check_ended()
        lib.check(all(path.exists() for path in files), "a checkpoint is lost")
    finally:
        restore()
    again = life.Run(taken.study, taken.out)
    life.wait_for(lambda: life.events(taken.out, "cell_resumed"), "resumed cell")
    again.end()


print(f"NTKLENS_TEST_SEED={SEED}")
for kind, exit_code in ("ENOSPC", 75), ("EDQUOT", 75), ("EACCES", 75), ("EIO", 1):
    lib.add(f"{kind} at the k-th call", injected, kind, exit_code)
lib.add("a small disk fills up", small_disk)
lib.main(
    quick=[
        "interrupted calls are repeated",
        "the folder is removed",
        "ENOSPC at the k-th call",
        "EACCES at the k-th call",
    ]
)

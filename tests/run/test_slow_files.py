#!/usr/bin/env python3
"""A file system that does not answer holds up what needs it, and nothing else: while a table cannot
be written, or a finished cell cannot be read, requests are answered and the lock is touched."""

import os
import signal

import life
import lib

STUDY = """\
study: slow-files
data: {source: glyphs, train_sizes: [40], test_size: 60, probe_size: 8}
model: {widths: [4, 8]}
training: {max_steps: 20}
seeds: [0, 1, 2]
measure: {kernels: [traced], steps_per_decade: 1}
"""
CELLS = 6


class Held:
    """A run in which fsync, and opening for reading, of files like `pattern` wait for release()."""

    def __init__(self, out, pattern, ranks):
        shim = os.environ.get("NTKLENS_HOLD_SHIM")
        if not shim:
            raise lib.Skip("NTKLENS_HOLD_SHIM is not set")
        folder = lib.scratch("hold")
        self.out, self.lasts, self.marked = out, folder / "lasts", folder / "marked"
        self.lasts.touch()
        env = lib.environment(LD_PRELOAD=shim, NTKLENS_HOLD=f"{out}/{pattern}",
                              NTKLENS_HOLD_WHILE=self.lasts, NTKLENS_HOLD_MARK=self.marked)  # fmt: skip
        study = lib.write_study(out.parent, STUDY)
        self.run = life.Run(study, out, ranks=ranks, env=env)

    def __enter__(self):
        try:
            life.wait_for(self.marked.exists, "call that waits")
        except lib.Failure:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.release()
        if self.run.running():
            self.run.end()

    def release(self):
        self.lasts.unlink(missing_ok=True)

    def touched(self):
        return (self.out / "lock").stat().st_mtime_ns

    def lock_is_touched(self, times=3):
        for turn in range(times):
            before = self.touched()
            life.wait_for(lambda: self.touched() > before, f"sign of life {turn}", 20)

    def finish(self):
        self.release()
        self.run.finish(0)


def reference():
    out = lib.scratch("reference") / "out"
    lib.run_study(STUDY, out)
    return life.table_bytes(out)


def done(out):
    return len(life.events(out, "cell_done"))


@lib.case
def while_a_table_is_written():
    """The first write of results.csv comes before any cell is finished, and is held: all cells are
    done meanwhile; then the last write is awaited."""
    out = lib.scratch("table") / "out"
    with Held(out, "*results.csv*tmp", 2) as held:
        held.lock_is_touched(1)
        life.wait_for(lambda: done(out) == CELLS, "all cells done while a table is written")
        held.lock_is_touched()
        lib.check(held.run.running(), "the run ended without its table")
        held.finish()
    life.check_table(out, reference(), "after the wait")


@lib.case
def while_finished_cells_are_read():
    out = lib.scratch("read") / "out"
    lib.run_study(STUDY, out)
    before = life.table_bytes(out)
    with Held(out, "cells/*.h5", None) as held:
        held.lock_is_touched()
        lib.check_equal(life.table_bytes(out), before, "results.csv while cells are read")
        held.finish()
    lib.check_equal(done(out), CELLS, "cells done in both runs")
    life.check_table(out, before, "read again")


@lib.case
def a_stop_while_cells_are_read_leaves_the_table():
    out = lib.scratch("stop") / "out"
    lib.run_study(STUDY, out)
    before = life.table_bytes(out)
    with Held(out, "cells/*.h5", None) as held:
        held.run.send(signal.SIGTERM, [held.run.process.pid])
        life.wait_for(lambda: life.events(out, "start")[1:], "second start")
        held.lock_is_touched(2)  # by then the request to stop has arrived
        held.release()
        held.run.finish(75)
    life.check_table(out, before, "stopped while it was read")


lib.main()

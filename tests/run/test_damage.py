#!/usr/bin/env python3
"""Every file of an interrupted study damaged in every way: never a wrong number, never a crash.

    test_damage.py [quick | all]    without `all` one file of each kind
"""

import os
import random
import shutil
import sys

import life
import lib

EVERYTHING = "all" in sys.argv[1:]
SEED = int(os.environ.get("NTKLENS_TEST_SEED", random.randrange(10**6)))
RANDOM = random.Random(SEED)
REFUSED = ["study.yaml", "lock"]  # where their beginning is spoilt they are taken for files of the user's own
PLAIN = ["study.yaml", "results.csv", "timings.csv", "log.txt", "lock"]


def truncate(path):
    os.truncate(path, RANDOM.randrange(1, max(2, path.stat().st_size)))


def flip(path):
    content = bytearray(path.read_bytes())
    for _ in range(20 if content else 0):
        content[RANDOM.randrange(len(content))] ^= 1 << RANDOM.randrange(8)
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def half_rename(path):
    """Between the two renames: the new one is still temporary, its name is free."""
    path.rename(path.with_name(path.name + ".0123456789abcdef.tmp"))


def leave_half_written(path):
    """Killed while writing: half a temporary file beside the good one."""
    content = path.read_bytes()
    path.with_name(path.name + ".tmp").write_bytes(content[: len(content) // 2])


def swap(path):
    """The content of another cell, whole and sealed."""
    out = next(folder for folder in path.parents if (folder / "log.txt").exists())
    others = sorted(out.rglob("*.h5"), key=lambda other: other.parent != path.parent)
    shutil.copyfile(next(other for other in others if other.name != path.name), path)


WAYS = [truncate, flip, empty, half_rename, leave_half_written]


class Damage:
    def __init__(self):
        self.folder = lib.scratch("damage")
        self.study, self.left = life.interrupted(self.folder, widths="16", every=0.1)
        whole = self.folder / "whole"
        life.run(self.study, whole)
        self.reference = life.table_bytes(whole)
        self.count = 0

    def files(self):
        sealed = []
        for pattern in "cells/*.h5", "checkpoints/*.h5", "checkpoints/previous/*.h5":
            found = sorted(self.left.glob(pattern))
            sealed += found if EVERYTHING else found[:1]
        return [path.relative_to(self.left) for path in sealed], PLAIN

    def damaged(self, *changes):
        out = self.folder / f"damaged-{self.count}"
        self.count += 1
        shutil.copytree(self.left, out)
        for way, name in changes:
            if (out / name).exists():
                way(out / name)
        return out

    def go_on(self, out, what):
        run = life.Run(self.study, out)
        code = run.wait()
        lib.check(code == 0, f"{what}: exit code {code}; stderr:\n{run.stderr()}")
        life.check_table(out, self.reference, what)
        leftover = [str(path) for path in out.rglob("*.tmp")]
        lib.check(not leftover, f"{what}: left behind: {leftover}")
        shutil.rmtree(out)
        return run

    def sealed(self, way, name):
        what = f"{way.__name__} {name}"
        out = self.damaged((way, name))
        log = life.log_text(out)
        told = lambda: life.log_text(out)[len(log) :]
        run = life.Run(self.study, out)
        code = run.wait()
        lib.check(code == 0, f"{what}: exit code {code}; stderr:\n{run.stderr()}")
        life.check_table(out, self.reference, what)
        if way in (truncate, flip, empty, swap) and name.parts[-2] != "previous":
            cell = name.stem
            lines = [line for line in told().splitlines() if f"cell={cell} " in line]
            lib.check(
                any("_dropped" in line or "cell_redone" in line for line in lines),
                f"{what}: nothing about it in the log, but {lines}",
            )
        leftover = [str(path) for path in out.rglob("*.tmp")]
        lib.check(not leftover, f"{what}: left behind: {leftover}")
        shutil.rmtree(out)

    def both_checkpoints(self):
        name = next(self.left.glob("checkpoints/*.h5")).name
        for ways in (truncate, flip), (empty, half_rename):
            out = self.damaged(
                (ways[0], f"checkpoints/{name}"), (ways[1], f"checkpoints/previous/{name}")
            )
            self.go_on(out, f"both checkpoints: {ways[0].__name__}, {ways[1].__name__}")

    def plain(self, way, name):
        what = f"{way.__name__} {name}"
        out = self.damaged((way, name))
        before = {path.name: path.read_bytes() for path in out.glob("cells/*.h5")}
        run = life.Run(self.study, out)
        code = run.wait()
        if name in REFUSED and code != 0:
            lib.check(code in (2, 75), f"{what}: exit code {code}; stderr:\n{run.stderr()}")
            lib.check(run.complaints(), f"{what}: refused without a word")
            lib.check(
                any(str(out) in line for line in run.complaints()),
                f"{what}: no line names the folder:\n{run.stderr()}",
            )
            after = {path.name: path.read_bytes() for path in out.glob("cells/*.h5")}
            lib.check(before == after, f"{what}: refused, and finished cells are changed")
            shutil.copyfile(self.left / name, out / name)
            life.run(self.study, out)
        else:
            lib.check(code == 0, f"{what}: exit code {code}; stderr:\n{run.stderr()}")
        life.check_table(out, self.reference, what)
        lines = (out / "timings.csv").read_text(errors="replace").splitlines()
        lib.check_equal(lines[0], "cell,phase,rank,seconds,peak_bytes", f"{what}: timings.csv")
        wrong = [line for line in lines if line.count(",") != 4]
        lib.check(not wrong, f"{what}: lines of timings.csv: {wrong}")
        shutil.rmtree(out)

    def everything_at_once(self):
        sealed, plain = self.files()
        everything = [path.relative_to(self.left) for path in self.left.rglob("*.h5")]
        for way in truncate, flip, empty:
            out = self.damaged(
                *[(way, name) for name in everything],
                *[(way, name) for name in plain if name != "study.yaml" and (way, name) != (flip, "lock")],
            )
            self.go_on(out, f"{way.__name__} everything")

    def results_are_a_folder(self):
        """A name taken by something else is an error, not a loss."""
        out = self.damaged()
        cell = next(out.glob("cells/*.h5"))
        cell.unlink()
        cell.mkdir()
        run = life.Run(self.study, out)
        lib.check_equal(run.wait(), 1, "a folder in place of a cell: exit code")
        lib.check(run.complaints(), "a folder in place of a cell: no complaint")
        cell.rmdir()
        self.go_on(out, "after a folder in place of a cell")


print(f"NTKLENS_TEST_SEED={SEED}")
damage = Damage()
for file in damage.files()[0]:
    for how in WAYS + [swap]:
        lib.add(f"{how.__name__} {file.parent}/", damage.sealed, how, file)
for file in PLAIN:
    for how in (truncate, flip, empty, half_rename) if file != "lock" else (truncate, flip, empty):
        lib.add(f"{how.__name__} {file}", damage.plain, how, file)
lib.add("both checkpoints of a cell", damage.both_checkpoints)
lib.add("everything at once", damage.everything_at_once)
lib.add("a folder in place of a cell", damage.results_are_a_folder)
lib.main(
    quick=["flip cells/", "truncate checkpoints/", "flip results.csv", "everything at once"],
)

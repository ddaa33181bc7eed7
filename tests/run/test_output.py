#!/usr/bin/env python3
"""Standard output that fails, readers that leave, streams that are closed; and ntklens-plot, which is run
from known places only."""

import os
import shutil
import subprocess

import lib

STUDY = """
study: printed
data: {source: glyphs, train_sizes: [40], test_size: 60, probe_size: 20}
model: {widths: [8]}
training: {max_steps: 20}
measure: {steps_per_decade: 1, solver: lapack}
"""


class Printed:
    def __init__(self):
        self.base = lib.scratch("printed")
        self.out = self.base / "out"
        lib.run_study(STUDY, self.out)
        self.study = self.base / "out.yaml"

    def commands(self):
        yield from ([], ["--help"], ["--version"], ["keys"], ["keys", "--columns"], ["run", "--help"])
        yield from (["plan", self.study], ["status", self.out], ["status", self.out, "--json"])
        yield ["merge", "-o", self.base / "merged", self.out]
        yield ["report", self.out, "--no-figures"]


def start(arguments, **how):
    return subprocess.run(
        lib.command(arguments), env=lib.environment(), stderr=subprocess.PIPE, text=True,
        timeout=lib.TIMEOUT, **how
    )


@lib.case
def a_full_disk_behind_standard_output_is_told():
    if not os.path.exists("/dev/full"):
        raise lib.Skip("there is no /dev/full")
    for arguments in Printed().commands():
        with open("/dev/full", "w") as full:
            result = start(arguments, stdout=full)
        what = " ".join(map(str, arguments))
        lib.check_equal(result.returncode, 2 if not arguments else 1, f"exit code of ntklens {what}")
        lines = result.stderr.splitlines()
        told = [line for line in lines if line.startswith("ntklens: standard output cannot be written")]
        lib.check_equal(len(told), 1, f"ntklens {what}: lines about it in {lines}")


@lib.case
def a_reader_may_leave():
    for arguments in Printed().commands():
        reading, writing = os.pipe()
        os.close(reading)
        result = start(arguments, stdout=writing)
        os.close(writing)
        what = " ".join(map(str, arguments))
        lib.check_equal(result.returncode, 2 if not arguments else 0, f"exit code of ntklens {what}")
        lib.check_equal(result.stderr, "", f"stderr of ntklens {what}")


@lib.case
def no_file_takes_the_place_of_a_closed_stream():
    """A warning would be written into it."""
    printed = Printed()
    out = printed.base / "closed"
    line = f"exec {' '.join(map(str, lib.command(['run', printed.study, '-o', out])))} <&- >&- 2>&-"
    code = subprocess.run(["bash", "-c", line], env=lib.environment(), timeout=lib.TIMEOUT).returncode
    lib.check_equal(code, 0, "exit code")
    for name in "log.txt", "timings.csv", "results.csv":
        text = (out / name).read_text()
        lib.check("cells finished" not in text and "%" not in text, f"{name}:\n{text}")
    lib.check_same_bytes(lib.table_text(out), lib.table_text(printed.out), "results.csv")


@lib.case
def figures_are_drawn_by_a_known_program_only():
    printed = Printed()
    mark = printed.base / "mark"
    program = printed.base / "a" / "b" / "ntklens"
    program.parent.mkdir(parents=True)
    shutil.copy(lib.program(), program)
    planted = []
    for folder in program.parent, program.parent / "tools", printed.base / "tools", printed.base:
        folder.mkdir(exist_ok=True)
        planted.append(folder / "ntklens-plot")
        planted[-1].write_text(f"#!/bin/sh\ntouch {mark}\n")
        planted[-1].chmod(0o755)
    line = [program, "report", printed.out]
    path = f"{planted[0].parent}:{os.environ['PATH']}"
    env = lib.environment(NTKLENS_PLOT=None, PATH=path)
    subprocess.run(line, env=env, capture_output=True, timeout=lib.TIMEOUT, check=True)
    lib.check(not mark.exists(), "a program above ntklens, or on PATH, was run")
    env = lib.environment(NTKLENS_PLOT=planted[0])
    subprocess.run(line, env=env, capture_output=True, timeout=lib.TIMEOUT, check=True)
    lib.check(mark.exists(), "NTKLENS_PLOT was not run")
    mark.unlink()
    lib.run(["report", printed.out], env=env)
    lib.check(mark.exists(), "NTKLENS_PLOT was not run by the program in its own place")


lib.main()

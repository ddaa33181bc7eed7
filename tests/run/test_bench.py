#!/usr/bin/env python3
"""What tools/bench starts: with --quick it runs every benchmark and leaves a table and figures, here of
the build under test."""

import json
import os
import subprocess
import sys

import lib

for _name in ("numpy", "torch"):
    lib.need(_name)

ROWS = {"gram", "eigen", "shared", "train"}


@lib.case
def a_quick_turn_of_everything_without_data():
    output = lib.scratch("bench") / "figures.json"
    line = [sys.executable, "-B", lib.ROOT / "tests" / "bench" / "bench.py", "--quick", "--output", output]
    line += ["--program", lib.program(), "--only", "gram,eigen,shared,train,study,scaling"]
    told = subprocess.run(
        [str(word) for word in line],
        env=lib.environment(NTKLENS_DATA=None),
        capture_output=True,
        text=True,
        timeout=lib.TIMEOUT,
    )
    lib.check_equal(told.returncode, 0, f"exit code; stderr:\n{told.stderr}\n")
    figures = json.loads(output.read_text())
    rows = figures["rows"]
    lib.check_equal({row["benchmark"] for row in rows}, ROWS, "benchmarks without MNIST")
    lib.check_equal({entry["what"] for entry in figures["left_out"]}, {"study", "scaling"}, "left out")
    for row in rows:
        numbers = [row["ours"], *row["peers"].values()]
        lib.check(all(number > 0 for number in numbers), f"{row['case']}: {numbers}")
        lib.check_close(row["times_faster"], min(row["peers"].values()) / row["ours"], 1e-9, row["case"])
    lines = [text for text in told.stdout.splitlines() if text.startswith("|")]
    lib.check_equal(len(lines), len(rows) + 2, "lines of the table")


@lib.case
def peers_that_are_missing_are_named():
    folder = lib.scratch("without")
    (folder / "torch.py").write_text("raise ImportError\n")  # found before the real one
    output = folder / "figures.json"
    line = [sys.executable, "-B", lib.ROOT / "tests" / "bench" / "bench.py", "--quick", "--only", "train"]
    line += ["--program", lib.program(), "--output", output]
    environment = lib.environment(PYTHONPATH=folder)
    told = subprocess.run([str(word) for word in line], env=environment, capture_output=True, text=True)
    lib.check_equal(told.returncode, 0, f"exit code; stderr:\n{told.stderr}\n")
    lib.check("left out: peer torch: not installed" in told.stderr, told.stderr)
    figures = json.loads(output.read_text())
    lib.check(all(row["peers"] == {} and row["ours"] > 0 for row in figures["rows"]), str(figures["rows"]))


lib.main()

#!/usr/bin/env python3
"""Checkpoints of a wide cell cost less than 2 % of the time at the default interval."""

import time

import life
import lib

WIDTH = 2048
STUDY = f"""\
study: wide
data: {{source: glyphs, train_sizes: [1000], test_size: 100, probe_size: 20}}
model: {{widths: [{WIDTH}], depths: [2]}}
training: {{optimizer: adam, learning_rate: 0.0001, max_steps: 100000}}
seeds: [0]
measure: {{kernels: [traced], steps_per_decade: 0}}
"""
LIMIT = "00:03:10"  # three checkpoints at the default interval, where the disk is quick enough


@lib.case
def writing():
    folder = lib.scratch("wide")
    out = folder / "out"
    run = life.Run(lib.write_study(folder, STUDY), out, "--max-time", LIMIT, ranks=1)
    writes = set()
    while run.running():
        try:
            writes |= {path.stat().st_mtime_ns for path in out.glob("checkpoints/*.h5")}
        except FileNotFoundError:
            pass  # between its two renames
        time.sleep(0.1)
    run.finish(75)
    last = next(out.glob("checkpoints/*.h5"))
    writes.add(last.stat().st_mtime_ns)
    seconds = {}
    for line in (out / "timings.csv").read_text().splitlines()[1:]:
        _, phase, _, took, _ = line.split(",")
        seconds[phase] = seconds.get(phase, 0.0) + float(took)
    one = seconds["write"] / len(writes)
    # The one at the stop comes on top: it is owed to the stop, not to the interval.
    part = one * (len(writes) - 1) / run.seconds()
    print(f"  {len(writes)} of {last.stat().st_size} bytes, {one:.2f} s each: {part:.2%} of the time")
    lib.check(len(writes) >= 2, "no checkpoint before the stop")
    lib.check(part < 0.02, f"writing takes {part:.2%} of the time, expected under 2 %")


lib.main()

#!/usr/bin/env python3
"""Checkpoints of a wide cell cost less than 2 % of the time at the default interval."""

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
LIMIT = "00:02:30"  # two checkpoints at the default interval, and one at the stop


@lib.case
def writing():
    out = lib.scratch("wide") / "out"
    lib.run_study(STUDY, out, "--max-time", LIMIT, ranks=1, expect=75)
    seconds = {}
    for line in (out / "timings.csv").read_text().splitlines()[1:]:
        _, phase, _, took, _ = line.split(",")
        seconds[phase] = seconds.get(phase, 0.0) + float(took)
    part = seconds["write"] / sum(seconds.values())
    size = next(out.glob("checkpoints/*.h5")).stat().st_size
    print(f"  {seconds['write']:.2f} s of {sum(seconds.values()):.1f} s: {part:.2%}; {size} bytes")
    lib.check(part < 0.02, f"writing takes {part:.2%} of the time, expected under 2 %")


lib.main()

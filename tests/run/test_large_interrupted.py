#!/usr/bin/env python3
"""Kernels of large subsets, killed and stopped in the middle, end with the table of a run left in peace.

    test_large_interrupted.py [quick | KILLS]

A run is killed, or stopped, once it has left a new file in checkpoints/kernels; how long after that is
drawn. NTKLENS_TEST_SEED repeats a sequence.
"""

import os
import random
import shutil
import signal
import sys
import time

import life
import lib

KILLS = 2 if lib.QUICK else int(sys.argv[1]) if len(sys.argv) > 1 else 8
SEED = int(os.environ.get("NTKLENS_TEST_SEED", random.randrange(10**6)))
STUDY = """
study: interrupted
data: {{source: glyphs, train_sizes: [{probe}], probe_from: train, probe_size: {probe}, test_size: 100}}
model: {{widths: [{width}], depths: [2], activation: tanh}}
training: {{loss: mse, optimizer: sgd, learning_rate: 0.05, max_steps: 4}}
seeds: [0]
measure: {{kernels: [{kernel}], steps_per_decade: 0, method: {method}, team_size: all}}
checkpoint: {{every: 1e-3}}
"""
OF = {"dual": {"method": "dual", "kernel": "full", "probe": 600, "width": 2},
      "quadrature": {"method": "quadrature", "kernel": "full", "probe": 600, "width": 12},
      "stored": {"method": "quadrature", "kernel": "traced", "probe": 2000, "width": 2}}  # fmt: skip


def kept(out):
    return {p for p in out.glob("checkpoints/kernels/*") if p.suffix != ".tmp"}


def interrupt(study, out, number, rng):
    """Signal all ranks once a file more is there than before; False where the run was quicker."""
    before = {(path.name, path.stat().st_mtime_ns) for path in kept(out)}
    run = life.Run(study, out)
    pids = {}

    def there_is_more():
        for path in kept(out):
            try:
                if (path.name, path.stat().st_mtime_ns) not in before:
                    return True
            except FileNotFoundError:
                pass
        return False

    while run.running() and not there_is_more():
        pids = pids or run.ranks()
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.05))
    alive = run.running()
    run.send(number, list(pids.values())[: None if number == signal.SIGKILL else 1])
    code = run.wait()
    wanted = (75,) if number == signal.SIGUSR1 else (137, 143, 9)
    lib.check(code in (0, *wanted) or code < 0 or not alive, f"exit code {code}; {run.stderr()}")
    return code != 0


def resumed(out):
    return life.events(out, "kernel_resumed")


def interrupted_again_and_again(method):
    rng = random.Random(f"{SEED} {method}")
    folder = lib.scratch("interrupted")
    study = lib.write_study(folder, STUDY.format(**OF[method]))
    life.run(study, folder / "whole")
    reference = life.table_bytes(folder / "whole")
    done = found = 0
    for turn in range(20 * KILLS):
        out = folder / f"out-{turn}"
        for number in (signal.SIGKILL, signal.SIGUSR1) if turn % 2 == 0 else (signal.SIGUSR1, signal.SIGKILL):
            done += interrupt(study, out, number, rng)
        if turn == 0:
            if method != "dual" or not lib.QUICK:
                on_other_ranks(method, study, out)
            if method == "dual" or not lib.QUICK:
                damaged(study, out, reference)
        life.run(study, out)
        life.check_table(out, reference, f"{method}, interrupted")
        lib.check(not (out / "checkpoints/kernels").exists(), "files of kernels in work are left")
        found += len(resumed(out))
        shutil.rmtree(out)
        if done >= KILLS and found > 0:
            break
    lib.check(done >= KILLS, f"{done} interruptions only")
    lib.check(found > 0, "nothing of what was kept was found")
    print(f"  {method}: {done} interruptions, {found} times something was found")


def on_other_ranks(method, study, out):
    """From the beginning, and it is said."""
    if not kept(out):
        return
    copy = out.with_name("fewer")
    shutil.copytree(out, copy)
    life.run(study, copy, ranks=1)
    lib.check(not resumed(copy) or len(resumed(copy)) == len(resumed(out)), "went on on other ranks")
    lib.check(life.events(copy, "kernel_dropped"), "nothing is said of what was kept by other ranks")
    table = lib.table(copy)
    wanted = lib.table(out.with_name("whole"))
    most = 1e-10 if method == "dual" else 1e-4
    for row, other in zip(table, wanted):
        lib.check_close(row["entropy"], float(other["entropy"]), most, "entropy on other ranks")


def damaged(study, out, reference):
    """A file with a flipped bit is found out."""
    if not kept(out):
        return
    copy = out.with_name("damaged")
    shutil.copytree(out, copy)
    for path in kept(copy):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        path.write_bytes(content)
    life.run(study, copy)
    life.check_table(copy, reference, "damaged")
    lib.check(life.events(copy, "kernel_dropped"), "nothing is said of damaged files")


print(f"NTKLENS_TEST_SEED={SEED}")
lib.add("dual", interrupted_again_and_again, "dual")
lib.add("quadrature", interrupted_again_and_again, "quadrature")
lib.add("stored", interrupted_again_and_again, "stored")
lib.main(quick=["dual", "quadrature", "stored"])

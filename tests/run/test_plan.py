#!/usr/bin/env python3
"""ntklens plan: says what a study needs, writes nothing; with --long, how near that comes."""

import json
import os
import sys

import lib

STUDY = """
study: tiny
data: {source: glyphs, train_sizes: [64, 128], test_size: 100, probe_size: 12}
model: {widths: [8, 16, 32], depths: [1]}
training: {batch_size: 16, max_steps: 100}
seeds: [0, 1]
measure: {kernels: [traced, full], steps_per_decade: 2}
"""

# Different in shape: many small cells; wide networks, few kernels; large kernels, little training.
SHAPES = {
    "small-cells": """
        study: small-cells
        data: {source: glyphs, train_sizes: [1000], test_size: 1000, probe_size: 60}
        model: {widths: [16, 32, 64], depths: [2]}
        training: {batch_size: 32, max_steps: 5000}
        seeds: [0, 1]
        measure: {kernels: [traced], steps_per_decade: 2}
        """,
    "wide": """
        study: wide
        data: {source: glyphs, train_sizes: [500], test_size: 500, probe_size: 100}
        model: {widths: [512, 1024], depths: [3]}
        training: {batch_size: 64, max_steps: 300, optimizer: adam, learning_rate: 0.001}
        seeds: [0]
        measure: {kernels: [traced], steps_per_decade: 1}
        output: {snapshots: measured}
        """,
    "large-kernels": """
        study: large-kernels
        data: {source: glyphs, train_sizes: [200], test_size: 200, probe_size: 150}
        model: {widths: [32, 128], depths: [2]}
        training: {batch_size: 32, max_steps: 100}
        seeds: [0]
        measure: {kernels: [traced, full], steps_per_decade: 1}
        """,
    "cnn-training": """
        study: cnn-training
        data: {source: glyphs, train_sizes: [500], test_size: 300, probe_size: 20}
        model: {kind: cnn, widths: [4, 8, 16], depths: [1], stages: [1, 1]}
        training: {batch_size: 32, max_steps: 600, learning_rate: 0.05}
        seeds: [0, 1]
        measure: {kernels: [traced], steps_per_decade: 2}
        """,
    "cnn-kernels": """
        study: cnn-kernels
        data: {source: glyphs, train_sizes: [200], test_size: 200, probe_size: 100}
        model: {kind: cnn, widths: [8, 24], depths: [1], stages: [1, 1, 1], head: flatten}
        training: {batch_size: 32, max_steps: 30, learning_rate: 0.05}
        seeds: [0]
        measure: {kernels: [traced, full], steps_per_decade: 1}
        """,
    "resnet": """
        study: resnet
        data: {source: glyphs, train_sizes: [300], test_size: 200, probe_size: 40}
        model: {kind: resnet, widths: [4, 8], depths: [1], stages: [1, 1], normalization: layer-norm}
        training: {batch_size: 32, max_steps: 200, learning_rate: 0.05, optimizer: momentum}
        seeds: [0]
        measure: {kernels: [traced, full], steps_per_decade: 2}
        """,
}


def plan(study, *options):
    return json.loads(lib.run(["plan", study, "--json", *options]).stdout)


def tiny():
    return lib.write_study(lib.scratch("plan"), STUDY)


@lib.case
def counts_follow_from_the_grid():
    study = tiny()
    said = plan(study)
    lib.check_equal(said["cells"], 12, "cells")
    lib.check_equal(said["steps"], 1200, "steps")
    # init, 1, 3, 10, 32, 100 (also final), best
    lib.check_equal(said["states"], 12 * 7, "states")
    lib.check_equal([k["n"] for k in said["kernels"]], [12, 120], "orders")
    lib.check(all(k["team"] == 1 for k in said["kernels"]), "small kernels are private")
    lib.check_equal(said["files"], 16, "files")
    lib.check(said["wall_seconds"] > 0 and said["memory"]["per_rank"] > 2e7, f"no needs: {said}")
    lib.check_equal(os.listdir(study.parent), ["study.yaml"], "files beside the study")


@lib.case
def more_ranks_take_less_time_until_cells_run_out():
    study = tiny()
    free = lib.scratch("timings") / "out"
    lib.run(["run", study, "-o", free, "-q"])
    times = [
        plan(study, "--timings", free / "timings.csv", "--ranks", p, *ALONE)["wall_seconds"]
        for p in (1, 2, 12, 24)
    ]
    lib.check(times[0] > times[1] > times[2], f"time does not fall: {times}")
    lib.check_equal(times[2], times[3], "time on more ranks than cells")


# Cells keep their kernels to themselves, however long these take on a busy machine.
ALONE = ["--set", "output.kernels=true"]

# One cell, five states, a kernel of order 49,000: too large for the memory of a rank.
LARGE = """
study: large
data: {source: glyphs, train_sizes: [64], test_size: 100, probe_size: 4900}
model: {widths: [8], depths: [1]}
training: {batch_size: 16, max_steps: 100}
measure: {kernels: [full], steps_per_decade: 1, method: primal}
"""


class Large:
    """Plans of that study, by times of a run: the same ones for all of them."""

    def __init__(self):
        folder = lib.scratch("large")
        self.study = lib.write_study(folder, LARGE)
        self.timings = folder / "out" / "timings.csv"
        small = ["--set", "data.probe_size=40"]
        lib.run(["run", self.study, "-o", folder / "out", "-q", *small])

    def plan(self, ranks, team):
        return plan(self.study, "--timings", self.timings, "--memory-per-rank", "16G",
                    "--ranks", ranks, "--set", f"measure.team_size={team}")  # fmt: skip


@lib.case
def ranks_do_not_shorten_what_one_of_them_does():
    large = Large()
    wall = {ranks: large.plan(ranks, "all")["wall_seconds"] for ranks in (2, 4, 256, 1024)}
    lib.check(wall[4] < 0.6 * wall[2], f"a team of 4 is hardly quicker than one of 2: {wall}")
    lib.check(wall[1024] > 0.6 * wall[256], f"sweeps and bisection became quicker: {wall}")
    lib.check(wall[1024] < wall[256], f"more ranks take longer: {wall}")


@lib.case
def states_are_measured_side_by_side_and_idle_ranks_are_told():
    large = Large()
    one, all_states = large.plan(2, 2), large.plan(20, 2)
    states = one["states"]
    ratio = all_states["wall_seconds"] / one["wall_seconds"]
    lib.check(ratio < 1.5 / states, f"{states} states by 10 teams take {ratio:.2f} of one team's")
    lib.check_equal(all_states["idle_ranks"], 20 - 2 * states, "idle of 20 ranks")
    lib.check_equal(large.plan(8, 7)["idle_ranks"], 2, "idle of 8 ranks: a grid of 2 x 3")
    lib.check_equal(plan(tiny(), "--ranks", 12, *ALONE)["idle_ranks"], 0, "idle of 12 ranks")
    text = lib.run(["plan", tiny(), "--ranks", 20, "--set", "model.widths=[8]", *ALONE]).stdout
    lib.check("idle          16 of 20 ranks" in text and "4 cells" in text, text)
    text = lib.run(["plan", tiny(), "--ranks", 1, "--set", "model.widths=[8]", "--set", "seeds=[0]",
                    "--set", "data.train_sizes=[64]"]).stdout  # fmt: skip
    lib.check("tiny: 1 cell (" in text and "1 cells" not in text and "  idle" not in text, text)


@lib.case
def memory_decides_about_cores_that_share_steps():
    """Scratch of others counts, and is given up where there is no room for it."""
    study = tiny()
    wide = ["--set", "model={kind: cnn, widths: [96], depths: [1]}", "--set", "training.batch_size=128", "--set", "training.optimizer=adam"]
    cores = lambda count, *options: plan(study, "--ranks", 1, "--ranks-per-node", count, *wide, *options)["memory"]["per_rank"]
    alone = cores(64, "--set", "training.share_cores=false")
    needs = [cores(count) - alone for count in (1, 2, 8, 64)]
    noise = 2**21  # what a process holds before it begins
    lib.check(abs(needs[0]) < noise, f"bytes of others that one core has: {needs[0]}")
    lib.check(noise < needs[1] < needs[2] < needs[3], f"bytes of others do not grow with their number: {needs}")
    limited = cores(64, "--set", f"measure.memory_per_rank={int(0.7 * (alone + needs[3]))}") - alone
    lib.check(needs[1] < limited < 0.9 * needs[3], f"with less room: {limited} of {needs[3]}")
    none = cores(64, "--set", "measure.memory_per_rank=66MiB") - alone  # no more than its kernel takes
    lib.check(abs(none) < noise, f"without room: {none}")


@lib.case
def memory_decides_about_ranks():
    study = tiny()
    # full: 10^4 x 10^4, 800 MB; auto would take its dual, which fits on one
    big = ["--set", "data.probe_size=1000", "--set", "measure.method=primal"]
    alone = plan(study, "--memory-per-rank", "4G", *big)
    shared = plan(study, "--memory-per-rank", "400M", *big)
    lib.check_equal(alone["least_ranks"], 1, "ranks of 4G")
    lib.check(shared["least_ranks"] > 1, f"ranks of 400M: {shared['least_ranks']}")
    lib.check_equal(shared["ranks"], shared["least_ranks"], "ranks taken")
    lib.check(shared["memory"]["per_rank"] <= 400 * 2**20, "does not fit")
    lib.check_equal(shared["kernels"][1]["solver"], "twostage", "solver")


@lib.case
def convolutional_networks_are_told_one_by_one():
    """What a convolution takes, counted here; times and memory per network; units in words."""
    study = lib.write_study(lib.scratch("conv"), """
study: conv
data: {source: glyphs, train_sizes: [64], test_size: 100, probe_size: 12}
model: {kind: [mlp, cnn], widths: [4, 8], depths: [1], stages: [1, 1]}
training: {max_steps: 30, batch_size: 16}
measure: {kernels: [traced, full], steps_per_decade: 2}
seeds: [0, 1]
""")
    found = {row["network"]: row for row in plan(study)["networks"]}
    for c in (4, 8):
        row = found[f"cnn of {c} channels, depth 1"]
        weights = 9 * c + 9 * c * c + 10 * c
        forward = 2 * (784 * 9 * c + 196 * 9 * c * c + 10 * c)
        lib.check_equal(row["parameters"], weights + 2 * c + 10, "parameters")
        lib.check_equal(row["step_flops"], 3 * 16 * forward, "operations of a step")
        lib.check_equal((row["cells"], row["steps"], row["parts"]), (2, 60, 1), "cells, steps and parts")
        lib.check(row["state_flops"] > 2 * 12 * 11 * forward, f"fewer than the passes: {row}")
        lib.check(0 < row["train_seconds"] < row["seconds"], f"seconds: {row}")
        lib.check_equal(found[f"width {c}, depth 1, kind mlp"]["parts"], 0, "parts of an mlp")
    lib.check(found["cnn of 8 channels, depth 1"]["seconds"] > found["width 8, depth 1, kind mlp"]["seconds"], "order")
    text = lib.run(["plan", study]).stdout
    for words in ("cnn of 4 channels, depth 1", "flops a step", "parts"):
        lib.check(words in text, f"{words!r} is not in:\n{text}")
    lib.check("core hours" not in text, f"a study of seconds is warned of:\n{text}")
    dear = lib.run(["plan", study, "--set", "training.max_steps=1000000000", "--set", "model.kind=cnn"]).stdout
    lib.check("warning: convolutional networks take" in dear and "square of the channels" in dear, dear)
    mlp = lib.run(["plan", study, "--set", "model.kind=mlp"]).stdout
    lib.check("flops a step" not in mlp, f"networks of an mlp one by one:\n{mlp}")


@lib.case
def images_that_no_network_fits_are_told_at_once():
    study = lib.write_study(lib.scratch("small"), """
study: small
data: {source: glyphs, train_sizes: [64], test_size: 100, probe_size: 12}
model: {kind: cnn, widths: [4], depths: [1], stages: [1, 1, 1, 1, 1, 1]}
training: {max_steps: 30, batch_size: 16}
""")
    out = lib.scratch("refused") / "out"
    for command in (["plan", study], ["run", study, "-o", out]):
        line = lib.only_complaint(lib.run(command, expect=2))
        lib.check("model.stages: 5 pools between 6 stages would halve images of 28 x 28 to nothing" in line, line)
    line = lib.only_complaint(lib.run(["run", study, "-o", out], ranks=2, expect=2), ranks=2)
    lib.check("halve images" in line, line)
    lib.check(not out.exists(), f"{out} was made")


@lib.case
def batch_header_is_ready():
    name = ["--set", "study=a study (1)"]
    text = lib.run(["plan", tiny(), "--ranks", 3, *name]).stdout
    for line in ("#SBATCH --job-name=a_study__1_\n", "#SBATCH --ntasks=3", "#SBATCH --mem-per-cpu=",
                 "#SBATCH --time=00:05:00"):  # fmt: skip
        lib.check(line in text, f"{line} is not in\n{text}")


@lib.case
def works_under_a_launcher_once():
    out = lib.run(["plan", tiny(), "--json"], ranks=2).stdout
    lib.check_equal(json.loads(out)["ranks"], 1, "ranks")


@lib.case
def complaints_name_what_was_expected():
    study = tiny()
    for options, word in (
        (["--ranks", "0"], "--ranks"),
        (["--memory-per-rank", "much"], "--memory-per-rank"),
        (["--set", "model.width=3"], "model.width"),
    ):
        told = lib.only_complaint(lib.run(["plan", study, *options], expect=2))
        lib.check(word in told, told)
    lib.run(["plan", study.parent / "absent.yaml"], expect=2)
    told = lib.only_complaint(lib.run(["plan", study, "--timings", study], expect=3))
    lib.check("timings.csv" in told, told)


STARTS = """
study: starts
data: {source: glyphs, train_sizes: [64, 128], test_size: 100, probe_size: 12}
model: {widths: [8, 12, 16], depths: [1, 2], parametrization: [standard, mup]}
training: {loss: LOSS, learning_rate: [0.01, 20], batch_size: 16, max_steps: 1}
seeds: [3, 4]
measure: {kernels: [full], steps_per_decade: 1}
"""


@lib.case
def rates_above_stability_are_told_as_the_table_has_them():
    for loss in ("mse", "cross-entropy"):
        folder = lib.scratch(loss)
        study = lib.write_study(folder, STARTS.replace("LOSS", loss))
        starts = plan(study)["stability"]
        lib.check_equal(len(starts), 2 * 2 * 2 * 2, "widths, depths, parametrizations and rates")
        lib.run(["run", study, "-o", folder / "out", "-q"])
        rows = {row["cell"]: row for row in lib.select(lib.table(folder / "out"), tag="init")
                if row["kernel"] == "full-rate-weighted"}  # fmt: skip
        for start in starts:
            row = rows[start["cell"]]
            lib.check(row["width"] in ("8", "16"), f"width {row['width']} is neither end")
            for column in ("learning_rate", "stability_rate", "rate_ratio"):
                lib.check_close(start[column], float(row[column]), 1e-9, f"{column} of {start}")
        text = lib.run(["plan", study]).stdout
        lib.check_equal(text.count(": learning rate 20 is "), 8, f"warnings in\n{text}")
        lib.check("learning rate 0.01" not in text, f"a stable rate is warned of:\n{text}")
        lib.check("width 8, depth 2, parametrization mup: learning rate 20" in text, text)
        least = min(start["stability_rate"] for start in starts)
        lib.check(f"below {least:.2g}, set by" in text, text)
        adam = ["--set", "training.optimizer=adam"]
        lib.check_equal(plan(study, *adam)["stability"], [], "rates of adam")


def idle():
    """Is this machine ours?  Wall time means nothing on a busy one."""
    return os.getloadavg()[0] < 0.5 * (os.cpu_count() or 1)


def compare(name):
    folder = lib.scratch(name)
    study = lib.write_study(folder, SHAPES[name])
    quiet = idle()
    said = plan(study)
    before = os.times()
    lib.run(["run", study, "-o", folder / "out", "-q"])
    after = os.times()
    end = lib.log_events(folder / "out", "end")[0]
    wall = float(end.split("seconds=")[1].split()[0]) + 0.5
    # Time that the processor worked is what is left to compare where others work as well.
    worked = after[2] + after[3] - before[2] - before[3]
    took = wall if quiet else worked
    lines = (folder / "out" / "timings.csv").read_text().splitlines()[1:]
    peak = max(int(line.split(",")[4]) for line in lines)
    print(
        f"| {name} | {said['wall_seconds']:.1f} s | {took:.1f} s {'wall' if quiet else 'CPU'} | "
        f"{said['memory']['per_rank'] / 2**20:.0f} MiB | {peak / 2**20:.0f} MiB |"
    )
    lib.check(abs(said["wall_seconds"] / took - 1) <= 0.4, "time is off by more than 40 %")
    lib.check(abs(said["memory"]["per_rank"] / peak - 1) <= 0.2, "memory is off by over 20 %")


if "--long" in sys.argv:
    lib._cases.clear()
    for shape in SHAPES:
        lib.add(shape, compare, shape)

lib.main()

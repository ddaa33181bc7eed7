#!/usr/bin/env python3
"""ntklens status: reads any results folder, changes none."""

import json
import os
import pathlib
import signal
import struct
import subprocess
import time
import zlib

import lib

STUDY = """
study: tiny
data: {source: glyphs, train_sizes: [64, 128], test_size: 100, probe_size: 12}
model: {widths: [8, 16], depths: [1]}
training: {batch_size: 16, max_steps: 60}
seeds: [0]
measure: {kernels: [traced], steps_per_decade: 2}
"""


def status(folder):
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    said = json.loads(lib.run(["status", folder, "--json"]).stdout)
    lib.run(["status", folder])
    after = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    if not said["run"]["alive"]:
        lib.check(before == after, "status changed the folder")
    return said


def finished():
    out = lib.scratch("status") / "out"
    lib.run_study(STUDY, out)
    return out


@lib.case
def finished_study():
    out = finished()
    said = status(out)
    lib.check_equal(said["state"], "finished", "state")
    lib.check_equal((said["done"], said["left"]), (4, 0), "done, left")
    lib.check_equal(said["rows"], len(lib.table(out)), "rows")
    lib.check_equal(said["rest_seconds"], 0, "rest")
    lib.check_equal(
        [(g["width"], g["n_train"], g["done"]) for g in said["groups"]],
        [(8, 64, 1), (8, 128, 1), (16, 64, 1), (16, 128, 1)],
        "groups",
    )


@lib.case
def damaged_and_missing_files():
    out = finished()
    cells = sorted((out / "cells").iterdir())
    cells[0].write_bytes(b"")
    cells[1].unlink()
    said = status(out)
    lib.check_equal((said["done"], said["damaged"], said["left"]), (2, 1, 1), "done, damaged, left")
    lib.check(said["rest_seconds"] > 0, "no rest is expected")
    for name in ("log.txt", "timings.csv", "results.csv", "lock"):
        (out / name).unlink(missing_ok=True)
    said = status(out)
    lib.check_equal((said["rows"], said["rest_seconds"]), (None, None), "rows, rest")
    (out / "timings.csv").write_bytes(os.urandom(100))
    (out / "log.txt").write_bytes(os.urandom(1000))
    status(out)


@lib.case
def files_of_another_format_count_as_left():
    h5py = lib.need("h5py")
    out = finished()
    cell = sorted((out / "cells").iterdir())[0]
    cell.write_bytes(cell.read_bytes()[:-24])  # without the trailer
    with h5py.File(cell, "r+") as file:
        file.attrs.modify("format", file.attrs["format"] - 1)
    content = cell.read_bytes()
    end = struct.pack("<8sQII", b"NTKLENS1", len(content), zlib.crc32(content), 0)
    cell.write_bytes(content + end)
    said = status(out)
    lib.check_equal((said["done"], said["damaged"], said["left"]), (3, 0, 1), "done, damaged, left")
    lib.check_equal(said["outdated"], 1, "files of another format")
    told = lib.run(["status", out])
    lib.check("older format" in told.stderr, told.stderr)
    lib.check("another format" in told.stdout and "damaged:" not in told.stdout, told.stdout)


@lib.case
def the_process_of_another_start_is_not_alive():
    """On this host a run lives while its process does: not where the number was given anew."""
    out = finished()
    host, pid = os.uname().nodename, os.getpid()
    text = "host={}\npid={}\nstart={}\njob=-\ntime=2026-01-01T00:00:00Z\n"
    (out / "lock").write_text(text.format(host, pid, 1))
    lib.check(not status(out)["run"]["alive"], "alive")
    (out / "lock").write_text(text.format("elsewhere", pid, 1))
    lib.check(status(out)["run"]["alive"], "touched a moment ago elsewhere, and not alive")
    os.utime(out / "lock", (0, 0))
    lib.check(not status(out)["run"]["alive"], "touched long ago elsewhere, and alive")


@lib.case
def what_went_wrong_is_told():
    out = finished()
    cell = sorted((out / "cells").iterdir())[0]
    cell.write_bytes(cell.read_bytes()[:100])
    lib.run(["run", out / "study.yaml", "-o", out, "-q"])
    said = status(out)
    lib.check_equal([i["event"] for i in said["incidents"]], ["cell_redone"], "incidents")
    lib.check_equal(said["incidents"][0]["cell"], cell.stem, "cell")
    lib.check(said["incidents"][0]["reason"], "no reason")


@lib.case
def a_killed_process_that_nobody_has_waited_for_is_not_running():
    base = lib.scratch("zombie")
    study = lib.write_study(base, STUDY.replace("max_steps: 60", "max_steps: 1000000000"))
    line = lib.command(["run", study, "-o", base / "out", "-q"])
    run = subprocess.Popen(line, env=lib.environment(), stderr=subprocess.DEVNULL)
    try:
        limit = time.monotonic() + 60
        while not (base / "out" / "results.csv").exists() and run.poll() is None:
            lib.check(time.monotonic() < limit, "no results within 60 s")
            time.sleep(0.05)
        lib.check(status(base / "out")["run"]["alive"], "at work, and not alive")
    finally:
        os.kill(run.pid, signal.SIGKILL)
    while pathlib.Path(f"/proc/{run.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
        time.sleep(0.01)
    said = status(base / "out")
    run.wait()
    lib.check_equal(said["state"], "killed", "a dead process that its parent has not waited for")


@lib.case
def running_stopped_and_killed():
    out = lib.scratch("status") / "out"
    study = lib.write_study(out.parent, STUDY)
    steps = ["--set", "training.max_steps=10000000", "--set", "checkpoint.every=1"]
    line = lib.command(["run", study, "-o", out, "-q", *steps])
    for runs, ending, word in ((1, signal.SIGTERM, "stopped"), (2, signal.SIGKILL, "killed")):
        process = subprocess.Popen(line, env=lib.environment(), stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and not (
                list(out.glob("checkpoints/*.h5")) and len(lib.log_events(out, "start")) == runs
            ):
                time.sleep(0.2)
            said = status(out)
            lib.check_equal(said["state"], "running", "state")
            lib.check_equal(said["run"]["pid"], process.pid, "process")
        finally:
            process.send_signal(ending)
            process.wait(timeout=60)
        said = status(out)
        lib.check_equal(said["state"], word, "state")
        lib.check_equal((said["begun"], said["left"]), (1, 3), "begun, left")
        lib.check(said["checkpoint_age_seconds"] < 60, "age of the checkpoint")


@lib.case
def other_folders_are_refused():
    folder = lib.scratch("status")
    for path in (folder, folder / "absent"):
        told = lib.only_complaint(lib.run(["status", path], expect=2))
        lib.check(str(path) in told, told)
    lib.run(["status"], expect=2)
    lib.run(["status", folder, folder], expect=2)


lib.main()

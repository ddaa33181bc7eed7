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


def told(out, *lines):
    """What status says, as lines and as JSON, of the folder with these lines behind its log."""
    log = out / "log.txt"
    before = log.read_text()
    log.write_text(before + "".join(line + "\n" for line in lines))
    said = status(out)
    text = lib.run(["status", out]).stdout
    log.write_text(before)
    return text, said


@lib.case
def who_trains_on_shared_cores_is_told():
    out = finished()
    wide, narrow = (f"w{width}-d1-n64-s0-0123456789ab" for width in (2048, 1024))
    start = "start time=T ranks=4"
    lines = [
        start,
        f'cores time=T cell={narrow} rank=1 reason="2 cores"',
        f'cores time=T cell={wide} rank=0 reason="2 cores"',
        f'cores time=T cell={narrow} rank=1 reason="1 core"',
        f'cores time=T cell={wide} rank=0 reason="3 cores"',
    ]
    text, said = told(out, *lines)
    lib.check_equal(said["sharing"], [], "cores of a run that is over")
    (out / "lock").write_text("host=elsewhere\npid=1\nstart=1\njob=-\ntime=2026-01-01T00:00:00Z\n")
    text, said = told(out, *lines)
    lib.check_equal(said["sharing"], [{"cell": wide, "cores": 3}], "cores")
    lib.check(f"shared cores  {wide} trains on 3 cores" in text and narrow not in text, text)
    for line in (
        f'cores_returned time=T cell={wide} rank=0 reason="other cores worked for it, 2.1 s added up"',
        f"cell_done time=T cell={wide} rank=0 rows=6 finished=1 of=2",
        start,
        'end time=T status="success"',
    ):
        text, said = told(out, *lines, line)
        lib.check_equal(said["sharing"], [], f"cores after: {line}")
        lib.check("shared cores" not in text, text)
    many = [f'cores time=T cell={wide[:-2]}{k:02} rank={k} reason="2 cores"' for k in range(12)]
    text, said = told(out, start, *many)
    lib.check_equal((len(said["sharing"]), text.count("trains on 2 cores")), (12, 10), "networks")
    lib.check("and 2 more" in text, text)
    text, said = told(out, start, 'cores_not_shared time=T reason="training.share_cores is false"')
    lib.check_equal(said["not_shared"], "training.share_cores is false", "why not")
    lib.check("shared cores  none: training.share_cores is false" in text, text)


@lib.case
def what_ranks_waited_is_told():
    out = finished()
    said = status(out)
    end = lib.log_events(out, "end")[0]
    lib.check(f"idle_percent={said['idle_percent']:.2f}" in end, f"{said['idle_percent']}, {end}")
    lib.check_equal(said["lent_percent"], 0, "share that was lent")
    text, said = told(out, 'end time=T status="success" idle_percent=1.25 lent_percent=20.5')
    lib.check_equal((said["idle_percent"], said["lent_percent"]), (1.25, 20.5), "shares")
    lib.check("success; idle 1.2 % of rank time; 20.5 % lent to other ranks" in text, text)
    text, said = told(out, "start time=T ranks=4")
    lib.check_equal((said["idle_percent"], said["lent_percent"]), (None, None), "shares of a run that goes on")


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

#!/usr/bin/env python3
"""Names and files of strangers: nothing of them commands a terminal, nothing that does not end is read."""

import os
import shutil
import subprocess

import lib

NAME = "\\e]0;mine\\a\\nend status=\\x9b31m\\u202e"  # in YAML's double quotes
STUDY = f"""
    study: "{NAME}"
    data: {{source: glyphs, train_sizes: [20, 40, 60], test_size: 60, probe_size: 10}}
    model: {{widths: [4, 6, 8]}}
    training: {{max_steps: 10}}
    measure: {{steps_per_decade: 1, kernels: [traced]}}
"""


def check_plain(text, what):
    """Lines of visible characters and blanks, whatever the terminal."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", errors="surrogateescape")
    bad = [c for c in text if c not in "\n" and not c.isprintable()]
    lib.check(not bad, f"{what} holds {sorted(set(bad))!r}:\n{text!r}"[:2000])


def said(arguments, what, expect=0):
    result = lib.run(arguments, expect=expect)
    check_plain(result.stdout, f"stdout of {what}")
    check_plain(result.stderr, f"stderr of {what}")
    return result


@lib.case
def names_are_escaped_wherever_they_are_shown():
    out = lib.scratch("strangers") / "a\x1b[31mb\nc"
    study = lib.write_study(out.parent, STUDY)
    said(["plan", study], "plan")
    said(["run", study, "-o", out], "run")
    said(["status", out], "status")
    said(["status", out, "--json"], "status --json")
    said(["merge", "-o", out.parent / "d\x1b", out], "merge")
    shown = said(["report", out, "--no-figures"], "report")
    lib.check("\\x1b" in shown.stdout, "the report's title is not escaped but gone")
    check_plain((out / "log.txt").read_bytes(), "log.txt")
    check_plain((out / "report/summary.md").read_bytes(), "summary.md")
    check_plain((out / "report/fits.csv").read_bytes(), "fits.csv")
    said(["status", "no\x1b[2J\nfolder"], "status of nothing", expect=2)
    said(["run", study, "-o", out, "--set", "a\x1b\nb=1"], "an unknown key", expect=2)
    said(["run", study, "-o", out, "--set", "training.optimizer=a\x1b"], "a wrong value", expect=2)

    table = (out / "results.csv").read_text().replace(",relu,", ',"re\x1b[2J\nlu\x9b",')
    (out / "results.csv").write_text(table)
    said(["report", out, "--no-figures"], "report of an edited table")
    check_plain((out / "report/summary.md").read_bytes(), "its summary.md")
    (out / "results.csv").write_text(table.replace(",init,", ",\x1b]0;x\x07,"))
    said(["report", out, "--no-figures"], "report of edited tags")
    (out / "results.csv").write_text(table.replace("trace,", "tr\x1bace,"))
    said(["report", out, "--no-figures"], "report of an edited column", expect=None)

    (out / "lock").write_text("host=a\x1b[2J\npid=1\nstart=1\njob=\x07\ntime=\x9b\n")
    with open(out / "log.txt", "a") as log:
        log.write('cell_redone time=\x1b[2J cell=\x07 reason="\x9b31m"\nend status="\x1b[31m"\n')
    said(["status", out], "status with a forged lock and log")


@lib.case
def what_does_not_end_is_no_study():
    folder = lib.scratch("special")
    os.mkfifo(folder / "pipe")
    with open(folder / "huge", "wb") as file:
        file.truncate(3 << 30)
    (folder / "link").symlink_to("/dev/zero")
    for name in ("/dev/zero", "/dev/full", folder / "pipe", folder / "huge", folder / "link", folder):
        for arguments in (["plan", name], ["run", name, "-o", folder / "out"]):
            line = lib.only_complaint(lib.run(arguments, expect=2))
            lib.check(str(name) in line and "expected" in line, f"{arguments}: {line}")
    lib.check(not (folder / "out").exists(), "a folder was made for no study")


@lib.case
def what_the_shell_hands_over_is_a_study():
    text = b"data: {source: glyphs, train_sizes: [20], test_size: 20, probe_size: 10}\nmodel: {widths: [4]}\n"
    line = lib.command(["plan", "/dev/stdin", "--json"])
    result = subprocess.run(line, input=text, env=lib.environment(), capture_output=True, timeout=lib.TIMEOUT)
    lib.check_equal(result.returncode, 0, f"exit code; {result.stderr}")
    with open("/dev/zero", "rb") as zeros:
        result = subprocess.run(line, stdin=zeros, env=lib.environment(), capture_output=True, timeout=lib.TIMEOUT)
    lib.check_equal(result.returncode, 2, "exit code of a study without end")


@lib.case
def pipes_in_a_results_folder_hold_nobody_up():
    out = lib.scratch("pipes") / "out"
    study = lib.write_study(out.parent, STUDY)
    lib.run(["run", study, "-o", out, "--quiet"])
    reference = lib.table_text(out)
    cell = next((out / "cells").glob("*.h5"))
    cell.unlink()
    os.mkfifo(cell)
    (out / "timings.csv").unlink()
    os.mkfifo(out / "timings.csv")
    lib.run(["status", out])
    lib.run(["report", out, "--no-figures"])
    lib.run(["run", study, "-o", out, "--quiet"], expect=2)  # it did not write that one
    (out / "timings.csv").unlink()
    lib.run(["run", study, "-o", out, "--quiet"])
    lib.check_same_bytes(lib.table_text(out), reference, "results.csv")
    shutil.rmtree(out / "report")
    (out / "results.csv").unlink()
    os.mkfifo(out / "results.csv")
    lib.run(["report", out, "--no-figures"], expect=None)


lib.main()

#!/usr/bin/env python3
"""What people keep in a folder is theirs: nothing is overwritten, no link is followed, no name guessed."""

import os
import shutil

import lib

STUDY = """\
# my comment
study: own
data: {source: glyphs, train_sizes: [40], test_size: 60, probe_size: 20}
model: {widths: {from: 8, to: 16, factor: 2}}
training: {max_steps: 20}
measure: {steps_per_decade: 1, solver: lapack}
"""

_finished = None


def finished():
    """A copy of the results of a study."""
    global _finished
    if _finished is None:
        _finished = lib.scratch("own") / "out"
        lib.run_study(STUDY, _finished)
    out = lib.scratch("own") / "out"
    shutil.copytree(_finished, out)
    return out


def content(folder):
    """Everything below a folder: targets of links, bytes of files."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def refused(folder, name, *arguments):
    """Exit code 2, one line that names the file, and nothing has changed."""
    before = content(folder)
    told = lib.only_complaint(lib.run(arguments, expect=2))
    lib.check(str(name) in told, f"not named: {name} in {told}")
    lib.check_equal(sorted(content(folder)), sorted(before), "files behind the refusal")
    lib.check(content(folder) == before, "a file was changed")


# ---------------------------------------------------------------------------------------------
# study.yaml
# ---------------------------------------------------------------------------------------------


@lib.case
def a_study_is_not_replaced_by_the_resolved_one():
    folder = lib.scratch("study")
    study = lib.write_study(folder, STUDY)
    refused(folder, study, "run", study, "-o", folder)
    refused(folder, study, "run", study, "-o", folder, "--fresh")
    (folder / "link").symlink_to(folder)
    refused(folder, "link/study.yaml", "run", study, "-o", folder / "link")


@lib.case
def a_study_under_another_name_is_not_replaced():
    folder = lib.scratch("linked")
    study = lib.write_study(folder, STUDY, "mine.yaml")
    for out, link in ("hard", os.link), ("soft", os.symlink):
        (folder / out).mkdir()
        link(study, folder / out / "study.yaml")
        refused(folder, "study.yaml", "run", study, "-o", folder / out)


@lib.case
def a_resolved_study_with_comments_is_a_person_s():
    out = finished()
    study = out / "study.yaml"
    lib.run(["run", study, "-o", out, "-q"])  # as it was written it may be replaced
    study.write_text(study.read_text().replace("model:", "model:  # wider, later"))
    refused(out, study, "run", study, "-o", out, "-q")


# ---------------------------------------------------------------------------------------------
# Tables, log, lock
# ---------------------------------------------------------------------------------------------

FOREIGN = {
    "results.csv": "day,weight\n1,2\n",
    "timings.csv": "lap,seconds\n1,60\n",
    "infinite.csv": "series,limit\n",
    "log.txt": "Monday: bought milk\n",
    "lock": "the key is under the mat\n",
}


@lib.case
def foreign_files_are_not_replaced():
    for name, text in FOREIGN.items():
        folder = lib.scratch("foreign")
        study = lib.write_study(folder, STUDY, "mine.yaml")
        (folder / name).write_text(text)
        refused(folder, name, "run", study, "-o", folder, "-q")
        refused(folder, name, "merge", "-o", folder, finished())


@lib.case
def a_table_that_was_joined_by_hand_is_not_replaced():
    folder = lib.scratch("joined")
    for name in "results.csv", "study.yaml":
        shutil.copy(finished() / name, folder)
    refused(folder, "results.csv", "run", folder / "study.yaml", "-o", folder, "-q")
    lib.run(["report", folder, "--no-figures"])


@lib.case
def tables_of_other_versions_and_damaged_ones_are_replaced():
    out = finished()
    table = lib.table_text(out)
    for text in table.replace(",kernel,", ",krnl,", 1), table[:7], "", "cfll" + table[4:]:
        (out / "results.csv").write_text(text)
        lib.run_study(STUDY, out)
        lib.check_same_bytes(lib.table_text(out), table, "results.csv")
    (out / "results.csv").write_bytes(os.urandom(100) + b"\0")
    lib.run_study(STUDY, out)
    lib.check_same_bytes(lib.table_text(out), table, "results.csv")


@lib.case
def a_file_is_no_folder_of_results():
    folder = lib.scratch("file")
    study = lib.write_study(folder, STUDY)
    (folder / "file").write_text("mine")
    out = finished()
    for name in "file", "file/below":
        refused(folder, folder / name, "run", study, "-o", folder / name, "-q")
        refused(folder, folder / name, "merge", "-o", folder / name, out)
        refused(folder, folder / name, "report", out, "-o", folder / name, "--no-figures")


# ---------------------------------------------------------------------------------------------
# A report
# ---------------------------------------------------------------------------------------------


@lib.case
def foreign_files_are_not_replaced_by_a_report():
    for name in "summary.md", "fits.csv", "robustness.csv", "transition.csv", "report.html":
        out = finished()
        (out / "report").mkdir()
        (out / "report" / name).write_text("A summary of my holidays\n")
        refused(out, f"report/{name}", "report", out)


# ---------------------------------------------------------------------------------------------
# A folder into which others write
# ---------------------------------------------------------------------------------------------


@lib.case
def links_are_not_followed():
    victim = lib.scratch("victim") / "file"
    names = [*FOREIGN, "study.yaml"]
    for name in names:
        victim.write_text("precious\n")
        out = finished()
        (out / name).unlink(missing_ok=True)
        (out / name).symlink_to(victim)
        refused(out, name, "run", _finished.with_suffix(".yaml"), "-o", out, "-q")
        refused(out, name, "merge", "-o", out, _finished)
        lib.check_equal(victim.read_text(), "precious\n", f"{name} is a link, its target")
    for name in names:
        out = finished()
        (out / f"{name}.tmp").symlink_to(victim)
        lib.run(["run", _finished.with_suffix(".yaml"), "-o", out, "-q"])
        lib.run(["merge", "-o", out, _finished])
        lib.check_equal(victim.read_text(), "precious\n", f"{name}.tmp is a link, its target")
        lib.check((out / f"{name}.tmp").is_symlink(), "a link that is not ours was removed")


@lib.case
def a_folder_behind_a_link_of_one_s_own_is_fine():
    base = lib.scratch("scratch")
    (base / "far").mkdir()
    (base / "out").symlink_to(base / "far")
    (base / "cells").mkdir()
    (base / "far/cells").symlink_to(base / "cells")
    study = lib.write_study(base, STUDY)
    lib.run(["run", study, "-o", base / "out", "-q"])
    lib.run(["run", study, "-o", f"{base}/out/", "-q"])
    lib.check_equal(len(list((base / "cells").glob("*.h5"))), 2, "cells behind the link")


@lib.case
def a_folder_behind_a_link_of_another_user_is_refused():
    if os.geteuid() != 0:
        raise lib.Skip("only root can make links for another user")
    base = lib.scratch("planted")
    study = lib.write_study(base, STUDY)
    for name in "cells", "checkpoints":
        out = base / f"out-{name}"
        (base / f"victim-{name}").mkdir()
        out.mkdir()
        (out / name).symlink_to(base / f"victim-{name}")
        os.lchown(out / name, 12345, 12345)
        told = lib.only_complaint(lib.run(["run", study, "-o", out, "-q"], expect=2))
        lib.check("link of another user" in told and str(out / name) in told, told)
        lib.check(not list((base / f"victim-{name}").iterdir()), "written behind the link")


@lib.case
def temporary_files_of_killed_runs_are_removed_and_others_stay():
    out = finished()
    ours = ["results.csv.0123456789abcdef.tmp", "cells/a.h5.0123456789abcdef.tmp", "results.csv.tmp"]
    theirs = ["notes.tmp", "cells/notes.tmp", "results.csv.0123456789abcdeX.tmp"]
    for name in ours + theirs:
        (out / name).write_text("half")
    lib.run_study(STUDY, out)
    lib.check_equal([name for name in ours if (out / name).exists()], [], "left behind")
    lib.check_equal([name for name in theirs if not (out / name).exists()], [], "removed")


lib.main()

"""What the whole-program tests share: run ntklens, read what it left, say what is wrong.

A test program registers cases (@lib.case, lib.add) and ends with lib.main(), which prints a line a
case and `N passed, N failed`; its exit code is 0, 1, or 77 where there was nothing it could run.
NTKLENS names the program under test, NTKLENS_MPIRUN how it is launched, NTKLENS_DATA the folder of the
original images.
"""

import csv
import importlib
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import textwrap
import traceback
import zlib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TIMEOUT = 300  # seconds of one run of the program, on a busy machine: beyond it hangs
SKIPPED = 77  # what meson takes for a skipped test
QUICK = sys.argv[1:2] == ["quick"]


class Failure(Exception):
    """What is wrong, for people."""


class Skip(Exception):
    """Why a case cannot run here."""


# ---------------------------------------------------------------------------------------------
# Cases
# ---------------------------------------------------------------------------------------------

_cases = []


def add(name, function, *arguments, **options):
    _cases.append((name, lambda: function(*arguments, **options)))


def case(function):
    """Register a function without arguments under its own name."""
    add(function.__name__.replace("_", " "), function)
    return function


def main(quick=()):
    """quick: names of the few cases that are run where the first argument is `quick`."""
    passed = failed = 0
    cases = _cases
    if QUICK:
        cases = [(name, run_case) for name, run_case in _cases if name in quick]
        missing = set(quick) - {name for name, _ in cases}
        if missing or not quick:
            raise AssertionError(f"no quick cases, or no cases of that name: {missing}")
    for name, run_case in cases:
        try:
            run_case()
        except Skip as reason:
            print(f"skipped: {name}: {reason}", flush=True)
        except Failure as failure:
            failed += 1
            print(f"FAILED: {name}: {failure}", flush=True)
        except Exception:  # a table without the column, a file without the dataset, ...
            failed += 1
            print(f"FAILED: {name}: {traceback.format_exc()}", flush=True)
        else:
            passed += 1
            print(f"ok: {name}", flush=True)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0 if passed else SKIPPED)


def need(module):
    """Import a module; without it the whole test is skipped."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        print(f"skipped: {error}")
        sys.exit(SKIPPED)


def data_folder(source):
    """Folder of original files, from NTKLENS_DATA; without it the case is skipped."""
    base = os.environ.get("NTKLENS_DATA")
    if not base:
        raise Skip("NTKLENS_DATA is not set")
    folder = pathlib.Path(base) / source
    if not folder.is_dir():
        raise Skip(f"{folder} is not there")
    return folder


# ---------------------------------------------------------------------------------------------
# Checks
# ---------------------------------------------------------------------------------------------


# No observables behind the others: keys that an mlp has not, and how its small kernels are solved.
MLP_HAS = {"stages": "", "channel_growth": "", "kernel_size": "", "downsampling": "", "pool_last": "", "head": "",
           "dense_multiple": "", "normalization": "", "branch_scale": "", "biases": "",
           "method": "primal", "entropy_error": "0"}  # fmt: skip


def check(condition, message):
    if not condition:
        raise Failure(message)


def check_equal(got, wanted, what):
    check(got == wanted, f"{what}: {got!r}, expected {wanted!r}")


def check_close(got, wanted, tolerance, what):
    """|got - wanted| <= tolerance; a NaN fails."""
    got, wanted = float(got), float(wanted)
    if not abs(got - wanted) <= tolerance:
        raise Failure(f"{what}: {got!r}, expected {wanted!r} to {tolerance:.3g}")


def check_same_bytes(got, wanted, what):
    """Two texts, told apart by their first different line."""
    if got == wanted:
        return
    left, right = got.splitlines(), wanted.splitlines()
    for number, (one, other) in enumerate(zip(left, right), 1):
        if one != other:
            raise Failure(f"{what}: line {number} is\n  {one}\nexpected\n  {other}")
    raise Failure(f"{what}: {len(left)} lines, expected {len(right)}")


# ---------------------------------------------------------------------------------------------
# Running the program
# ---------------------------------------------------------------------------------------------

_scratch = None


def scratch(name):
    """A new folder that is gone after the test."""
    global _scratch
    if _scratch is None:
        _scratch = tempfile.TemporaryDirectory(prefix="ntklens-test-")
    return pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=_scratch.name))


def program():
    path = os.environ.get("NTKLENS")
    if not path:
        raise Failure("NTKLENS must name the program under test")
    return os.path.abspath(path)


def environment(**changes):
    result = dict(os.environ)
    result.setdefault("OMPI_ALLOW_RUN_AS_ROOT", "1")  # containers
    result.setdefault("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
    result.setdefault("OMPI_MCA_mpi_yield_when_idle", "1")  # more ranks than cores
    for name, value in changes.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = str(value)
    return result


def launcher():
    """mpirun of the MPI that the program was built with, and what it needs for more ranks than cores."""
    named = os.environ.get("NTKLENS_MPIRUN")
    if named:
        return named.split()
    found = shutil.which("mpirun") or shutil.which("mpiexec")
    if found is None:
        raise Skip("there is no mpirun")
    return [found, "--oversubscribe"]


def command(arguments, ranks=None):
    """ranks: None starts the program without a launcher."""
    line = [program(), *map(str, arguments)]
    if ranks is None:
        return line
    return [*launcher(), "-n", str(ranks), *line]


def run(arguments, ranks=None, expect=0, cwd=None, env=None):
    """Run ntklens to its end and check the exit code (None: any)."""
    line = command(arguments, ranks)
    told = " ".join(map(str, arguments))
    try:
        result = subprocess.run(
            line,
            cwd=cwd,
            env=env or environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"ntklens {told}, {ranks or 1} ranks: hangs, or takes over {TIMEOUT} s")
    if expect is not None and result.returncode != expect:
        raise Failure(
            f"ntklens {told}, {ranks or 1} ranks: exit code {result.returncode}, expected {expect};"
            f" stderr:\n{result.stderr.rstrip()}"
        )
    return result


def write_study(folder, text, name="study.yaml"):
    path = pathlib.Path(folder) / name
    path.write_text(textwrap.dedent(text))
    return path


def run_study(text, out, *options, ranks=None, expect=0, env=None):
    """Write a study file beside the results folder and run it into that folder."""
    out = pathlib.Path(out)
    study = write_study(out.parent, text, out.name + ".yaml")
    return run(["run", study, "-o", out, "--quiet", *options], ranks, expect, env=env)


def complaints(result):
    """Our own lines on stderr; mpirun adds others."""
    return [
        line
        for line in result.stderr.splitlines()
        if line.startswith("ntklens: ") and not line.startswith("ntklens: warning: ")
    ]


def only_complaint(result, ranks=None):
    """The one line of an error; without a launcher nothing else may stand on stderr."""
    lines = complaints(result) if ranks is not None else result.stderr.splitlines()
    check(len(lines) == 1, f"{len(lines)} lines on stderr, expected one:\n{result.stderr.rstrip()}")
    check(lines[0].startswith("ntklens: "), f"stderr does not begin with 'ntklens: ': {lines[0]}")
    return lines[0]


# ---------------------------------------------------------------------------------------------
# Reading the results folder
# ---------------------------------------------------------------------------------------------


def table_text(out):
    return (pathlib.Path(out) / "results.csv").read_text()


def table(out):
    """Rows of results.csv as dictionaries of texts."""
    with open(pathlib.Path(out) / "results.csv", newline="") as file:
        return list(csv.DictReader(file))


def select(rows, **wanted):
    """Rows whose columns have these values (compared as texts)."""
    return [row for row in rows if all(row[key] == str(value) for key, value in wanted.items())]


def one(rows, **wanted):
    found = select(rows, **wanted)
    check(len(found) == 1, f"{len(found)} rows with {wanted}, expected one")
    return found[0]


def cell_files(out):
    """{cell: open h5py file}"""
    h5py = need("h5py")
    folder = pathlib.Path(out) / "cells"
    return {path.stem: h5py.File(path, "r") for path in sorted(folder.glob("*.h5"))}


def edit_cell(path, edit, to=None):
    """Let edit(open h5py file) change a file of cells/ or checkpoints/, and seal it again."""
    h5py = need("h5py")
    plain = scratch("edit") / "plain.h5"
    plain.write_bytes(path.read_bytes()[:-24])
    with h5py.File(plain, "r+") as file:
        edit(file)
    content = plain.read_bytes()
    trailer = struct.pack("<8sQII", b"NTKLENS1", len(content), zlib.crc32(content), 0)
    pathlib.Path(to or path).write_bytes(content + trailer)


def log_events(out, event):
    """Lines of log.txt of one event."""
    lines = (pathlib.Path(out) / "log.txt").read_text().splitlines()
    return [line for line in lines if line.split(" ", 1)[0] == event]

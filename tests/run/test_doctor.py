#!/usr/bin/env python3
"""The machine is known: kernels of an OpenBLAS that does not know the CPU are replaced, once; doctor."""

import json
import os
import shutil
import subprocess

import lib

STUDY = """
data: {source: glyphs, train_sizes: [20], test_size: 20, probe_size: 5}
model: {widths: [4]}
training: {max_steps: 5}
measure: {kernels: [traced]}
"""


def old_blas(**changes):
    """Environment of an OpenBLAS that calls its kernels Prescott."""
    shim = os.environ.get("NTKLENS_KERNEL_SHIM")
    if not shim:
        raise lib.Skip("NTKLENS_KERNEL_SHIM does not name the shim")
    return lib.environment(**{"LD_PRELOAD": shim, "OPENBLAS_CORETYPE": None, **changes})


def kernel(env, *options):
    result = lib.run(["doctor", "--json", *options], env=env, expect=None)
    if "cannot be preloaded" in result.stderr or "ASan runtime" in result.stderr:
        raise lib.Skip("the shim cannot be preloaded into this build")
    # 4: a solver is wrong with these kernels, as Debian's ELPA is with old ones
    lib.check(result.returncode in (0, 4), f"exit code {result.returncode}")
    return json.loads(result.stdout)["blas_kernel"], result.stderr


def modern():
    """Has this CPU more than Prescott's kernels use?"""
    said = json.loads(lib.run(["doctor", "--json"]).stdout)
    if said["vectors"] in ("unknown", "SSE"):
        raise lib.Skip("no CPU with AVX")


@lib.case
def an_old_kernel_is_replaced():
    modern()
    name, told = kernel(old_blas())
    lib.check(name in ("SkylakeX", "Haswell", "Zen", "Sandybridge"), f"kernel {name}")
    lib.check_equal(told, "", "stderr")


@lib.case
def not_against_the_users_will():
    modern()
    name, _ = kernel(old_blas(OPENBLAS_CORETYPE="Nehalem"))
    lib.check_equal(name, "Nehalem", "kernel as the user set it")
    name, _ = kernel(old_blas(), "--no-blas-fix")
    lib.check_equal(name, "Prescott", "kernel with --no-blas-fix")


@lib.case
def once_only():
    modern()
    name, told = kernel(old_blas(NTKLENS_STUBBORN=1))
    lib.check_equal(name, "Prescott", "kernel where OPENBLAS_CORETYPE does nothing")
    lib.check("kernels are still Prescott" in told, f"stderr does not say so: {told}")


@lib.case
def all_ranks_alike():
    modern()
    out = lib.scratch("ranks") / "out"
    lib.run_study(STUDY, out, ranks=2, env=old_blas())
    machine = lib.log_events(out, "machine")
    lib.check_equal(len(machine), 1, "lines of the machine in the log")
    lib.check("blas_kernel=Prescott" not in machine[0], machine[0])
    lib.check("blas_kernel_before=Prescott" in machine[0], machine[0])
    lib.check_equal(lib.log_events(out, "blas_mix"), [], "ranks with other kernels")


def other_blas():
    """A folder with a libblas.so.3 that is not OpenBLAS's."""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise lib.Skip("no apt-get to get another libblas.so.3 with")
    folder = lib.scratch("blas")
    for line in (["apt-get", "download", "libblas3"], ["sh", "-c", "dpkg -x libblas3*.deb ."]):
        if subprocess.run(line, cwd=folder, capture_output=True, timeout=100).returncode != 0:
            raise lib.Skip("apt-get cannot download libblas3 here")
    found = list(folder.glob("usr/lib/*/blas"))
    lib.check_equal(len(found), 1, "folders of libblas3")
    return found[0]


@lib.case
def whose_dgemm_is_called_is_recorded():
    env = lib.environment(LD_LIBRARY_PATH=other_blas())
    said = json.loads(lib.run(["doctor", "--json"], env=env, expect=None).stdout)
    if said["blas"].startswith("OpenBLAS"):
        text = lib.run(["doctor"], env=env, expect=None).stdout
        lib.check("/blas/libblas.so" not in text, f"dgemm of another library, but {said['blas']}")
        raise lib.Skip("this build does not link libblas.so.3")
    lib.check(said["blas"].startswith("libblas.so.3."), f"blas: {said['blas']}")
    lib.check_equal(said["blas_kernel"], "unknown", "kernels of a BLAS that has none")
    lib.check(any("different libraries" in line for line in said["findings"]), f"{said['findings']}")
    out = lib.scratch("other") / "out"
    lib.run_study(STUDY, out, "--set", "training.max_steps=1")
    told = lib.run_study(STUDY, out, "--set", "training.max_steps=2", env=env)
    lib.check("OpenBLAS" in told.stderr and "libblas.so.3" in told.stderr, f"stderr: {told.stderr}")
    for event in ("start", "machine"):
        line = lib.log_events(out, event)[-1]
        lib.check('blas="libblas.so.3' in line, f"log: {line}")
    flags = {row["flags"] for row in lib.table(out)}
    lib.check(all("mixed" in words for words in flags), f"flags of a study of both: {flags}")


@lib.case
def doctor_tests_every_solver():
    said = json.loads(lib.run(["doctor", "--json"], ranks=2).stdout)
    shapes = {solver["name"]: (solver["rows"], solver["cols"]) for solver in said["solvers"]}
    lib.check_equal(shapes["lapack"], (1, 1), "ranks of lapack")
    lib.check_equal(shapes["scalapack"], (1, 2), "ranks of scalapack")
    for solver in said["solvers"]:
        lib.check(solver["right"] and 0 <= solver["error"] < 1e-12, f"{solver}")
    lib.check(said["gflops_double"] > 0 and said["gflops_single"] > 0, "GFLOP/s are not positive")
    text = lib.run(["doctor"], ranks=2).stdout
    for word in ("cpu", "memory", "mpi", "blas", "solvers", "to change"):
        lib.check(f"\n{word}" in "\n" + text, f"doctor says nothing of '{word}':\n{text}")


@lib.case
def too_many_ranks_are_told():
    said = json.loads(lib.run(["doctor", "--json"], ranks=6).stdout)
    if said["cores"] >= 6:
        raise lib.Skip("six cores or more")
    lib.check(any("6 ranks" in line for line in said["findings"]), f"{said['findings']}")
    result = lib.run_study(STUDY, lib.scratch("many") / "out", ranks=6)
    lib.check_equal(result.stderr.count("6 ranks"), 1, f"warnings in\n{result.stderr}")


lib.main()

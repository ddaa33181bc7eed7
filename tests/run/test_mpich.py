#!/usr/bin/env python3
"""Built with MPICH: its own launcher and ScaLAPACK, never those of another MPI; all tests in C, a study."""

import pathlib
import re
import shutil
import subprocess

import lib

STUDY = """
data: {source: glyphs, train_sizes: [40], test_size: 60, probe_size: 20}
model: {widths: [8, 16]}
training: {max_steps: 20}
measure: {steps_per_decade: 1}
"""
WRAPPER = shutil.which("mpicc.mpich")  # Debian's name: the default MPI may be another


def call(*line, expect=0, **changes):
    done = subprocess.run([str(word) for word in line], env=lib.environment(**changes), text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)  # fmt: skip
    lib.check_equal(done.returncode, expect, f"exit code of {line}; its end:\n{done.stdout[-3000:]}")
    return done.stdout


def configure(*options, **environment):
    if WRAPPER is None:
        raise lib.Skip("there is no mpicc.mpich (Debian: libmpich-dev, libscalapack-mpich-dev)")
    folder = lib.scratch("build")
    said = call("meson", "setup", folder, lib.ROOT, *options, **environment)
    return folder, said


def is_mpich(said):
    lib.check(re.search("MPI +: MPICH [0-9]", said), f"the summary does not say MPICH:\n{said[-1500:]}")
    lib.check(not re.search("ScaLAPACK +: scalapack-openmpi", said), "ScaLAPACK of the other MPI")


@lib.case
def everything_with_mpicc_of_the_environment():
    folder, said = configure("-Dwerror=true", "-Dtests=enabled", MPICC=WRAPPER)
    is_mpich(said)
    call("ninja", "-C", folder)
    call("meson", "test", "-C", folder, "--no-rebuild", "--suite", "unit", "--suite", "mpi",
         "--timeout-multiplier", "8")  # fmt: skip
    program = folder / "src/app/ntklens"
    linked = call("ldd", program)
    lib.check("libmpich" in linked and "openmpi" not in linked, linked)
    work = lib.scratch("study")
    study = lib.write_study(work, STUDY)
    launcher = shutil.which("mpirun.mpich")
    call(launcher, "-n", "2", program, "run", study, "-o", work / "out", "-q")
    call(program, "run", study, "-o", work / "alone", "-q")
    lib.check_same_bytes(lib.table_text(work / "out"), lib.table_text(work / "alone"), "2 ranks")


@lib.case
def an_option_or_the_compiler_names_it():
    is_mpich(configure(f"-Dmpi={WRAPPER}")[1])
    is_mpich(configure(CC=WRAPPER)[1])


@lib.case
def a_later_call_keeps_it():
    folder, _ = configure(MPICC=WRAPPER)
    is_mpich(call("meson", "setup", "--reconfigure", folder, lib.ROOT, MPICC=None))


@lib.case
def another_ones_scalapack_is_refused():
    if not list(pathlib.Path("/usr/lib").glob("*/libscalapack-openmpi.so")):
        raise lib.Skip("ScaLAPACK for Open MPI is not installed")
    configure()  # skips where there is no MPICH
    said = call("meson", "setup", lib.scratch("build"), lib.ROOT, "-Dscalapack=scalapack-openmpi",
                expect=1, MPICC=WRAPPER)  # fmt: skip
    lib.check("scalapack-openmpi) is for another MPI than MPICH" in said, said[-1500:])


lib.main()

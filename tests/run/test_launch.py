#!/usr/bin/env python3
"""One process without mpirun starts where there is nothing to start others with, and where there is."""

import os
import re
import shutil

import lib

STUDY = """
data: {source: glyphs, train_sizes: [20], test_size: 20, probe_size: 5}
model: {widths: [4]}
training: {max_steps: 5}
measure: {kernels: [traced]}
"""


def few_programs(*names):
    """PATH with these programs alone."""
    folder = lib.scratch("path")
    for name in names:
        found = shutil.which(name)
        if found:
            (folder / name).symlink_to(found)
    return str(folder)


def run_alone(path, **changes):
    folder = lib.scratch("alone")
    (folder / "study.yaml").write_text(STUDY)
    env = lib.environment(PATH=path, **changes)
    told = lib.run(["plan", "study.yaml"], cwd=folder, env=env)
    lib.check_equal(told.stderr, "", "stderr of plan")
    lib.run(["run", "study.yaml", "-o", "out"], cwd=folder, env=env)
    lib.check((folder / "out/results.csv").is_file(), "no results.csv")


@lib.case
def without_ssh():
    run_alone(few_programs("orted"))  # Open MPI 4's daemon; later ones need none


@lib.case
def with_ssh():
    path = few_programs("orted")
    agent = os.path.join(path, "ssh")
    os.symlink("/bin/false", agent)
    run_alone(path)


@lib.case
def the_users_choice_is_left():
    run_alone(few_programs("orted", "true"), OMPI_MCA_plm_rsh_agent="true")
    run_alone(few_programs("orted"), OMPI_MCA_plm="isolated")


@lib.case
def no_library_is_unloaded_at_the_end():
    """Threads of MPI may still run its code.  The loader tells what it does on stderr, behind the line of the error."""
    folder = lib.scratch("unloaded")
    (folder / "study.yaml").write_text(STUDY.replace("glyphs", f"mnist, path: {folder}/nowhere"))
    env = lib.environment(LD_DEBUG="files")
    told = lib.run(["run", "study.yaml", "-o", "out"], cwd=folder, env=env, expect=3).stderr
    pid = re.search(r"(\d+):\s+initialize program: \S+ntklens\n", told).group(1)
    end = told.split("ntklens: ", 1)[1].splitlines()
    unloaded = [line for line in end if line.split(":")[0].strip() == pid and "destroying link map" in line]
    lib.check_equal(unloaded, [], "libraries unloaded at the end")


lib.main()

#!/usr/bin/env python3
"""jobs/study.sbatch and jobs/array.sbatch under real Slurm, in tools/slurm-sandbox.

Usage: NTKLENS=FILE test_slurm.py [NAME ...]      the cases whose names contain a NAME, or all

The cases run side by side and share two nodes.  Skipped (77) where Slurm cannot run."""

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
SANDBOX = ROOT / "tools" / "slurm-sandbox"
JOBS = ROOT / "jobs"
SKIPPED = 77
PATIENCE = 900  # seconds for whatever is waited for; with luck it takes a tenth

STUDY = """
study: batch
data: {source: glyphs, train_sizes: [500], test_size: 300, probe_size: 40}
model: {widths: [16, 96], depths: [2]}
training: {max_steps: 200000}  # a minute of two fast cores: time for two interruptions
seeds: [0, 1, 2, 3]
measure: {kernels: [traced, full], steps_per_decade: 1, solver: lapack}
checkpoint: {every: 5}
"""


def call(*command):
    """Standard output of a command that must not fail."""
    done = subprocess.run([str(c) for c in command], text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}: {done.stderr}")
    return done.stdout.strip()


def wait_until(what, true, patience=PATIENCE):
    end = time.monotonic() + patience
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"not within {patience} s: {what}")
        time.sleep(0.2)


class Job:
    """A job, or the task "<job>_<k>" of an array."""

    def __init__(self, name, folder):
        self.name = name
        self.folder = folder

    def _shown(self, field):
        text = call("scontrol", "show", "job", "-o", self.name)
        return re.search(rf"\b{field}=(\S+)", text).group(1)

    def state(self):
        return self._shown("JobState")

    def restarts(self):
        return int(self._shown("Restarts"))

    def exit_code(self):
        return int(self._shown("ExitCode").split(":")[0])

    def log(self):
        path = self.folder / "log.txt"
        return path.read_text() if path.exists() else ""

    def wait_working(self, starts):
        """Until the ranks of the starts-th start train."""
        wait_until(f"start {starts} of {self.name}",
                   lambda: self.log().count("start time=") >= starts)
        time.sleep(2.0)

    def wait_restarted(self, count):
        """Until it runs again; Slurm lets a requeued job wait longer than a test wants to."""

        def running():
            if self.state() == "PENDING":
                subprocess.run(["scontrol", "update", f"JobId={self.name}", "StartTime=now"],
                               capture_output=True, check=False)
            return self.restarts() >= count and self.state() != "PENDING"

        wait_until(f"restart {count} of {self.name}", running)

    def wait_state(self, *states):
        """Until it has ended as wanted; requeued jobs are hurried on."""

        def ended():
            state = self.state()
            if state == "PENDING":
                subprocess.run(["scontrol", "update", f"JobId={self.name}", "StartTime=now"],
                               capture_output=True, check=False)
            elif state in ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"):
                assert state in states, f"{self.name}: {state}, expected {states}"
            return state in states

        wait_until(f"{self.name} {states}", ended)


class Bench:
    """A scratch folder, the sandbox, and a reference that nothing interrupted."""

    def __init__(self, program, folder):
        self.program = program
        self.folder = folder
        self.study = folder / "study.yaml"
        self.study.write_text(STUDY)
        self.reference = None

    def start(self):
        done = subprocess.run([SANDBOX, "up", self.folder / "slurm", "--nodes", "2"], text=True,
                              capture_output=True, check=False)
        if done.returncode != 0:
            print(done.stderr.strip())
            return done.returncode
        lines = (self.folder / "slurm" / "env.sh").read_text().splitlines()
        for line in lines:
            if line.startswith("export "):
                os.environ.update(pair.split("=", 1) for pair in line.split()[1:])
        os.environ["NTKLENS"] = str(self.program)
        return 0

    def stop(self):
        subprocess.run([SANDBOX, "down", self.folder / "slurm"], check=False, capture_output=True)

    def make_reference(self):
        folder = self.folder / "reference"
        call("mpirun", "--oversubscribe", "-n", 2, self.program, "run", self.study, "-o", folder,
             "--quiet")
        self.reference = (folder / "results.csv").read_bytes()

    def submit(self, name, *options, script="study.sbatch", environment=None, arguments=(),
               study=None):
        """Submit a job with the folder `name`."""
        folder = self.folder / name
        done = subprocess.run(
            ["sbatch", "--parsable", f"--output={folder}-%a.out", *options, JOBS / script,
             study or self.study, folder, *arguments],
            text=True, capture_output=True, check=False, cwd=self.folder,
            env={**os.environ, **(environment or {})})
        assert done.returncode == 0, done.stderr
        return Job(done.stdout.strip(), folder)

    def output(self, job):
        return "".join(p.read_text() for p in job.folder.parent.glob(f"{job.folder.name}-*.out"))

    def check_table(self, folder):
        assert (folder / "results.csv").read_bytes() == self.reference, f"{folder}: another table"


def interrupted(bench, name, launcher, nodes):
    """Warned once and ended by the time limit once, a study comes to the same table."""
    job = bench.submit(name, f"--nodes={nodes}", "--ntasks=2",
                       environment={"NTKLENS_LAUNCHER": launcher})
    job.wait_working(1)
    call("scancel", "-b", "-s", "USR1", job.name)
    job.wait_restarted(1)
    job.wait_working(2)
    call("scontrol", "update", f"JobId={job.name}", "EndTime=now")
    job.wait_restarted(2)
    job.wait_state("COMPLETED")
    done = re.findall(r"^cell_done .*cell=(\S+)", job.log(), re.M)
    assert len(done) == len(set(done)) == 8, f"cells done twice or not at all: {done}"
    bench.check_table(job.folder)


def srun_one_node(bench):
    interrupted(bench, "srun1", "srun", 1)


def srun_two_nodes(bench):
    interrupted(bench, "srun2", "srun", 2)


def mpirun_one_node(bench):
    interrupted(bench, "mpirun1", "mpirun", 1)


def mpirun_two_nodes(bench):
    interrupted(bench, "mpirun2", "mpirun", 2)


def short_limit(bench):
    """Under a limit shorter than the warning time every start still gets something done."""
    job = bench.submit("short", "--ntasks=1", "--time=1")
    job.wait_restarted(1)
    job.wait_state("COMPLETED")
    bench.check_table(job.folder)


def array(bench):
    """Four seeds in four tasks; one is cancelled and requeued, one warned; the others go on."""
    whole = bench.submit("array", "--array=0-3", "--ntasks=1", script="array.sbatch")
    tasks = [Job(f"{whole.name}_{k}", whole.folder / f"task-{k}") for k in range(4)]
    tasks[1].wait_working(1)
    call("scancel", tasks[1].name)
    tasks[1].wait_state("CANCELLED")
    call("scontrol", "requeue", tasks[1].name)
    tasks[2].wait_working(1)
    call("scancel", "-b", "-s", "USR1", tasks[2].name)
    for task in tasks:
        task.wait_state("COMPLETED")
    assert [task.restarts() for task in tasks] == [0, 1, 1, 0], "other tasks were requeued"
    for k, task in enumerate(tasks):
        seeds = [line.split(",")[4] for line in
                 (task.folder / "results.csv").read_text().splitlines()[1:]]
        assert set(seeds) == {str(k)}, f"task {k} has seeds {set(seeds)}"
    if " merge " in call(bench.program, "--help"):
        call(bench.program, "merge", "-o", bench.folder / "merged", *(t.folder for t in tasks))
        bench.check_table(bench.folder / "merged")


def slices(bench):
    """Settings of array tasks from a file."""
    listed = bench.folder / "slices.txt"
    listed.write_text("model.widths=[4] training.max_steps=20\n"
                      "model.widths=[5] training.max_steps=30\n")
    whole = bench.submit("slices", "--array=1", "--ntasks=1", script="array.sbatch",
                         environment={"NTKLENS_SLICES": str(listed)}, arguments=["--set", "seeds=[7]"])
    Job(f"{whole.name}_1", None).wait_state("COMPLETED")
    table = (whole.folder / "task-1" / "results.csv").read_text().splitlines()
    assert {tuple(line.split(",")[1:5:3]) for line in table[1:]} == {("5", "7")}, table[1:]


def bad_study(bench):
    """Errors in the study are passed on, not tried again."""
    study = bench.folder / "bad.yaml"
    study.write_text(STUDY.replace("widths", "width"))
    job = bench.submit("bad", "--ntasks=2", study=study)
    job.wait_state("FAILED")
    assert (job.exit_code(), job.restarts()) == (2, 0)


def cancelled(bench):
    """scancel leaves a checkpoint and ends the job for good."""
    job = bench.submit("cancelled", "--ntasks=1", environment={"NTKLENS_LAUNCHER": "mpirun"})
    job.wait_working(1)
    call("scancel", job.name)
    job.wait_state("CANCELLED")
    time.sleep(1.0)
    assert (job.state(), job.restarts()) == ("CANCELLED", 0)
    assert list((job.folder / "checkpoints").glob("*.h5")), "no checkpoint"
    assert "this continues it: sbatch" in bench.output(job)


def stop_file(bench):
    job = bench.submit("stopped", "--ntasks=1")
    job.wait_working(1)
    (job.folder / "stop").touch()
    job.wait_state("FAILED")
    assert (job.exit_code(), job.restarts()) == (75, 0)


def no_requeue(bench):
    """Where jobs may not be requeued the output tells how to go on."""
    job = bench.submit("once", "--ntasks=1", "--no-requeue")
    job.wait_working(1)
    call("scancel", "-b", "-s", "USR1", job.name)
    job.wait_state("FAILED")
    assert (job.exit_code(), job.restarts()) == (75, 0)
    expected = f"sbatch [options] {JOBS}/study.sbatch {bench.study} {job.folder}"
    assert expected in bench.output(job), bench.output(job)


def no_progress(bench):
    """A program that never gets anywhere is restarted three times, not for ever."""
    program = bench.folder / "idle"
    program.write_text("#!/bin/sh\n"
                       'echo "start time=$(date +%s) job=$SLURM_JOB_ID" >>"$4/log.txt"\n'
                       "exit 75\n")
    program.chmod(0o755)
    (bench.folder / "idle-results").mkdir()
    job = bench.submit("idle-results", "--ntasks=1", environment={"NTKLENS": str(program)})
    job.wait_state("FAILED")
    assert (job.exit_code(), job.restarts()) == (1, 3)


def in_use(bench):
    """A second job in a folder ends, and leaves the first one and its record alone."""
    name = "in use"
    first = bench.submit(name, "--ntasks=1", arguments=["--set", "training.max_steps=10000000"])
    first.wait_working(1)
    second = bench.submit(name, "--ntasks=1", arguments=["--fresh"])
    second.wait_state("FAILED")
    assert (second.exit_code(), second.restarts()) == (75, 0)
    assert not (first.folder / ".requeue").exists(), "the record of the first job"
    assert first.state() == "RUNNING"
    call("scancel", first.name)
    expected = f"sbatch [options] {JOBS}/study.sbatch {bench.study} {bench.folder}/in\\ use\n"
    assert expected in bench.output(second), bench.output(second)


CASES = [srun_one_node, mpirun_two_nodes, no_progress, srun_two_nodes, mpirun_one_node, array,
         short_limit, slices, bad_study, cancelled, stop_file, no_requeue, in_use]


def attempt(case, bench):
    begin = time.monotonic()
    try:
        case(bench)
        verdict = ""
    except Exception:  # of any kind: it is the case's verdict
        verdict = traceback.format_exc()
    print(f"{'FAILED' if verdict else 'ok'} {case.__name__} {time.monotonic() - begin:.0f} s",
          flush=True)
    return verdict


def main():
    program = pathlib.Path(os.environ["NTKLENS"]).resolve()
    names = sys.argv[1:]
    wanted = [c for c in CASES if not names or any(n in c.__name__ for n in names)]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ntklens-"))
    folder.chmod(0o755)  # munged wants it
    bench = Bench(program, folder)
    begun = bench.start()
    if begun != 0:
        shutil.rmtree(folder)
        return begun
    try:
        bench.make_reference()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            verdicts = list(pool.map(lambda case: attempt(case, bench), wanted))
        failures = [v for v in verdicts if v]
        for path in sorted(folder.glob("*.out")) if failures else ():
            print(f"--- {path.name}\n{path.read_text()}")
        print("\n".join(failures))
    finally:
        bench.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

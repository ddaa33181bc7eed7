#!/usr/bin/env python3
"""jobs/study.sbatch with stand-ins for Slurm's commands: what needs no batch system to be seen."""

import os
import subprocess

import lib

STUB = {
    # As the program: it starts, does nothing, and has stopped early.
    "ntklens": 'echo "start time=$(date +%s%N) job=$SLURM_JOB_ID" >>"$4/log.txt"\nexit 75\n',
    "mpirun": 'while [ "${1#-}" != "$1" ]; do shift 2; done\nexec "$@"\n',
    "squeue": "echo RUNNING None\n",
}
# Ends the job by SIGTERM: the script, whose subshell has called.
REQUEUE = "requeue) kill -TERM $(awk '/^PPid/ { print $2 }' /proc/$PPID/status) ;;"
REFUSE = 'requeue) echo "Job is pending execution" >&2; exit 1 ;;'


def scontrol(requeue, restarts):
    show = f"*) echo JobId=7 Requeue=1 Restarts={restarts} BatchFlag=1 ;;"
    return f'case "$*" in "show config") ;; {requeue.replace("requeue)", "requeue*)")} {show} esac\n'


class Job:
    def __init__(self, requeue=REQUEUE, restarts=0):
        self.base = lib.scratch("job")
        self.out = self.base / "out"
        self.out.mkdir()
        tools = self.base / "bin"
        tools.mkdir()
        for name, text in {**STUB, "scontrol": scontrol(requeue, restarts)}.items():
            (tools / name).write_text("#!/bin/bash\n" + text)
            (tools / name).chmod(0o755)
        self.environment = lib.environment(
            PATH=f"{tools}:{os.environ['PATH']}",
            SLURM_JOB_ID="7",
            SLURM_NTASKS="1",
            NTKLENS=tools / "ntklens",
            NTKLENS_LAUNCHER="mpirun",
        )

    def run(self, expect=75):
        """What the job says."""
        line = ["bash", lib.ROOT / "jobs" / "study.sbatch", "study.yaml", self.out]
        done = subprocess.run(
            line, cwd=self.base, env=self.environment, capture_output=True, text=True, timeout=120
        )
        lib.check_equal(done.returncode, expect, f"exit code; it said:\n{done.stderr}")
        return done.stderr


@lib.case
def what_stands_in_the_record_is_not_evaluated():
    for text in "7 BASH_VERSINFO[$(touch x)]", "7 x=9", "7 99999999999999999999", "7 -1", "7":
        job = Job()
        (job.out / ".requeue").write_text(text + "\n")
        told = job.run()
        lib.check(not (job.base / "x").exists(), f"evaluated: {text}")
        lib.check("holds no number of restarts: ignored" in told, f"{text}: not told:\n{told}")
        lib.check_equal((job.out / ".requeue").read_text(), "7 1\n", "record")


@lib.case
def a_record_is_counted():
    job = Job()
    (job.out / ".requeue").write_text("7 02\n")
    told = job.run()
    lib.check("requeued" in told, told)
    lib.check_equal((job.out / ".requeue").read_text(), "7 3\n", "record")
    told = job.run(expect=1)
    lib.check("without progress" in told, told)


@lib.case
def a_link_in_place_of_the_record_is_not_followed():
    job = Job()
    victim = job.base / "victim"
    victim.write_text("7 2\n")
    (job.out / ".requeue").symlink_to(victim)
    job.run()
    lib.check_equal(victim.read_text(), "7 2\n", "target of the link")
    lib.check_equal((job.out / ".requeue").read_text(), "7 1\n", "record")
    lib.check_equal(sorted(path.name for path in job.out.iterdir()), [".requeue", "log.txt"], "DIR")


@lib.case
def a_job_that_somebody_else_has_requeued_says_so():
    told = Job(REFUSE, restarts=1).run()
    lib.check("is queued again" in told, told)
    lib.check("sbatch" not in told.replace("study.sbatch:", ""), f"asks to submit again:\n{told}")
    told = Job(REFUSE, restarts=0).run()
    lib.check("does not requeue" in told and "is queued again" not in told, told)


lib.main()

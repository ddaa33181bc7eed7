#!/usr/bin/env python3
"""One run at a time in a folder; locks of runs that are gone are taken over."""

import os
import signal
import socket
import subprocess
import threading
import time

import life
import lib

HOST = socket.gethostname()
LOCK = "host={host}\npid={pid}\nstart={start}\njob={job}\ntime=2026-01-01T00:00:00Z\n"


def start_of(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[19]


class Folder:
    """A study of a moment, and a results folder that says who is at work there."""

    def __init__(self, name, steps=20):
        base = lib.scratch(name)
        self.study = lib.write_study(
            base, life.study_text(sizes="100", widths="8", steps=steps, every=60)
        )
        self.out = base / "out"
        self.out.mkdir()

    def hold(self, host=HOST, pid=1, start=0, job="-"):
        text = LOCK.format(host=host, pid=pid, start=start, job=job)
        (self.out / "lock").write_text(text)

    def expect(self, code, job=None, waits=True):
        """Run; the lines of complaint.  waits: 10 s for another run, and says so."""
        env = {"SLURM_JOB_ID": job} if job else {"SLURM_JOB_ID": ""}
        run = life.Run(self.study, self.out, ranks=1, env=env)
        run.finish(code)
        lines = run.complaints()
        told = [line for line in lines if "waiting" in line]
        lib.check_equal(len(told), int(waits), f"words about waiting in {lines}")
        lib.check(not told or str(self.out) in told[0], told)
        if waits:
            lib.check(run.seconds() >= 9, f"waited {run.seconds():.1f} s, expected 10 s")
        return [line for line in lines if line not in told]


@lib.case
def the_second_of_two_runs_is_refused():
    folder = Folder("two", steps=10**9)
    first = life.Run(folder.study, folder.out, ranks=2, env={"SLURM_JOB_ID": "4711"})
    life.wait_for(lambda: life.events(folder.out, "start"), "start")
    complaints = folder.expect(75)
    pid = first.ranks()[0]
    first.end()
    lib.check_equal(len(complaints), 1, "lines of complaint")
    for word in HOST, f"process {pid}", "job 4711", str(folder.out):
        lib.check(word in complaints[0], f"not named: {word} in {complaints[0]}")


@lib.case
def a_run_that_ends_in_time_is_waited_for():
    folder = Folder("wait", steps=10**9)
    first = life.Run(folder.study, folder.out, ranks=1)
    life.wait_for(lambda: life.events(folder.out, "start"), "start")
    second = life.Run(folder.study, folder.out, ranks=1)
    life.wait_for(lambda: "waiting 10 s" in second.stderr(), "word that it waits")
    first.end()
    life.wait_for(lambda: len(life.events(folder.out, "start")) == 2, "second start")
    second.end()


@lib.case
def a_dead_process_holds_nothing():
    folder = Folder("dead")
    gone = subprocess.Popen(["true"])
    gone.wait()
    folder.hold(pid=gone.pid, start=12345)
    folder.expect(0, waits=False)


@lib.case
def another_process_of_that_number_holds_nothing():
    folder = Folder("reused")
    folder.hold(pid=os.getpid(), start=int(start_of(os.getpid())) + 1)
    folder.expect(0, waits=False)


@lib.case
def a_live_process_holds_even_where_the_file_is_not_locked():
    """File systems without fcntl locks: the process decides."""
    folder = Folder("live")
    folder.hold(pid=os.getpid(), start=start_of(os.getpid()))
    complaints = folder.expect(75)
    lib.check(f"process {os.getpid()}" in complaints[0], complaints[0])


@lib.case
def an_earlier_start_of_the_same_job_holds_nothing():
    folder = Folder("job")
    folder.hold(host="another-node", job="4711")
    folder.expect(0, job="4711", waits=False)


@lib.case
def another_host_without_a_heartbeat_holds_nothing():
    folder = Folder("silent")
    folder.hold(host="another-node", job="4711")
    folder.expect(0, job="4712")


@lib.case
def a_heartbeat_from_another_host_holds():
    folder = Folder("beat")
    folder.hold(host="another-node", pid=77, job="4711")
    over = threading.Event()

    def beat():
        while not over.wait(2):
            os.utime(folder.out / "lock")

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        complaints = folder.expect(75, job="4712")
    finally:
        over.set()
        thread.join()
    for word in "another-node", "process 77", "job 4711":
        lib.check(word in complaints[0], f"not named: {word} in {complaints[0]}")


@lib.case
def a_run_beats():
    folder = Folder("beats", steps=10**9)
    run = life.Run(folder.study, folder.out, ranks=1)
    lock = folder.out / "lock"
    life.wait_for(lambda: life.events(folder.out, "start"), "start")
    seen = set()

    def beaten():
        seen.add(lock.stat().st_mtime_ns)
        return len(seen) >= 3

    life.wait_for(beaten, "third time of change of the lock")
    run.end()


@lib.case
def a_run_that_ended_holds_nothing():
    folder = Folder("ended")
    folder.expect(0, waits=False)
    lib.check_equal((folder.out / "lock").read_bytes(), b"", "lock behind a run")
    folder.expect(0, waits=False)


class Loser(Folder):
    """Two ranks in the middle of long trainings, with checkpoints every moment."""

    def __init__(self, name):
        super().__init__(name, steps=10**9)
        self.run = life.Run(self.study, self.out, "--set", "checkpoint.every=0.05", ranks=2)
        life.wait_for(lambda: list(self.out.glob("checkpoints/previous/*.h5")), "checkpoints")

    def state(self):
        files = (path for path in sorted(self.out.rglob("*")) if path.is_file())
        return {str(path): path.stat().st_mtime_ns for path in files}

    def lose(self, change):
        """The lines of the run that ends, having written nothing since."""
        pids = self.run.ranks().values()
        self.run.send(signal.SIGSTOP, pids)  # as long as another run must wait to take it over
        time.sleep(0.2)
        change()
        before = self.state()
        self.run.send(signal.SIGCONT, pids)
        self.run.finish(75)
        lib.check_equal(self.state(), before, "files behind the loss of the lock")
        lines = [line for line in self.run.complaints() if "the lock is lost" in line]
        lib.check_equal(len(lines), 1, f"lines about it in {self.run.stderr()}")
        lib.check(str(self.out) in lines[0], lines[0])
        return lines[0]


@lib.case
def who_lost_the_lock_to_another_run_writes_nothing_more():
    folder = Loser("taken")
    told = folder.lose(lambda: folder.hold(host="another-node", pid=77, job="4711"))
    for word in "another-node", "process 77", "job 4711":
        lib.check(word in told, f"not named: {word} in {told}")


@lib.case
def who_lost_the_lock_file_writes_nothing_more():
    folder = Loser("gone")
    folder.lose((folder.out / "lock").unlink)
    again = life.Run(folder.study, folder.out)
    life.wait_for(lambda: life.events(folder.out, "cell_resumed"), "resumed cell")
    again.end()


lib.main(
    quick=[
        "the second of two runs is refused",
        "a dead process holds nothing",
        "who lost the lock to another run writes nothing more",
    ]
)

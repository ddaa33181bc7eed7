"""What the tests of interruptions share: a study that is killed, stopped or starved while it runs.

Runs are started in the background, every process of theirs carries a token in its environment, so
that exactly these can be found and signalled.  NTKLENS_FAULT_SHIM names the library that makes the
k-th change of a file fail (fault_shim.c).
"""

import os
import pathlib
import signal
import subprocess
import time
import uuid

import lib

TOKEN = "NTKLENS_TEST_RUN"

# A few seconds on two ranks: every cell is trained, checkpointed, measured and written.
STUDY = """\
study: life
data: {{source: glyphs, train_sizes: [{sizes}], test_size: 200, probe_size: 20}}
model: {{widths: [{widths}], {model}}}
training: {{optimizer: momentum, learning_rate: 0.05, batch_size: 32, max_steps: {steps}}}
seeds: [0, 1]
measure: {{kernels: [traced, full], steps_per_decade: 4, probe_prefixes: [8], {solver}}}
checkpoint: {{every: {every}}}
"""

MLP = "depths: [2]"
CNN = "kind: cnn, depths: [1], stages: [1, 1]"
LAPACK = "solver: lapack"
SHARED = "solver: scalapack, team_size: all"


def study_text(sizes="200, 400", widths="8, 16, 32", steps=2000, solver=LAPACK, every=0.05, model=MLP):
    return STUDY.format(sizes=sizes, widths=widths, steps=steps, solver=solver, every=every, model=model)


# ---------------------------------------------------------------------------------------------
# A run in the background
# ---------------------------------------------------------------------------------------------


def _environment_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []  # gone, or not ours


def _is_zombie(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (OSError, IndexError):
        return True


class Run:
    """`ntklens run` under mpirun, in a session of its own."""

    def __init__(self, study, out, *options, ranks=2, env=None, launcher=()):
        self.token = uuid.uuid4().hex
        self.stderr_path = pathlib.Path(study).parent / f"{self.token}.stderr"  # not in a full DIR
        line = lib.command(["run", study, "-o", out, "--quiet", *options], ranks)
        line[1:1] = launcher
        self.started = time.monotonic()
        with open(self.stderr_path, "wb") as stderr:
            self.process = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env={**lib.environment(), **(env or {}), TOKEN: self.token},
                start_new_session=True,
            )

    def seconds(self):
        return time.monotonic() - self.started

    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    def complaints(self):
        return [line for line in self.stderr().splitlines() if line.startswith("ntklens: ")]

    def running(self):
        return self.process.poll() is None

    def processes(self):
        """Every live process of this run, the launcher included."""
        mark = f"{TOKEN}={self.token}".encode()
        pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
        return [pid for pid in pids if mark in _environment_of(pid) and not _is_zombie(pid)]

    def ranks(self):
        """{rank: pid} of the processes that mpirun started."""
        result = {}
        for pid in self.processes():
            for item in _environment_of(pid):
                if item.startswith(b"OMPI_COMM_WORLD_RANK="):
                    result[int(item.split(b"=")[1])] = pid
        return dict(sorted(result.items()))

    def send(self, number, pids):
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def end(self):
        """Kill whatever is left."""
        while left := self.processes():
            self.send(signal.SIGKILL, left)
            time.sleep(0.05)
        return self.process.wait()

    def _wait_for_launcher(self, timeout):
        """Its exit code. Open MPI 4's mpirun at times locks itself up at its very end (in
        pmix_rte_finalize) when a rank was killed: where all ranks are gone it is killed, too."""
        limit = time.monotonic() + timeout
        alone = None
        while True:
            try:
                return self.process.wait(2)
            except subprocess.TimeoutExpired:
                pass
            now = time.monotonic()
            others = [pid for pid in self.processes() if pid != self.process.pid]
            alone = None if others else alone or now
            if alone is not None and now > alone + 20:
                print("  mpirun was killed: it outlived its ranks by 20 s", flush=True)
                self.end()
                return 128 + signal.SIGKILL
            if now > limit:
                self.end()
                raise lib.Failure(f"a run hangs, or takes over {timeout} s; stderr:\n{self.stderr()}")

    def wait(self, timeout=lib.TIMEOUT):
        """Exit code, when no process of the run is left."""
        code = self._wait_for_launcher(timeout)
        limit = time.monotonic() + 15
        while self.processes():
            if time.monotonic() > limit:
                self.end()
                raise lib.Failure("ranks outlive mpirun by 15 s")
            time.sleep(0.05)
        return code

    def finish(self, expect=0, timeout=lib.TIMEOUT):
        code = self.wait(timeout)
        lib.check(
            code == expect, f"exit code {code}, expected {expect}; stderr:\n{self.stderr()}"
        )
        return self


def run(study, out, *options, expect=0, **how):
    """Run to the end; the finished Run."""
    return Run(study, out, *options, **how).finish(expect)


def wait_for(condition, what, seconds=60):
    limit = time.monotonic() + seconds
    while not condition():
        lib.check(time.monotonic() < limit, f"no {what} within {seconds} s")
        time.sleep(0.01)


# ---------------------------------------------------------------------------------------------
# Folders
# ---------------------------------------------------------------------------------------------


def log_text(out):
    try:
        return (pathlib.Path(out) / "log.txt").read_text(errors="replace")
    except FileNotFoundError:
        return ""


def events(out, event):
    return [line for line in log_text(out).splitlines() if line.split(" ", 1)[0] == event]


def cells_of(lines):
    return [word[5:] for line in lines for word in line.split() if word.startswith("cell=")]


def table_bytes(out):
    return (pathlib.Path(out) / "results.csv").read_bytes()


def check_table(out, reference, what):
    lib.check_same_bytes(
        table_bytes(out).decode(errors="replace"), reference.decode(), f"{what}: results.csv"
    )


def check_nothing_redone(out):
    """Every cell was finished once over all runs, and none was touched after that."""
    done = []
    for line in log_text(out).splitlines():
        for cell in cells_of([line]):
            event = line.split(" ", 1)[0]
            lib.check(cell not in done, f"{cell} was finished, and then: {line}")
            if event == "cell_done" and " of=" in line:  # else torn off: the disk was full
                done.append(cell)
    files = sorted(path.stem for path in (pathlib.Path(out) / "cells").glob("*.h5"))
    # A process killed between the file and the line leaves the file: never the other way round.
    lib.check(set(done) <= set(files), f"done by the log, without a file: {set(done) - set(files)}")
    return len(done), len(files)


def _is_rich(out, cells):
    """Enough finished cells, and a cell with checkpoints of two generations."""
    last = {path.name for path in out.glob("checkpoints/*.h5")}
    before = {path.name for path in out.glob("checkpoints/previous/*.h5")}
    return len(list(out.glob("cells/*.h5"))) >= cells and bool(last & before)


def _run_until(study, out, ranks, event, number):
    """Run until an event was logged `number` times in this run (or it ended); the Run, its pids."""
    before = len(events(out, event))
    run, pids = Run(study, out, ranks=ranks), {}
    while run.running() and len(events(out, event)) < before + number:
        pids = pids or run.ranks()  # beforehand: then the signal comes at once
        time.sleep(0.005)
    return run, pids


def _interrupt(study, out, ranks, cells):
    """Stopped twice, then killed; False where the study is through before."""
    for event, number in ("cell_done", cells), ("cell_resumed", 1):  # two generations
        run, pids = _run_until(study, out, ranks, event, number)
        run.send(signal.SIGUSR1, list(pids.values())[:1])
        if run.wait() != 75:
            return False
    run, _ = _run_until(study, out, ranks, "cell_resumed", 1)
    run.end()
    return _is_rich(out, cells)


def interrupted(folder, ranks=2, cells=1, steps=3000, **text):
    """A study (study_text() with these arguments) and its results folder as a killed run leaves it:
    finished cells, checkpoints, previous ones.  A machine that is through before it can be
    interrupted gets longer trainings than `steps`."""
    for steps in (steps * 3**k for k in range(6)):
        study = lib.write_study(folder, study_text(steps=steps, **text), f"study-{steps}.yaml")
        out = folder / f"interrupted-{steps}"
        if _interrupt(study, out, ranks, cells):
            return study, out
    raise lib.Failure("no run was interrupted while it held checkpoints of two generations")


# ---------------------------------------------------------------------------------------------
# Faults
# ---------------------------------------------------------------------------------------------


def fault_environment(folder, call, action, count_file=None):
    """Let the call-th change of a file below `folder` fail on rank 0 and others alike.

    action: ENOSPC, EIO, EDQUOT, KILL, or INTERRUPT (every other call, not the call-th); call 0: count only.
    """
    shim = os.environ.get("NTKLENS_FAULT_SHIM")
    if not shim or not os.path.exists(shim):
        raise lib.Skip("NTKLENS_FAULT_SHIM does not name the fault library")
    result = {
        "LD_PRELOAD": os.path.abspath(shim),
        "NTKLENS_FAULT_FOLDER": str(folder),
        "NTKLENS_FAULT_CALL": str(call),
        "NTKLENS_FAULT_ACTION": action,
    }
    if count_file is not None:
        result["NTKLENS_FAULT_COUNT"] = str(count_file)
    return result

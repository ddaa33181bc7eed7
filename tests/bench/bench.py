#!/usr/bin/env python3
"""The benchmarks behind tools/bench, which builds and starts this.

A benchmark is a function that yields cases; a case names two or more contestants, each a function
that does the work once and returns seconds. The contestants of a case take turns, so that what
disturbs the machine disturbs all of them, and the medians are compared.
"""

import argparse
import csv
import datetime
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEER = pathlib.Path(__file__).resolve().parent / "peer.py"
CORES = sorted(os.sched_getaffinity(0))


class Unavailable(Exception):
    """Why something cannot run here."""


class Case:
    """One line of the table. `ours`, `peers`, `limit`: functions that return a number in `unit`."""

    def __init__(self, name, unit, ours, peers=None, limit=None, goal=None, share_goal=None, turns=None):
        self.name, self.unit = name, unit
        self.contestants = {"ours": ours, **(peers or {})}
        if limit is not None:
            self.contestants["limit"] = limit
        self.goal, self.share_goal, self.turns = goal, share_goal, turns


# ---------------------------------------------------------------------------------------------
# Running programs
# ---------------------------------------------------------------------------------------------


class Bench:
    """What all benchmarks use: options, environment, programs."""

    def __init__(self, options):
        self.options = options
        self.program = pathlib.Path(options.start) / options.program
        self.build = self.program.resolve().parents[2]
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="ntklens-bench-"))
        self.left_out = []
        if not self.program.exists():
            raise SystemExit(f"bench.py: {self.program} is missing; run tools/bench without --no-build")
        self.kernel = self.blas_kernel()
        self.libraries = self.installed()

    def blas_kernel(self):
        """The kernels that ntklens chooses here, for both sides."""
        told = os.environ.get("OPENBLAS_CORETYPE")
        return told if told else self.doctor_kernel() or ""

    def doctor_kernel(self):
        text = subprocess.run([self.program, "--version"], capture_output=True, text=True).stdout
        return text.rpartition("kernels ")[2].split(")")[0].strip() if "kernels " in text else None

    def installed(self):
        versions = {}
        for name in ("numpy", "scipy", "torch", "functorch"):
            code = f"import {name}; print({name}.__version__)"
            found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
            if found.returncode == 0:
                versions[name] = found.stdout.strip()
            else:
                self.leave_out(f"peer {name}", "not installed for " + sys.executable)
        return versions

    def leave_out(self, what, why):
        self.left_out.append({"what": what, "why": why})
        print(f"left out: {what}: {why}", file=sys.stderr, flush=True)

    def needs(self, *libraries):
        missing = [name for name in libraries if name not in self.libraries]
        if missing:
            raise Unavailable(f"needs Python's {' and '.join(missing)}")

    def images(self, name):
        """The folder of a set of images: mnist or cifar10."""
        base = self.options.data
        folder = pathlib.Path(self.options.start) / base / name if base else None
        if folder is None or not folder.is_dir():
            told = f"needs {name}: --data DIR or NTKLENS_DATA, with DIR/{name} from tools/fetch-data"
            raise Unavailable(told)
        return folder

    def environment(self, threads, as_installed=False):
        result = dict(os.environ)
        result.pop("OPENBLAS_CORETYPE", None)
        result.pop("OPENBLAS_NUM_THREADS", None)
        result.pop("OMP_NUM_THREADS", None)
        if threads is not None:
            result["OPENBLAS_NUM_THREADS"] = result["OMP_NUM_THREADS"] = str(threads)
        if self.kernel and not as_installed:
            result["OPENBLAS_CORETYPE"] = self.kernel
        return result

    def start(self, line, threads=1, cores=None, as_installed=False):
        return subprocess.Popen(
            [str(word) for word in line],
            env=self.environment(threads, as_installed),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
        )

    def wait(self, process):
        """The JSON objects that a program printed."""
        out, err = process.communicate()
        if process.returncode != 0:
            line = " ".join(process.args)
            raise SystemExit(f"bench.py: {line}: exit code {process.returncode}:\n{err.strip()}")
        return [json.loads(line) for line in out.splitlines() if line.startswith("{")]

    def run(self, line, **how):
        return self.wait(self.start(line, **how))

    def plan(self, study, ranks):
        """What `ntklens plan` says of a study."""
        text, _ = self.start([self.program, "plan", study, "--ranks", ranks, "--json"]).communicate()
        return json.loads(text)

    def peer(self, *arguments):
        return [sys.executable, "-B", PEER, *arguments]

    def micro(self, name, *arguments):
        return [self.build / "tests" / "bench" / name, *arguments]

    def mpirun(self, ranks):
        launcher = shutil.which("mpirun") or shutil.which("mpiexec")
        if launcher is None:
            raise Unavailable("needs mpirun")
        return [launcher, "-n", ranks]

    def side_by_side(self, line, count, threads, **how):
        """Seconds a piece of work where `count` processes do one each at the same time."""
        cores = [CORES[k % len(CORES) : k % len(CORES) + threads] for k in range(count)]
        started = [self.start(line, threads=threads, cores=c, **how) for c in cores]
        seconds = [self.wait(process)[-1]["seconds"] for process in started]
        return 1 / sum(1 / s for s in seconds)


# ---------------------------------------------------------------------------------------------
# A table of cases
# ---------------------------------------------------------------------------------------------


def measure(bench, group, case):
    """Turns of all contestants, one after the other; medians, ratios, and whether goals are met."""
    turns = {name: [] for name in case.contestants}
    for _ in range(1 if bench.options.quick else case.turns or bench.options.turns):
        for name, contestant in list(case.contestants.items()):
            try:
                turns[name].append(contestant())
            except Unavailable as reason:
                bench.leave_out(f"{group}: {case.name}: {name}", str(reason))
                del case.contestants[name], turns[name]
                if name == "ours":
                    return None
    median = {name: statistics.median(values) for name, values in turns.items()}
    peers = {name: value for name, value in median.items() if name not in ("ours", "limit")}
    best = min(peers, key=peers.get) if peers else None
    row = {
        "benchmark": group,
        "case": case.name,
        "unit": case.unit,
        "ours": median["ours"],
        "peers": peers,
        "peer": best,
        "limit": median.get("limit"),
        "times_faster": peers[best] / median["ours"] if best else None,
        "share_of_limit": median["limit"] / median["ours"] if "limit" in median else None,
        "goal_times_faster": case.goal,
        "goal_share_of_limit": case.share_goal,
        "turns": turns,
    }
    checks = [(row["times_faster"], case.goal), (row["share_of_limit"], case.share_goal)]
    known = [got >= goal for got, goal in checks if goal is not None and got is not None]
    row["met"] = all(known) if known and not bench.options.quick else None
    return row


def short(value):
    return "" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


HEAD = ["benchmark", "case", "unit", "ours", "peer", "limit", "times faster", "of limit", ""]


def cells(row):
    goal, share = row["goal_times_faster"], row["goal_share_of_limit"]
    ratio, part = row["times_faster"], row["share_of_limit"]
    return [
        row["benchmark"],
        row["case"],
        row["unit"],
        short(row["ours"]),
        f"{short(row['peers'][row['peer']])} ({row['peer']})" if row["peer"] else "",
        short(row["limit"]),
        "" if ratio is None else f"{ratio:.2f}" + (f" (goal {goal:g})" if goal else ""),
        "" if part is None else f"{100 * part:.0f} %" + (f" (goal {100 * share:.0f} %)" if share else ""),
        "; ".join(filter(None, ["below goal" if row["met"] is False else "", row["note"]])),
    ]


def print_table(rows, stream=sys.stdout):
    lines = [HEAD] + [cells(row) for row in rows]
    widths = [max(len(line[k]) for line in lines) for k in range(len(HEAD))]
    rule = ["-" * width for width in widths]
    for line in [lines[0], rule, *lines[1:]]:
        print("| " + " | ".join(text.ljust(width) for text, width in zip(line, widths)) + " |", file=stream)


# ---------------------------------------------------------------------------------------------
# Benchmarks
# ---------------------------------------------------------------------------------------------

BENCHMARKS = {}


def benchmark(function):
    BENCHMARKS[function.__name__] = function
    return function


@benchmark
def gram(bench):
    """Full kernel with its back-signals on one core, MLP 784-W-W-10; torch works in single precision.

    Then what it takes to hold it against its network's Jacobian, beside the fill."""
    points = 40 if bench.options.quick else 400
    one = CORES[:1]

    def torch(width):
        def turn():
            bench.needs("torch", "numpy")
            line = bench.peer("gram", "--width", width, "--points", points, "--repeats", 2)
            return bench.run(line, cores=one)[-1]["seconds"]

        return turn

    def ours(width, precision, member):
        line = bench.micro("bench_gram", "--width", width, "--points", points, "--precision", precision)
        return lambda: bench.run(line, cores=one)[-1][member]

    goals = {("double", 512): 2.4, ("single", 512): 4.0, ("double", 32): 2.0, ("single", 32): None}
    for (precision, width), goal in goals.items():
        yield Case(
            f"n = {10 * points}, width {width}, {precision}",
            "s",
            ours(width, precision, "seconds"),
            {"torch": torch(width)},
            limit=ours(width, precision, "limit_seconds"),
            goal=goal,
            share_goal=0.65 if width == 512 else None,
        )
    for precision, width in goals:
        yield Case(
            f"check of it, n = {10 * points}, width {width}, {precision}",
            "s",
            ours(width, precision, "check_seconds"),
            {"its fill": ours(width, precision, "seconds")},
            goal=10,
        )


QUADRATURE = """\
data: {{source: mnist, path: {mnist}, train_sizes: [{points}], test_size: 100, standardize: false,
  probe_from: train, probe_size: {points}}}
model: {{widths: [{width}], depths: [2]}}
training: {{loss: cross-entropy, learning_rate: 0.01, batch_size: 32, max_steps: 1}}
seeds: [0]
measure: {{kernels: [full], steps_per_decade: 0, method: quadrature, relative_error: 0.01}}
"""


@benchmark
def large_subsets(bench):
    """What kernels of --images images are made of on one core: products with 16 vectors, and duals; and the effective
    rank of a whole state by quadrature beside scipy's eigsh and Lanczos on torch's products."""
    points = 300 if bench.options.quick else bench.options.images
    one = CORES[:1]

    def ours(what, width, member):
        line = bench.micro("bench_large", "--what", what, "--width", width, "--points", points, "--repeats", 1)
        return lambda: bench.run(line, cores=one)[-1][member]

    def torch(width):
        def turn():
            bench.needs("torch", "functorch")
            return bench.run(bench.peer("products", "--width", width, "--points", points), cores=one)[-1]["seconds"]

        return turn

    for width in (8,) if bench.options.quick else (8, 64, 256, 1024):
        yield Case(
            f"a product, {points} images, width {width}",
            "s",
            ours("product", width, "seconds"),
            {"torch": torch(width)},
            limit=ours("product", width, "limit_seconds"),
            goal=3,
            share_goal=0.6,
        )
    for width in (2,) if bench.options.quick else (8, 16):
        yield Case(
            f"a dual, {points} images, width {width}",
            "s",
            ours("dual", width, "seconds"),
            limit=ours("dual", width, "limit_seconds"),
            share_goal=0.6,
        )
    mnist = bench.images("mnist")
    for width in (8,) if bench.options.quick else (64, 256):
        text = QUADRATURE.format(mnist=mnist, points=points, width=width)

        def state(text=text):
            """Half of what two states take, with the check of the first images."""
            phases = StudyRun(bench, 1, text, threads=1).phases
            return (phases["gram"] + phases["solve"] + phases["observe"]) / 2

        def scipy(width=width):
            bench.needs("torch", "functorch", "scipy")
            line = bench.peer("quadrature", "--width", width, "--points", points, "--mnist", mnist)
            return bench.run(line, cores=one)[-1]["seconds"]

        name = f"effective rank to 1 %, {points} images, width {width}"
        yield Case(name, "s", state, {"scipy, torch": scipy}, goal=3, turns=1)


@benchmark
def functorch(bench):
    """The same kernel by Jacobian contraction, the usual way; minutes."""
    points = 20 if bench.options.quick else 400
    width = 512

    def peer():
        bench.needs("torch", "functorch")
        line = bench.peer("functorch", "--width", width, "--points", points, "--threads", len(CORES))
        return bench.run(line, threads=len(CORES))[-1]["seconds"]

    line = bench.micro("bench_gram", "--width", width, "--points", points, "--precision", "double")
    yield Case(
        f"n = {10 * points}, width {width}, double",
        "s",
        lambda: bench.run(line, cores=CORES[:1])[-1]["seconds"],
        {f"functorch on {len(CORES)} cores": peer},
        goal=500,
        turns=1,
    )


@benchmark
def eigen(bench):
    """Eigenvalues, kernels a minute on all cores: one process a core against NumPy, either way."""
    count = len(CORES)
    goals = {(1500, "double"): 1.4, (4000, "double"): 2.0, (1500, "single"): 2.0, (4000, "single"): 3.3}
    if bench.options.quick:
        goals = {(300, "double"): None, (300, "single"): None}
    for (n, precision), goal in goals.items():
        repeats = 4 if n < 2000 else 1
        ours = bench.micro("bench_eigen", "--n", n, "--precision", precision, "--repeats", repeats)
        single = ["--single"] if precision == "single" else []
        peer = bench.peer("eigen", "--n", n, "--repeats", repeats, *single)

        def numpy(processes, line=peer):
            bench.needs("numpy", "torch")
            return bench.side_by_side(line, processes, count // processes)

        yield Case(
            f"n = {n}, {precision}, {count} at a time",
            "s/kernel",
            lambda line=ours: bench.side_by_side(line, count, 1),
            {
                f"numpy, {count} threads": lambda f=numpy: f(1),
                f"numpy, {count} processes": lambda f=numpy: f(count),
            },
            goal=goal,
        )


@benchmark
def shared(bench):
    """Eigenvalues of one kernel that two ranks share."""
    n = 400 if bench.options.quick else 6000
    line = [*bench.mpirun(2), *bench.micro("bench_eigen", "--n", n, "--precision", "double")]

    def numpy():
        bench.needs("numpy", "torch")
        return bench.run(bench.peer("eigen", "--n", n), threads=2, cores=CORES[:2])[-1]["seconds"]

    yield Case(
        f"n = {n}, double, 2 ranks",
        "s",
        lambda: bench.run(line)[-1]["seconds"],
        {"numpy, 2 threads": numpy},
        goal=1.5,
        turns=3,
    )


@benchmark
def train(bench):
    """Training steps on one core, MLP 784-W-W-10, batch 32.

    The limit is its matrix products alone; of widths that no cache holds, what operations and bytes take at the rates
    of a large product and of long arrays, whichever is more.
    """
    goals = {
        ("sgd", 16): 3.0,
        ("sgd", 64): 3.0,
        ("sgd", 256): 2.2,
        ("sgd", 1024): 1.7,
        ("sgd", 2048): 2.0,
        ("sgd", 4096): 2.0,
        ("adam", 16): 6.0,
        ("adam", 64): 6.0,
        ("adam", 256): 6.0,
        ("adam", 1024): 2.5,
        ("adam", 2048): 2.0,
        ("adam", 4096): 2.0,
    }
    seconds = 0.05 if bench.options.quick else 0.5
    one = CORES[:1]
    for (optimizer, width), goal in goals.items():
        same = ["--width", width, "--optimizer", optimizer, "--seconds", seconds]
        ours = bench.micro("bench_train", *same)
        limit = "limit_microseconds" if width >= 2048 else "gemm_microseconds"

        def torch(line=bench.peer("train", *same)):
            bench.needs("torch", "numpy")
            return bench.run(line, cores=one)[-1]["microseconds"]

        yield Case(
            f"{optimizer}, width {width}",
            "us/step",
            lambda line=ours: bench.run(line, cores=one)[-1]["microseconds"],
            {"torch": torch},
            limit=lambda line=ours, name=limit: bench.run(line, cores=one)[-1][name],
            goal=goal,
            share_goal=0.75 if width >= 2048 else 0.8 if optimizer == "sgd" and width >= 256 else None,
        )


@benchmark
def convolution(bench):
    """Training steps of a cnn of three convolutions on CIFAR-10's images, and its full kernel, on one core.

    PyTorch with mkldnn and channels last, or functorch; the limit is the same operations at GEMM's rate."""
    one = CORES[:1]
    seconds = 0.2 if bench.options.quick else 2
    goals = {16: 2.0, 64: 1.4, 256: 1.1}

    def torch(line, member):
        def turn():
            bench.needs("torch", "functorch")
            return bench.run(line, cores=one)[-1][member]

        return turn

    for width, goal in goals.items():
        for batch in (32,) if bench.options.quick else (32, 128):
            same = ["--width", width, "--batch", batch, "--seconds", seconds]
            ours = bench.micro("bench_convolution", *same)
            yield Case(
                f"step, {width} channels, batch {batch}",
                "ms/step",
                lambda line=ours: bench.run(line, cores=one)[-1]["milliseconds"],
                {"torch": torch(bench.peer("convolution", *same), "milliseconds")},
                limit=lambda line=ours: bench.run(line, cores=one)[-1]["limit_milliseconds"],
                goal=goal,
                share_goal=0.85 if width >= 64 else None,
            )
    for width, points in ((16, 8),) if bench.options.quick else ((16, 60), (64, 40)):
        for precision, goal in (("double", 3.0), ("single", 6.0)):
            same = ["--width", width, "--points", points]
            ours = bench.micro("bench_convolution", *same, "--precision", precision)
            yield Case(
                f"full kernel, {width} channels, n = {10 * points}, {precision}",
                "s",
                lambda line=ours: bench.run(line, cores=one)[-1]["seconds"],
                {
                    "functorch, double": torch(bench.peer("convolution-kernel", *same), "seconds"),
                    "structured, double": torch(
                        bench.peer("convolution-kernel", *same, "--structured"), "seconds"
                    ),
                },
                limit=lambda line=ours: bench.run(line, cores=one)[-1]["limit_seconds"],
                goal=goal,
            )


STUDY = """\
data: {{source: mnist, path: {mnist}, train_sizes: [512], test_size: 2000, probe_size: {probe}, standardize: false}}
model: {{widths: {widths}, depths: [2], parametrization: standard, activation: relu}}
training: {{loss: cross-entropy, optimizer: sgd, learning_rate: 0.1, batch_size: 32, max_steps: {steps}}}
seeds: [0, 1]
measure: {{kernels: [traced, full], steps_per_decade: 4, precision: {precision}}}
"""


class StudyRun:
    """A study computed once.

    seconds: wall time of mpirun;  phases: seconds of each phase, summed over ranks;  end: last event of the log.
    """

    def __init__(self, bench, ranks, text, **how):
        folder = pathlib.Path(tempfile.mkdtemp(dir=bench.scratch))
        study, out = folder / "study.yaml", folder / "out"
        study.write_text(text)
        line = [*bench.mpirun(ranks), bench.program, "run", study, "-o", out, "--quiet"]
        start = time.perf_counter()
        bench.run(line, **how)
        self.seconds = time.perf_counter() - start
        end = (out / "log.txt").read_text().splitlines()[-1]
        self.end = dict(word.split("=", 1) for word in end.split() if "=" in word)
        self.phases = {}
        for timing in csv.DictReader((out / "timings.csv").open()):
            self.phases[timing["phase"]] = self.phases.get(timing["phase"], 0.0) + float(timing["seconds"])
        shutil.rmtree(folder)


def phase_cases(bench, name, text, precision, runs):
    """What ranks did in studies that have run, and how long its operations, as `plan` counts them, take at the rate of
    a large product on one core."""
    study = bench.scratch / "phases.yaml"
    study.write_text(text)
    work = bench.plan(study, 1)["work"]
    rates = bench.run(bench.micro("bench_convolution", "--what", "rates"), cores=CORES[:1])[-1]
    for phase, of in (("train", "single"), ("evaluate", "single"), ("gram", precision), ("solve", precision)):
        yield Case(
            f"{name}: {phase}",
            "core s",
            lambda phase=phase: statistics.median(run.phases[phase] for run in runs),
            limit=lambda phase=phase, of=of: 1e-9 * work[phase]["flops"] / rates[of],
            turns=1,
        )


@benchmark
def study(bench):
    """A whole study, all that its processes do included, on all cores."""
    mnist = bench.images("mnist")
    widths, steps, probe = ([16], 50, 20) if bench.options.quick else ([16, 64, 256], 2000, 150)
    count = len(CORES)
    for precision, as_installed, goal in (("double", False, 2.0), ("single", False, 2.8), ("double", True, None)):
        text = STUDY.format(mnist=mnist, widths=widths, steps=steps, probe=probe, precision=precision)
        line = bench.peer("study", "--processes", count, "--mnist", mnist, "--steps", steps)
        line += ["--probe", probe, "--widths", *widths]

        def ours(text=text, as_installed=as_installed):
            threads = None if as_installed else 1
            return StudyRun(bench, count, text, threads=threads, as_installed=as_installed).seconds

        def torch(line=line, as_installed=as_installed):
            bench.needs("torch", "numpy")
            return bench.run(line, threads=None, as_installed=as_installed)[-1]["seconds"]

        told = "as installed" if as_installed else "same BLAS kernel"
        yield Case(
            f"6 cells, {precision}, {told}" if not bench.options.quick else f"2 cells, {precision}, {told}",
            "s",
            ours,
            {f"torch + numpy, {count} processes": torch},
            goal=goal,
            turns=3,
        )


CONVOLUTION_STUDY = """\
data: {{source: cifar10, path: {cifar10}, train_sizes: [512], test_size: 1000, probe_size: {probe}, standardize: false}}
model: {{kind: cnn, widths: {widths}, depths: [1], stages: [1, 1, 1], weight_variance: 2.0}}
training: {{loss: cross-entropy, optimizer: sgd, learning_rate: 0.05, batch_size: 32, max_steps: {steps}, evaluations_per_decade: 4}}
seeds: [0, 1]
measure: {{kernels: [traced, full], steps_per_decade: 4, precision: {precision}}}
"""


@benchmark
def convolution_study(bench):
    """A whole study of convolutional networks on CIFAR-10, all that its processes do included, on all cores."""
    cifar10 = bench.images("cifar10")
    widths, steps, probe = ([4], 20, 6) if bench.options.quick else ([8, 16, 32], 1000, 60)
    count = len(CORES)
    line = bench.peer("study", "--cnn", "--processes", count, "--cifar10", cifar10, "--steps", steps)
    line += ["--probe", probe, "--rate", 0.05, "--tests", 1000, "--widths", *widths]

    def torch():
        bench.needs("torch", "numpy", "functorch")
        return bench.run(line, threads=None)[-1]["seconds"]

    for precision in ("double", "single"):
        text = CONVOLUTION_STUDY.format(
            cifar10=cifar10, widths=widths, steps=steps, probe=probe, precision=precision
        )
        runs = []

        def ours(text=text, runs=runs):
            runs.append(StudyRun(bench, count, text, threads=1))
            return runs[-1].seconds

        name = f"{2 * len(widths)} cnns, {precision}"
        peer = {f"torch + functorch, {count} processes": torch}
        yield Case(name, "s", ours, peer, goal=2.5, turns=3)
        yield from phase_cases(bench, name, text, precision, runs)


@benchmark
def scaling(bench):
    """configs/quickstart.yaml on MNIST, one rank against two; the time of mpirun as a whole."""
    mnist = bench.images("mnist")
    text = (ROOT / "configs" / "quickstart.yaml").read_text()
    head, _, tail = text.partition("  source: glyphs")
    text = head + f"  path: {mnist}\n  source: mnist" + tail
    if bench.options.quick:
        text = text.replace("max_steps: 3000", "max_steps: 30").replace("probe_size: 100", "probe_size: 10")
    idle = []

    def two():
        run = StudyRun(bench, 2, text, threads=1)
        idle.append(float(run.end["idle_percent"]))
        bench.notes["scaling"] = f"idle {statistics.median(idle):.1f} % of rank time"
        return run.seconds

    yield Case(
        "quickstart on MNIST, 2 ranks",
        "s",
        two,
        {"1 rank": lambda: StudyRun(bench, 1, text, threads=1).seconds},
        goal=1.85,
    )


SHARED = """\
data: {{source: {source}, path: {path}, train_sizes: [2048], test_size: 200, probe_size: 10}}
model: {model}
training: {{loss: cross-entropy, optimizer: {optimizer}, learning_rate: 0.001, batch_size: 32, max_steps: {steps}}}
seeds: [0]
measure: {{kernels: [traced], steps_per_decade: 0}}
"""


@benchmark
def sharing(bench):
    """Training of one network by 2 ranks, one of which lends its core, and by 1; seconds of steps alone."""
    cases = [
        (1024, "sgd", 2000, 1.6),
        (1024, "adam", 1500, 1.6),
        (2048, "sgd", 600, 1.7),
        (2048, "adam", 400, 1.7),
        (64, "cnn", 200, 1.7),
    ]
    for width, what, steps, goal in cases:
        cnn = what == "cnn"
        source = "cifar10" if cnn else "mnist"
        text = SHARED.format(
            source=source,
            path=bench.images(source),
            model=f"{{kind: cnn, widths: [{width}], stages: [1, 1, 1]}}" if cnn else f"{{widths: [{width}]}}",
            optimizer="sgd" if cnn else what,
            steps=steps // 20 if bench.options.quick else steps,
        )

        def seconds(ranks, text=text):
            return StudyRun(bench, ranks, text).phases["train"]

        yield Case(
            f"{what}, width {width}" if not cnn else f"cnn of {width} channels",
            "s",
            lambda seconds=seconds: seconds(2),
            {"1 rank": lambda seconds=seconds: seconds(1)},
            goal=goal,
            turns=3,
        )


LARGE = """\
data: {{source: mnist, path: {mnist}, train_sizes: [512], test_size: 2000, probe_size: {probe}}}
model: {{widths: [64], depths: [2]}}
training: {{learning_rate: 0.1, batch_size: 32, max_steps: 1}}
seeds: [0]
measure: {{kernels: [full], steps_per_decade: 0, team_size: 2, solver: scalapack}}
"""


@benchmark
def large(bench):
    """Peak memory of a rank where two share a kernel of order 20,000: ours, and what plan says (limit:
    1.25 local matrices and 300 MB)."""
    probe = 40 if bench.options.quick else 2000
    study, out = bench.scratch / "large.yaml", bench.scratch / "large"
    study.write_text(LARGE.format(mnist=bench.images("mnist"), probe=probe))
    seconds = []

    def planned():
        return bench.plan(study, 2)["memory"]["per_rank"] / 1e6

    def ours():
        start = time.perf_counter()
        bench.run([*bench.mpirun(2), bench.program, "run", study, "-o", out, "--quiet"])
        seconds.append(time.perf_counter() - start)
        bench.notes["large"] = f"{seconds[0]:.0f} s, three states"
        lines = (out / "timings.csv").read_text().splitlines()[1:]
        return max(float(line.split(",")[4]) for line in lines) / 1e6

    yield Case(
        f"n = {10 * probe}, 2 ranks",
        "MB/rank",
        ours,
        {"plan": planned},
        limit=lambda: 1.25 * (10 * probe) ** 2 * 8 / 2 / 1e6 + 300,
        share_goal=1.0,
        turns=1,
    )


LONG = ("functorch", "large")

# ---------------------------------------------------------------------------------------------
# All together
# ---------------------------------------------------------------------------------------------


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def commit():
    told = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return told.stdout.strip() or None


def facts(bench):
    version = subprocess.run([bench.program, "--version"], capture_output=True, text=True).stdout.strip()
    return {
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "cores": len(CORES),
        "system": platform.platform(),
        "program": version,
        "commit": commit(),
        "blas_kernel": bench.kernel,
        "python": platform.python_version(),
        "libraries": bench.libraries,
        "quick": bench.options.quick,
        "load_before": os.getloadavg()[0],
    }


def chosen(options):
    if options.only:
        names = options.only.split(",")
        unknown = [name for name in names if name not in BENCHMARKS]
        if unknown:
            raise SystemExit(f"bench.py: --only {','.join(unknown)}: expected some of {','.join(BENCHMARKS)}")
        return names
    return [name for name in BENCHMARKS if options.long or name not in LONG]


def parse():
    told = "\n".join(f"  {name:10s} {function.__doc__}" for name, function in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="tools/bench",
        description="benchmarks:\n" + told,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", metavar="NAME,...", help="these benchmarks")
    parser.add_argument("--quick", action="store_true", help="one turn of one small case of each")
    parser.add_argument("--long", action="store_true", help="also " + " and ".join(LONG))
    parser.add_argument("--turns", type=int, default=5, help="whose median counts (5)")
    parser.add_argument("--images", type=int, default=6000, help="of large_subsets (6000)")
    parser.add_argument("--data", default=os.environ.get("NTKLENS_DATA"), help="folder that holds mnist/")
    parser.add_argument("--output", help="file of the figures (build/bench/bench.json)")
    program = ROOT / "build" / "bench" / "src" / "app" / "ntklens"
    parser.add_argument("--program", default=program, help="of another release build (build/bench)")
    parser.add_argument("--from", dest="start", default=".", help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    options = parse()
    names = chosen(options)
    bench = Bench(options)
    bench.notes = {}
    told, rows = facts(bench), []
    try:
        for name in names:
            try:
                for case in BENCHMARKS[name](bench):
                    row = measure(bench, name, case)
                    if row is not None:
                        row["note"] = bench.notes.get(name, "")
                        rows.append(row)
                        print_table([row], sys.stderr)
                    if options.quick:
                        break
            except Unavailable as reason:
                bench.leave_out(name, str(reason))
    finally:
        shutil.rmtree(bench.scratch, ignore_errors=True)
    output = pathlib.Path(options.start) / options.output if options.output else bench.build / "bench.json"
    output.write_text(json.dumps({"facts": told, "rows": rows, "left_out": bench.left_out}, indent=1) + "\n")
    print(f"{told['processor']}, {told['cores']} cores, BLAS kernel {told['blas_kernel']}, {told['date']}")
    print_table(rows)
    print(f"all figures: {output}", file=sys.stderr)


if __name__ == "__main__":
    main()

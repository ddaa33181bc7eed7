"""Images are recognised: other ones under the same names are refused, the same ones elsewhere are
the same study, and sets that are not what their name says are told."""

import gzip
import os
import re
import shutil
import signal

import lib
import life

STUDY = """\
    study: t
    data: {{source: {source}, path: {path}, train_sizes: [40], test_size: 60, probe_size: 20}}
    model: {{widths: [8]}}
    training: {{max_steps: 20}}
    measure: {{steps_per_decade: 1}}
    output: {{snapshots: measured}}
"""
FINGERPRINT = r"train=\d+x1x28x28:[0-9a-f]{8}:[0-9a-f]{8} test=\d+x1x28x28:[0-9a-f]{8}:[0-9a-f]{8}"
FILES = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
]


def write_images(folder, seed, train=200, test=120):
    """Four IDX files of random images."""
    numpy = lib.need("numpy")
    random = numpy.random.default_rng(seed)
    folder.mkdir()
    for name, count in (("train", train), ("t10k", test)):
        pixels = random.integers(0, 256, (count, 28, 28), dtype=numpy.uint8)
        labels = (numpy.arange(count) % 10).astype(numpy.uint8)
        header = count.to_bytes(4, "big")
        (folder / f"{name}-images-idx3-ubyte").write_bytes(
            bytes([0, 0, 8, 3]) + header + bytes([0, 0, 0, 28, 0, 0, 0, 28]) + pixels.tobytes()
        )
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(
            bytes([0, 0, 8, 1]) + header + labels.tobytes()
        )
    return folder


class Two:
    """A study on the images in kA, and others in kB."""

    def __init__(self):
        self.base = lib.scratch("images")
        self.a = write_images(self.base / "kA", 1)
        self.b = write_images(self.base / "kB", 2)
        self.out = self.base / "o"

    def run(self, path, *options, out=None, source="mnist", **rest):
        text = STUDY.format(source=source, path=path)
        return lib.run_study(text, out or self.out, *options, **rest)


def content(out):
    """Every file of a results folder but the lock; the log may grow."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in ("lock", "log.txt")
    }


def check_refused(result, where):
    """One line that names both fingerprints, and the folder or cell."""
    lines = [line for line in lib.complaints(result) if "made from other images" in line]
    lib.check(len(lines) == 1, f"{len(lines)} refusals, expected one:\n{result.stderr}")
    found = re.findall(FINGERPRINT, lines[0])
    lib.check(len(set(found)) == 2, f"not two fingerprints: {lines[0]}")
    lib.check(where in lines[0], f"{where} is not named: {lines[0]}")


def fingerprint(out):
    """That of all cells of a folder, which must agree with study.yaml and the log."""
    found = {str(file.attrs["data_fingerprint"]) for file in lib.cell_files(out).values()}
    lib.check(len(found) == 1, f"fingerprints of the cells: {found}")
    one = found.pop()
    lib.check(re.fullmatch(FINGERPRINT, one), f"fingerprint {one!r}")
    lib.check(f'"data_fingerprint": "{one}"' in (out / "study.yaml").read_text(), "study.yaml")
    lib.check(f'fingerprint="{one}"' in lib.log_events(out, "images")[-1], "log.txt")
    return one


def forget(out):
    """Make a folder of an older version of it."""
    for path in out.glob("c*/*.h5"):
        lib.edit_cell(path, lambda file: file.attrs.pop("data_fingerprint"))
    study = out / "study.yaml"
    lines = study.read_text().splitlines(keepends=True)
    study.write_text("".join(line for line in lines if '"data_' not in line))


LONG = ("--set", "model.widths=[16]", "--set", "training.max_steps=20000000")


def leave_checkpoint(two, path):
    """Begin a training without end, and stop it once it has left a checkpoint."""
    study = lib.write_study(two.base, STUDY.format(source="mnist", path=path), "o.yaml")
    run = life.Run(study, two.out, *LONG, "--set", "checkpoint.every=0.05", ranks=1)
    life.wait_for(lambda: list(two.out.glob("checkpoints/*.h5")), "checkpoint", lib.TIMEOUT)
    run.send(signal.SIGUSR1, run.ranks().values())
    run.finish(75)


# ---------------------------------------------------------------------------------------------
# Other images
# ---------------------------------------------------------------------------------------------


@lib.case
def a_grid_grown_on_other_images_is_refused():
    for ranks in (None, 3):
        two = Two()
        two.run("kA")
        before = content(two.out)
        refused = two.run("kB", "--set", "seeds=[0,1]", expect=2, ranks=ranks)
        check_refused(refused, str(two.out))
        lib.check("--fresh" in refused.stderr, "--fresh is not offered")
        lib.check_equal(content(two.out), before, "files after the refusal")
        two.run("kA", "--set", "seeds=[0,1]", ranks=ranks)
        lib.check_equal({row["seed"] for row in lib.table(two.out)}, {"0", "1"}, "seeds")
        fingerprint(two.out)
        two.run("kB", "--fresh", ranks=ranks)
        lib.check_equal({row["seed"] for row in lib.table(two.out)}, {"0"}, "seeds when fresh")
        lib.check((two.out / "previous-1" / "results.csv").exists(), "the old table is gone")


@lib.case
def a_checkpoint_does_not_go_on_with_other_images():
    for lost in ((), ("study.yaml",)):
        two = Two()
        leave_checkpoint(two, "kA")
        for name in lost:
            (two.out / name).unlink()
        before = content(two.out)
        refused = two.run("kB", *LONG, "--max-time", "00:00:05", expect=2, ranks=3)
        check_refused(refused, "/o")
        lib.check_equal(content(two.out), before, "files after the refusal")


@lib.case
def kernels_are_not_measured_anew_on_other_images():
    two = Two()
    two.run("kA")
    before = content(two.out)
    for name in FILES[2:]:
        shutil.copy(two.b / name, two.a / name)
    check_refused(two.run("kA", "--set", "data.probe_size=12", expect=2), str(two.out))
    lib.check_equal(content(two.out), before, "files after the refusal")
    # Nor where the folder's study.yaml is lost: the files know.
    (two.out / "study.yaml").unlink()
    before.pop("study.yaml")
    check_refused(two.run("kA", "--set", "data.probe_size=12", expect=2), "w8-")
    check_refused(two.run("kA", expect=2), "w8-")
    lib.check_equal(content(two.out), before, "files after the refusal")


@lib.case
def folders_of_other_images_are_not_merged():
    two = Two()
    one, other, all = two.base / "one", two.base / "other", two.base / "all"
    two.run("kA", out=one)
    two.run("kB", "--set", "seeds=[1]", out=other)
    check_refused(lib.run(["merge", "-o", all, one, other], expect=2), str(other))
    lib.check(not all.exists() or not content(all), "something was written")
    text = (one / "study.yaml").read_text()  # a lie
    (other / "study.yaml").write_text(text.replace("seeds: [0]", "seeds: [1]"))
    check_refused(lib.run(["merge", "-o", all, one, other], expect=2), "w8-")
    same = two.base / "same"
    two.run("kA", "--set", "seeds=[1]", out=same)
    lib.run(["merge", "-o", all, one, same])
    lib.check_equal({row["seed"] for row in lib.table(all)}, {"0", "1"}, "seeds")
    lib.check(re.search(FINGERPRINT, (all / "study.yaml").read_text()), "study.yaml of the merged")
    two.run("kB", "--set", "seeds=[0,1]", out=all, expect=2)


@lib.case
def a_report_tells_studies_of_other_images_apart():
    two = Two()
    two.run("kA", out=two.base / "one")
    two.run("kB", out=two.base / "other")
    folders = two.base / "one", two.base / "other"
    told = lib.run(["report", *folders, "-o", two.base / "r"], expect=None)
    lib.check("data fingerprint (" in told.stdout + told.stderr, f"not told: {told.stdout}")


# ---------------------------------------------------------------------------------------------
# The same images
# ---------------------------------------------------------------------------------------------


@lib.case
def the_same_images_elsewhere_are_the_same_study():
    two = Two()
    two.run("kA")
    table = lib.table_text(two.out)
    mark = fingerprint(two.out)
    moved = two.base / "elsewhere" / "MNIST" / "raw"  # where torchvision puts them
    moved.mkdir(parents=True)
    for name in FILES:
        (moved / f"{name}.gz").write_bytes(gzip.compress((two.a / name).read_bytes()))
    shutil.rmtree(two.a)
    for path in (moved, moved.parent, moved.parents[1]):
        two.run(path)
        lib.check_same_bytes(lib.table_text(two.out), table, f"table on {path}")
    lib.check_equal(fingerprint(two.out), mark, "fingerprint")
    lib.check_equal(len(lib.log_events(two.out, "cell_done")), 1, "cells computed")
    # The resolved study is a study, here and on other images: these are told.
    again = lib.run(["run", two.out / "study.yaml", "-o", two.base / "again", "-q"])
    lib.check("resolved with other images" not in again.stderr, again.stderr)
    lib.check_same_bytes(lib.table_text(two.base / "again"), table, "table of the resolved study")
    on = ["run", two.out / "study.yaml", "-o", two.base / "b", "-q", "--set", f"data.path={two.b}"]
    told = lib.run(on).stderr
    lib.check("resolved with other images" in told, told)
    lib.check_equal(len(set(re.findall(FINGERPRINT, told))), 2, "fingerprints named")


@lib.case
def ranks_agree_and_glyphs_have_one_too():
    marks = set()
    for ranks in (None, 2, 3):
        out = lib.scratch("glyphs") / "o"
        text = STUDY.format(source="glyphs", path='""')
        told = lib.run_study(text, out, ranks=ranks)
        lib.check("as published" not in told.stderr, told.stderr)
        marks.add(fingerprint(out))
    lib.check_equal(len(marks), 1, "fingerprints of glyphs")


@lib.case
def folders_without_fingerprint_go_on():
    two = Two()
    two.run("kA")
    whole = content(two.out)["results.csv"]
    forget(two.out)
    told = two.run("kA")
    lines = [line for line in told.stderr.splitlines() if "carry no data fingerprint" in line]
    lib.check_equal(len(lines), 1, f"lines that say so ({told.stderr})")
    lib.check(lib.log_events(two.out, "fingerprint_missing"), "the log does not say so")
    lib.check_equal(content(two.out)["results.csv"], whole, "table")
    lib.check_equal(len(lib.log_events(two.out, "cell_done")), 1, "cells computed")
    two.run("kA", "--set", "seeds=[0,1]", "--set", "data.probe_size=12")
    fingerprint(two.out)  # measured anew, and so written anew
    two.run("kB", "--set", "seeds=[0,1]", "--set", "data.probe_size=12", expect=2)


# ---------------------------------------------------------------------------------------------
# Sets that are not what their name says
# ---------------------------------------------------------------------------------------------


def check_told(study, out, words, **data):
    """In a line on stderr, in the log, in study.yaml and by plan; the run itself is good."""
    told = lib.run_study(study, out).stderr
    lines = [line for line in told.splitlines() if "as published" in line]
    lib.check_equal(len(lines), 1, f"lines ({told})")
    plan = lib.run(["plan", out.parent / f"{out.name}.yaml"]).stdout
    json = lib.run(["plan", "--json", out.parent / f"{out.name}.yaml"]).stdout
    for where, text in (
        ("stderr", lines[0]),
        ("the log", lib.log_events(out, "images")[-1]),
        ("study.yaml", (out / "study.yaml").read_text()),
        ("plan", plan),
        ("plan --json", json),
    ):
        lib.check(words in text, f"{where} does not say {words!r}: {text}")


@lib.case
def random_images_are_not_mnist():
    two = Two()
    words = (
        "not mnist as published: 200 training images (published: 60000), "
        "120 test images (published: 10000)"
    )
    check_told(STUDY.format(source="mnist", path="kA"), two.out, words)
    plan = lib.run(["plan", two.base / "o.yaml"]).stdout
    lib.check("200 training and 120 test images of mnist" in plan, plan)


@lib.case
def mnist_is_mnist_and_not_fashion():
    folder = lib.data_folder("mnist")
    base = lib.scratch("mnist")
    out = base / "m"
    told = lib.run_study(STUDY.format(source="mnist", path=folder), out)
    lib.check_equal(told.stderr, "", "stderr")
    lib.check(lib.log_events(out, "images")[0].endswith('remarks=""'), "the log has a remark")
    words = (
        "not fashion-mnist as published: the 60000 training images of mnist, "
        "the 10000 test images of mnist"
    )
    check_told(STUDY.format(source="fashion-mnist", path=folder), base / "f", words)


@lib.case
def changed_labels_and_pixels_are_told():
    folder = lib.data_folder("mnist")
    base = lib.scratch("changed")
    for at, words in (
        (FILES[1], "the 60000 training images of mnist with other labels, 10000 test images"),
        (FILES[2], "60000 training images, 10000 other test images"),
    ):
        changed = base / at
        shutil.copytree(folder, changed)
        whole = bytearray(gzip.decompress((changed / f"{at}.gz").read_bytes()))
        whole[1000] = (whole[1000] + 1) % 10
        (changed / f"{at}.gz").unlink()
        (changed / at).write_bytes(whole)
        check_told(STUDY.format(source="mnist", path=changed), base / f"o-{at}", words)


@lib.case
def cifar_with_batches_missing_is_told():
    numpy = lib.need("numpy")
    base = lib.scratch("cifar")
    data = base / "data" / "cifar-10-batches-bin"
    data.mkdir(parents=True)
    random = numpy.random.default_rng(3)

    def batch(name, count):
        records = random.integers(0, 256, (count, 3073), dtype=numpy.uint8)
        records[:, 0] = numpy.arange(count) % 10
        (data / name).write_bytes(records.tobytes())

    batch("test_batch.bin", 10000)
    for number, most in ((1, 10000), (4, 40000)):
        for k in range(1, number + 1):
            batch(f"data_batch_{k}.bin", 10000)
        words = f"not cifar10 as published: {most} training images (published: 50000), 10000 other"
        check_told(STUDY.format(source="cifar10", path="data"), base / f"o{number}", words)


# ---------------------------------------------------------------------------------------------
# Files and paths
# ---------------------------------------------------------------------------------------------


@lib.case
def the_home_folder_is_expanded():
    two = Two()
    for path in ("~/kA", "~"):
        if path == "~":
            for name in FILES:
                shutil.copy(two.a / name, two.base / name)
        two.run(f'"{path}"', env=lib.environment(HOME=two.base))
    lib.check(f'path: "{two.base}' in (two.out / "study.yaml").read_text(), "not absolute")
    line = lib.only_complaint(two.run("~someone/kA", expect=3))
    lib.check("~someone/kA" in line and "~/" in line, line)
    line = lib.only_complaint(two.run("~/kA", expect=3, env=lib.environment(HOME=None)))
    lib.check("HOME" in line, line)
    two.run("kA", out=two.base / "e", env=lib.environment(HOME=two.base))
    empty = STUDY.format(source="mnist", path='""')
    shutil.copytree(two.a, two.base / "all" / "mnist")
    lib.run_study(empty, two.base / "h", env=lib.environment(HOME=two.base, NTKLENS_DATA="~/all"))


@lib.case
def what_keeps_a_file_from_being_read_is_said():
    two = Two()
    link = two.base / "link"
    link.symlink_to("/nowhere/mnist")
    for path in ("link", "link/below"):
        line = lib.only_complaint(two.run(path, expect=3))
        lib.check("is a link to /nowhere/mnist, which is not there" in line, line)
    (two.base / "round").symlink_to("round")
    line = lib.only_complaint(two.run("round", expect=3))
    lib.check("symbolic links" in line, line)
    name = FILES[2]
    (two.a / name).unlink()
    line = lib.only_complaint(two.run("kA", expect=3))
    lib.check("no such file, plain or with .gz" in line, line)
    for target, words in (("gone", "a link to gone, which is not there"), (name, "symbolic links")):
        (two.a / name).symlink_to(target)
        line = lib.only_complaint(two.run("kA", expect=3))
        lib.check(words in line and "no such file, plain" not in line, line)
        (two.a / name).unlink()
    (two.base / "py" / "cifar-10-batches-py").mkdir(parents=True)
    line = lib.only_complaint(two.run("py", source="cifar10", expect=3))
    lib.check("Python version" in line and "binary version" in line, line)


@lib.case
def a_folder_that_may_not_be_read_is_said_to_be_so():
    if os.geteuid() == 0:
        raise lib.Skip("root may read everything")
    two = Two()
    two.a.chmod(0)
    line = lib.only_complaint(two.run("kA", expect=3))
    two.a.chmod(0o700)
    lib.check("cannot be looked into: Permission denied" in line, line)


@lib.case
def files_that_lie_there_twice_are_compared():
    two = Two()
    for name in FILES:
        (two.a / f"{name}.gz").write_bytes(gzip.compress((two.a / name).read_bytes()))
    told = two.run("kA")
    lib.check("lies beside it" not in told.stderr, told.stderr)
    mark = fingerprint(two.out)
    (two.a / f"{FILES[0]}.gz").write_bytes(gzip.compress((two.b / FILES[0]).read_bytes()))
    shutil.copy(two.b / FILES[2], two.a / "t10k-images.idx3-ubyte")
    told = two.run("kA")
    lines = [line for line in told.stderr.splitlines() if "lies beside it" in line]
    lib.check_equal(len(lines), 2, f"lines ({told.stderr})")
    for line, name in zip(lines, (f"not {FILES[0]}.gz", "not t10k-images.idx3-ubyte")):
        lib.check(name in line, line)
    lib.check_equal(fingerprint(two.out), mark, "fingerprint")
    plan = lib.run(["plan", two.base / "o.yaml"]).stdout
    lib.check(plan.count("lies beside it") == 2, plan)


lib.main()

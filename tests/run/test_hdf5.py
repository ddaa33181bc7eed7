"""Images of one's own, data.source: hdf5: what networks see of them, any number of classes, the same
numbers as from IDX files, and what is refused in one line."""

import gzip
import pathlib
import re
import sys
import zlib

import lib

numpy = lib.need("numpy")
h5py = lib.need("h5py")
lib.need("pandas")
sys.path.insert(0, str(lib.ROOT / "tools"))
import network  # noqa: E402
import ntklens  # noqa: E402

STUDY = """\
    study: own
    data: {{source: {source}, path: {path}, train_sizes: [{train}], test_size: 40, probe_size: {probe}}}
    model: {{widths: [6]}}
    training: {{max_steps: 12}}
    measure: {{kernels: [traced, full, class], steps_per_decade: 1, infinite: true}}
    output: {{snapshots: measured}}
"""
NAMES = ("train/images", "train/labels", "test/images", "test/labels")


def arrays(shape, classes=3, kind="uint8", train=90, test=70, seed=0):
    """Random images and labels by NAMES; the largest label is classes - 1."""
    random = numpy.random.default_rng(seed)
    found = {}
    for name, count in (("train", train), ("test", test)):
        if kind == "uint8":
            images = random.integers(0, 256, (count, *shape), dtype=numpy.uint8)
        else:
            images = (3 + 0.5 * random.normal(size=(count, *shape))).astype(kind)
        found[f"{name}/images"] = images
        found[f"{name}/labels"] = numpy.arange(count) * 7 % classes
    return found


def write(path, found, libver="earliest", **options):
    with h5py.File(path, "w", libver=libver) as file:
        for name, values in found.items():
            file.create_dataset(name, data=values, **(options if numpy.ndim(values) > 1 else {}))
    return path


def run(path, *options, train=30, probe=12, **rest):
    out = path.parent / f"o-{path.stem}"
    text = STUDY.format(source="hdf5", path=path.name, train=train, probe=probe)
    return out, lib.run_study(text, out, *options, **rest)


def scratch_file(name="images.h5"):
    return lib.scratch("hdf5") / name


# ---------------------------------------------------------------------------------------------
# What networks see
# ---------------------------------------------------------------------------------------------


def as_seen(found, standardize):
    """The test images as inputs of a network, float64: planes of channels, scaled."""

    def planes(images):
        images = numpy.float64(images) / (255 if images.dtype == numpy.uint8 else 1)
        if images.ndim == 2:
            return images[:, None]
        images = images if images.ndim == 4 else images[..., None]
        return numpy.moveaxis(images, 3, 1).reshape(len(images), images.shape[3], -1)

    train, test = planes(found["train/images"]), planes(found["test/images"])
    if standardize:
        mean, std = train.mean(axis=(0, 2), keepdims=True), train.std(axis=(0, 2), keepdims=True)
        test = (test - mean) / std
    return test.reshape(len(test), -1)


def sees(shape, kind, standardize=True, ranks=None, **options):
    found = arrays(shape, kind=kind)
    path = write(scratch_file(), found, **options)
    out, _ = run(path, "--set", f"data.standardize={str(standardize).lower()}", ranks=ranks)
    expected = as_seen(found, standardize)
    for file in lib.cell_files(out).values():
        seen = file["probe/inputs"][:]
        index = file["indices/probe"][:]
        worst = numpy.abs(seen - expected[index]).max()
        lib.check(worst <= 2e-6, f"inputs of the probe are wrong by {worst:.3g}")
        labels = found["test/labels"][index]
        lib.check((file["probe/labels"][:] == labels).all(), "labels of the probe are wrong")


for _shape, _kind in (
    ((5, 7), "uint8"), ((7, 5, 3), "uint8"), ((3, 3, 5), "float32"), ((9, 1, 2), "float64"),
    ((1, 1, 4), "float32"), ((11,), "uint8"), ((11,), "float64"), ((4, 6, 33), ">f4"),
):  # fmt: skip
    lib.add(f"images of {_shape} {_kind}", sees, _shape, _kind)
lib.add("real images as they are", sees, (5, 3, 2), "float64", standardize=False)
lib.add("bytes over 255", sees, (5, 3, 2), "uint8", standardize=False)
lib.add("chunks and gzip", sees, (7, 5, 3), "uint8", chunks=(8, 3, 5, 1), compression="gzip",
        shuffle=True, fletcher32=True, ranks=2)  # fmt: skip
lib.add("chunks of all images", sees, (7, 5, 3), "float64", chunks=(200, 7, 5, 3), maxshape=(None, 7, 5, 3))
lib.add("the latest format", sees, (7, 5, 3), "float32", libver="latest", chunks=(8, 7, 5, 3))


@lib.case
def labels_of_all_number_types():
    tables = []
    for kind in ("int64", "uint8", "int16", ">u4", "float32", "float64"):
        found = arrays((4, 4))
        for name in NAMES[1::2]:
            found[name] = found[name].astype(kind)
        out, _ = run(write(scratch_file(), found))
        tables.append(lib.table_text(out))
    lib.check(len(set(tables)) == 1, "labels of other types give other tables")


# ---------------------------------------------------------------------------------------------
# Numbers of outputs
# ---------------------------------------------------------------------------------------------


def spectra_are_numpys(out, classes, probe, names):
    """Of every measured state: kernels from the weights, by the definition."""
    rows = lib.table(out)
    for cell, file in lib.cell_files(out).items():
        for step, snapshot in file["snapshots"].items():
            jacobian = network.Network(dict(file.attrs), snapshot).jacobian(file["probe/inputs"][:])
            kernels = {f"class{a}": jacobian[:, a] @ jacobian[:, a].T for a in range(classes)}
            kernels["traced"] = sum(kernels.values()) / classes
            flat = jacobian.reshape(probe * classes, -1)
            kernels["full"] = flat @ flat.T
            for name, kernel in ((name, kernels[name]) for name in names):
                found = [r for r in lib.select(rows, cell=cell, kernel=name, step=step)]
                lib.check(found, f"no row of {name} at step {step}")
                lam = numpy.linalg.eigvalsh(kernel)
                expected = network.observables(lam)
                lib.check_equal(found[0]["n"], str(len(kernel)), f"order of {name}")
                for column in ("trace", "entropy", "effective_rank", "participation_ratio", "lambda_max"):
                    lib.check_close(found[0][column], expected[column], 1e-8 * abs(expected[column]),
                                    f"{column} of {name} at step {step}")  # fmt: skip


def has_classes(classes, ranks, probe, train=210):
    path = write(scratch_file(), arrays((3, 5, 2), classes, train=400, test=300))
    options = ["--set", "seeds=[0, 1]", "--set", "model.widths=[4, 6]"]
    options += ["--set", "measure.regression.train_images=25"]
    if classes > 50:
        options += ["--set", "measure.kernels=[traced, full]"]
    out, _ = run(path, *options, ranks=ranks, train=train, probe=probe)
    rows = lib.table(out)
    for row in lib.select(rows, kernel="traced", tag="best"):
        lib.check(float(row["regression_test_loss"]) > 0, "no kernel regression")
    kernels = {"full", "traced"} | {f"class{a}" for a in range(classes) if classes <= 50}
    lib.check_equal({row["kernel"] for row in rows}, kernels, "kernels")
    spectra_are_numpys(out, classes, probe, kernels)
    check_commands(path, out)


def check_commands(path, out):
    """plan, status, report and merge know the shape; going on computes nothing anew."""
    study = path.parent / f"{out.name}.yaml"
    plan = lib.run(["plan", study, "--set", "measure.kernels=[full]"]).stdout
    lib.check("images of hdf5" in plan, f"plan does not name the images:\n{plan}")
    status = lib.run(["status", out]).stdout
    lib.check("finished, 4 of 4 cells done" in status, f"status says\n{status}")
    lib.run(["report", out, "--no-figures"])
    lib.check("verdict" in (out / "report" / "summary.md").read_text().lower(), "there is no report")
    united = path.parent / "united"
    lib.run(["merge", out, "-o", united])
    lib.check_same_bytes(lib.table_text(united), lib.table_text(out), "the merged table")
    before = lib.table_text(out)
    lib.run(["run", out / "study.yaml", "-o", out, "--quiet"])
    lib.check_same_bytes(lib.table_text(out), before, "the table of a study that goes on")
    lib.check_equal(len(lib.log_events(out, "cell_done")), 4, "cells that were computed")


lib.add("2 classes", has_classes, 2, None, 12)
lib.add("3 classes, on 2 ranks", has_classes, 3, 2, 12)
lib.add("11 classes, on 3 ranks", has_classes, 11, 3, 9)
lib.add("100 classes, on 2 ranks", has_classes, 100, 2, 8)


@lib.case
def a_kernel_of_many_outputs_is_shared_as_it_is_solved_alone():
    """A block of the distributed matrix is whole samples, of a hundred rows each."""
    path = write(scratch_file(), arrays((3, 5), 100, train=400, test=300))
    tables = []
    for team, ranks in (("1", None), ("all", 2), ("all", 3)):
        study = STUDY.format(source="hdf5", path=path.name, train=100, probe=6)
        out = path.parent / f"team-{ranks}"
        lib.run_study(study, out, "--set", f"measure.team_size={team}", "--set",
                      "measure.kernels=[full]", "--set", "measure.steps_per_decade=0", ranks=ranks)  # fmt: skip
        tables.append(lib.table(out))
    for other in tables[1:]:
        for one, two in zip(tables[0], other):
            for column in ("trace", "entropy", "lambda_max"):
                lib.check_close(two[column], one[column], 1e-9 * abs(float(one[column])), column)


@lib.case
def a_thousand_classes():
    found = arrays((3, 3), 1000, train=1000, test=1000)
    out, _ = run(write(scratch_file(), found), "--set", "measure.kernels=[traced, full]", "--set",
                 "measure.steps_per_decade=0", "--set", "training.max_steps=1", train=1000, probe=1)  # fmt: skip
    lib.check_equal(lib.table(out)[0]["n"], "1000", "order of the full kernel")
    lib.run(["status", out])


# ---------------------------------------------------------------------------------------------
# MNIST
# ---------------------------------------------------------------------------------------------


def read_idx(path):
    """The array in an IDX file of bytes."""
    opened = path if path.exists() else path.with_name(path.name + ".gz")
    content = opened.read_bytes()
    content = gzip.decompress(content) if opened.suffix == ".gz" else content
    sides = [int.from_bytes(content[4 + 4 * k : 8 + 4 * k], "big") for k in range(content[3])]
    return numpy.frombuffer(content, numpy.uint8, offset=4 + 4 * len(sides)).reshape(sides)


def same_numbers(one, other, what):
    """All columns but the cell's name, which its source is part of, and the source."""
    tables = []
    for out in (one, other):
        rows = lib.table(out)
        names = [name for name in rows[0] if name not in ("cell", "source")]
        tables.append("\n".join(",".join([row["cell"][:-12], *(row[n] for n in names)]) for row in rows))
    lib.check_same_bytes(tables[1], tables[0], what)


@lib.case
def mnist_gives_the_same_numbers_as_its_idx_files():
    folder = lib.data_folder("mnist")
    base = lib.scratch("mnist")
    found = [
        read_idx(folder / f"{part}-{kind}-ubyte")
        for part in ("train", "t10k")
        for kind in ("images-idx3", "labels-idx1")
    ]
    ntklens.write_data(base / "mnist.h5", *found)
    flat = [values.reshape(len(values), -1) if values.ndim == 3 else values for values in found]
    ntklens.write_data(base / "flat.h5", *flat)
    text = STUDY.replace("widths: [6]", "widths: [6, 16]").replace("train_sizes: [{train}]",
                                                                   "train_sizes: [{train}, 300]")  # fmt: skip
    outs = []
    for source, path in (("mnist", folder), ("hdf5", "mnist.h5"), ("hdf5", "flat.h5")):
        outs.append(base / f"o{len(outs)}")
        result = lib.run_study(text.format(source=source, path=path, train=50, probe=20), outs[-1], ranks=2)
        lib.check("warning" not in result.stderr, f"MNIST is warned of:\n{result.stderr}")
    lib.check(len(lib.table(outs[0])) > 50, "the table is too short to say anything")
    same_numbers(outs[0], outs[1], "MNIST from HDF5")
    same_numbers(outs[0], outs[2], "MNIST as vectors")
    prints = [next(l for l in (out / "study.yaml").read_text().splitlines() if "data_fingerprint" in l)
              for out in outs]  # fmt: skip
    lib.check_equal(prints[1], prints[0], "the fingerprint of MNIST from HDF5")
    lib.check(prints[2] != prints[0], "vectors have the fingerprint of images")


# ---------------------------------------------------------------------------------------------
# What is refused
# ---------------------------------------------------------------------------------------------


def refused(change, phrases, early=True, ranks=None):
    """change(open h5py file) of a sound one; early: nothing may have been written."""
    path = write(scratch_file(), arrays((5, 4)))
    with h5py.File(path, "r+") as file:
        change(file)
    complains(path, phrases, early, ranks)


def complains(path, phrases, early=True, ranks=None):
    out, result = run(path, expect=3, ranks=ranks)
    line = lib.only_complaint(result, ranks)
    lib.check(line.startswith(f"ntklens: {path}:"), f"'{line}' does not begin with {path}")
    for phrase in phrases:
        lib.check(phrase in line, f"'{line}' does not say '{phrase}'")
    lib.check(not (early and out.exists()), f"{out} was written although the file is broken")


def replace(name, make, **options):
    """A change that puts make(old values) into the place of a dataset."""

    def change(file):
        values = make(file[name][:])
        del file[name]
        file.create_dataset(name, data=values, **options)

    return change


def remove(name):
    def change(file):
        del file[name]

    return change


def edit(name, place, value, kind=None):
    def put(values):
        values = values.astype(kind) if kind else values
        values[place] = value
        return values

    return replace(name, put)


def all_real(*edits):
    """A change to float64 images of which some are edited."""

    def change(file):
        for name in NAMES[::2]:
            replace(name, lambda values: values.astype("float64"))(file)
        for one in edits:
            one(file)

    return change


def leads_elsewhere(make):
    """train/images by a link or storage that make(file, other's name) makes."""

    def change(file):
        other = pathlib.Path(file.filename).with_name("other.h5")
        write(other, arrays((5, 4)))
        del file["train/images"]
        make(file, other)

    return change


def by_link(kind):
    def make(file, other):
        file["copy"] = numpy.zeros((90, 5, 4), "uint8")
        if kind == "soft":
            file["train/images"] = h5py.SoftLink("/copy")
        elif kind == "external":
            file["train/images"] = h5py.ExternalLink(other.name, "/train/images")
        else:
            del file["train"]
            file["train"] = h5py.ExternalLink(other.name, "/train")

    return make


def external_storage(file, other):
    raw = other.with_name("raw")
    raw.write_bytes(bytes(90 * 20))
    file.create_dataset("train/images", (90, 5, 4), "uint8", external=[(str(raw), 0, 90 * 20)])


def virtual(file, other):
    layout = h5py.VirtualLayout((90, 5, 4), "uint8")
    layout[:] = h5py.VirtualSource(other, "train/images", (90, 5, 4))
    file.create_virtual_dataset("train/images", layout)


def half_written(file):
    del file["train/images"]
    images = file.create_dataset("train/images", (90, 5, 4), "uint8", chunks=(10, 5, 4))
    images[:40] = 1


def never_written(file):
    del file["train/images"]
    file.create_dataset("train/images", (90, 5, 4), "uint8")


def enormous(file):
    del file["train/images"], file["train/labels"]
    file.create_dataset("train/images", (10**9, 50, 40), "uint8", chunks=(1, 50, 40))
    file.create_dataset("train/labels", (10**9,), "uint8", chunks=(10**6,))


def filtered(file):
    values = file["train/images"][:]
    del file["train/images"]
    file.create_dataset("train/images", data=values, compression="lzf")


def double(values):
    return numpy.concatenate([values, values])


LATE = {"early": False}  # shows only when the content is read
CASES = [
    ("no training images", remove("train/images"), ["/train/images: is not there"], {}),
    ("no test labels", remove("test/labels"), ["/test/labels: is not there"], {}),
    ("no test set", remove("test"), ["/test: is not there", "/test/images"], {}),
    ("a dataset for a group", lambda f: (remove("test")(f), f.create_dataset("test", data=[1])),
     ["/test: expected a group"], {}),
    ("a group for a dataset", lambda f: (remove("test/images")(f), f.create_group("test/images")),
     ["/test/images: expected a dataset"], {}),
    ("one number an image", replace("train/images", lambda v: v[:, 0, 0]),
     ["shape [90]", "[N x height x width x channels]", "[N x d]"], {}),
    ("five sides", replace("train/images", lambda v: v[:, :, :, None, None]),
     ["shape [90 x 5 x 4 x 1 x ...]", "expected"], {}),
    ("a single number", replace("train/images", lambda v: v[0, 0, 0]), ["shape []", "expected"], {}),
    ("no images", replace("test/images", lambda v: v[:0]), ["shape [0 x 5 x 4]", "expected 1 to"], {}),
    ("images without pixels", replace("test/images", lambda v: v[:, :0]), ["shape [70 x 0 x 4]"], {}),
    ("other sides in the test set", replace("test/images", lambda v: v[:, :, :3]),
     ["/test/images", "[70 x 5 x 3]", "/train/images", "[90 x 5 x 4]"], {}),
    ("another type in the test set", replace("test/images", lambda v: v.astype("float32")),
     ["/test/images", "float32", "uint8"], {}),
    ("images of int64", replace("train/images", lambda v: v.astype("int64")),
     ["int64", "expected uint8, float32 or float64"], {}),
    ("images of int8", replace("train/images", lambda v: v.astype("int8")), ["int8", "expected uint8"], {}),
    ("images of half precision", replace("train/images", lambda v: v.astype("float16")), ["float16"], {}),
    ("images of bool", replace("train/images", lambda v: v > 9), ["bool", "expected uint8"], {}),
    ("images of complex numbers", replace("train/images", lambda v: v + 1j), ["compound"], {}),
    ("labels of text", replace("train/labels", lambda v: [b"cat"] * 90), ["text", "whole numbers"], {}),
    ("fewer labels", replace("train/labels", lambda v: v[:-1]), ["shape [89]", "expected [90]"], {}),
    ("one-hot labels", replace("test/labels", lambda v: numpy.eye(3)[v]), ["[70 x 3]", "expected [70]"], {}),
    ("a negative label", edit("train/labels", 7, -1), ["label -1 of image 7", "0 to 999"], {}),
    ("a label beyond", edit("test/labels", 9, 1000), ["/test/labels: label 1000 of image 9"], {}),
    ("a huge label", edit("test/labels", 9, 2**64 - 1, "uint64"), ["/test/labels: label", "image 9"], {}),
    ("half a label", edit("train/labels", 8, 0.5, "float64"), ["label 0.5 of image 8", "whole"], {}),
    ("a label that is none", edit("train/labels", 8, numpy.nan, "float64"), ["label nan of image 8"], {}),
    ("one class", lambda f: [replace(n, lambda v: v * 0)(f) for n in NAMES[1::2]],
     ["all labels are 0", "two classes"], {}),
    ("a nan", all_real(edit("train/images", (7, 4, 1), numpy.nan)),
     ["/train/images: number 17 of image 7 (from 0) is nan"], LATE),
    ("an infinite test pixel", all_real(edit("test/images", (3, 0, 0), numpy.inf)),
     ["/test/images: number 0 of image 3 (from 0) is inf"], LATE),
    ("a pixel beyond 32 bits", all_real(edit("test/images", (3, 0, 2), 1e300)), ["number 2 of image 3"], LATE),
    ("a soft link", leads_elsewhere(by_link("soft")), ["link to another place"], {}),
    ("an external link", leads_elsewhere(by_link("external")), ["link to another place"], {}),
    ("an external link on the way", leads_elsewhere(by_link("group")), ["/train: is a link to another place"], {}),
    ("external storage", leads_elsewhere(external_storage), ["kept in other files"], {}),
    ("a virtual dataset", leads_elsewhere(virtual), ["kept in other files"], {}),
    ("images that were half written", half_written, ["4 of its 9 chunks"], {}),
    ("images that were never written", never_written, ["1800 bytes by its shape", "holds 0"], {}),
    ("more than any file holds", enormous, ["bytes by its shape"], {}),
    ("a filter that is not built in", filtered, ["filter 32000 (lzf)", 'compression="gzip"'], {}),
]  # fmt: skip
for _name, _change, _phrases, _options in CASES:
    lib.add(f"refused: {_name}", refused, _change, _phrases, **_options)
for _k in (0, 20, 26):
    lib.add(f"refused, on 2 ranks: {CASES[_k][0]}", refused, *CASES[_k][1:3], **CASES[_k][3], ranks=2)


@lib.case
def refused_a_constant_channel():
    path = scratch_file()
    found = arrays((5, 4, 2))
    found["train/images"][..., 1] = 7
    _, result = run(write(path, found), expect=3)
    line = lib.only_complaint(result)
    lib.check("channel 1 equal 7" in line and "standardize: false" in line, f"'{line}' says it otherwise")


@lib.case
def refused_what_is_no_hdf5_file():
    base = lib.scratch("none")
    complains(base / "missing.h5", ["No such file"])
    (base / "folder.h5").mkdir()
    complains(base / "folder.h5", ["is a folder", "expected an HDF5 file"])
    (base / "text.h5").write_text("images\n")
    complains(base / "text.h5", ["no HDF5 file"])
    (base / "empty.h5").write_bytes(b"")
    complains(base / "empty.h5", ["no HDF5 file"])
    whole = write(base / "whole.h5", arrays((5, 4))).read_bytes()
    (base / "truncated.h5").write_bytes(whole[: len(whole) // 2])
    complains(base / "truncated.h5", ["whole file"])


@lib.case
def refused_a_folder_that_tells_no_shape():
    path = write(scratch_file(), arrays((5, 4)))
    out, _ = run(path)
    study = out / "study.yaml"
    whole = study.read_text()
    for text in ("train=90x1x5", "train=90x99999x99999x1:0:0", "else"):
        study.write_text(re.sub('("data_fingerprint":) "[^"]*"', f'\\1 "{text}"', whole))
        line = lib.only_complaint(lib.run(["status", out], expect=3))
        lib.check("data fingerprint" in line, f"'{line}' does not say what is missing")


@lib.case
def refused_a_study_without_a_path():
    base = lib.scratch("unnamed")
    text = STUDY.format(source="hdf5", path='""', train=30, probe=12)
    line = lib.only_complaint(lib.run_study(text, base / "o", expect=2))
    lib.check("data.path: missing" in line, f"'{line}' does not ask for the path")


@lib.case
def refused_a_chunk_that_unpacks_to_less():
    """The library would read beyond its end."""
    path = write(scratch_file(), arrays((5, 4)), chunks=(70, 5, 4), compression="gzip")
    for mask, content in ((0, zlib.compress(bytes(90))), (1, bytes(90)), (0, zlib.compress(bytes(10**6)))):
        with h5py.File(path, "r+") as file:
            images = file["train/images"]
            images.id.write_direct_chunk((0, 0, 0), content, filter_mask=mask)
        complains(path, ["/train/images: a chunk"], early=False)


@lib.case
def damaged_files_never_crash():
    """A file of a stranger's with bytes that are not what HDF5 wrote: computed, or refused in a line."""
    path = write(scratch_file(), arrays((5, 4)), chunks=(40, 5, 4), compression="gzip", shuffle=True)
    whole = path.read_bytes()
    random = numpy.random.default_rng(1)
    used = [k for k in range(len(whole)) if whole[k] != 0]
    codes = set()
    for turn in range(40):
        content = bytearray(whole)
        content[random.choice(used)] ^= 1 << random.integers(8)
        damaged = path.with_name("damaged.h5")
        damaged.write_bytes(content)
        study = STUDY.format(source="hdf5", path=damaged.name, train=30, probe=12)
        result = lib.run(["plan", lib.write_study(path.parent, study)], expect=None)
        codes.add(result.returncode)
        lib.check(result.returncode in (0, 3), f"exit code {result.returncode} at turn {turn}: {result.stderr}")
    lib.check(3 in codes, "no damage was noticed")


# ---------------------------------------------------------------------------------------------
# ntklens.write_data
# ---------------------------------------------------------------------------------------------


@lib.case
def write_data_writes_what_a_study_reads():
    path = scratch_file()
    found = arrays((5, 4, 2), kind="float64")
    ntklens.write_data(path, *(found[name] for name in NAMES))
    out, _ = run(path)
    plain, _ = run(write(path.with_name("plain.h5"), found))
    lib.check_same_bytes(lib.table_text(out), lib.table_text(plain), "the table")
    lib.check_equal([p.name for p in path.parent.glob("*.partial")], [], "what is left")


@lib.case
def write_data_refuses_what_a_study_would():
    sound = [arrays((5, 4))[name] for name in NAMES]
    wrong = {
        "int64": (0, sound[0].astype("int64")),
        "train_images: shape": (0, sound[0][:, 0, 0]),
        "expected images like": (2, sound[2][:, :3]),
        "train_labels: shape": (1, sound[1][:-1]),
        "whole numbers from 0 to 999": (3, sound[3] - 1),
        "from 0 to 999": (3, sound[3] + 0.5),
        "test_labels: expected whole": (3, sound[3] + 998),
        "finite": (0, sound[0] * numpy.nan),
    }
    for phrase, (place, values) in wrong.items():
        path = scratch_file()
        try:
            ntklens.write_data(path, *(values if k == place else sound[k] for k in range(4)))
        except ValueError as error:
            lib.check(phrase in str(error), f"'{error}' does not say '{phrase}'")
        else:
            raise lib.Failure(f"took what is wrong: {phrase}")
        lib.check(not list(path.parent.iterdir()), "left a file behind")


lib.main()

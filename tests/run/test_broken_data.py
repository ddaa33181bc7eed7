"""Broken data folders: exit code 3, one line that says which file and what was expected."""

import gzip
import random
import struct

import lib

SIDE, RECORD = 28, 1 + 3 * 32 * 32
TRAIN, TEST = 60, 40

STUDY = """\
    data:
      source: {source}
      path: {folder}
      train_sizes: [20]
      test_size: 20
      probe_size: 10
    model:
      widths: [4]
    training:
      max_steps: 3
    measure:
      kernels: [traced]
      steps_per_decade: 0
    """

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


# ---------------------------------------------------------------------------------------------
# Sound folders
# ---------------------------------------------------------------------------------------------


def pixels(count, size):
    return random.Random(count).randbytes(count * size)


def idx_images(count, magic=0x803, rows=SIDE, columns=SIDE):
    header = struct.pack(">IIII", magic, count, rows, columns)
    return header + pixels(count, rows * columns)


def idx_labels(count, magic=0x801):
    return struct.pack(">II", magic, count) + bytes(k % 10 for k in range(count))


def cifar(count):
    images = pixels(count, RECORD - 1)
    return b"".join(
        bytes([k % 10]) + images[k * (RECORD - 1) : (k + 1) * (RECORD - 1)] for k in range(count)
    )


def mnist_files():
    return {
        TRAIN_IMAGES: idx_images(TRAIN),
        TRAIN_LABELS: idx_labels(TRAIN),
        TEST_IMAGES: idx_images(TEST),
        TEST_LABELS: idx_labels(TEST),
    }


def cifar_files():
    return {
        "data_batch_1.bin": cifar(TRAIN // 2),
        "data_batch_2.bin": cifar(TRAIN // 2),
        "test_batch.bin": cifar(TEST),
    }


FILES = {"mnist": mnist_files, "cifar10": cifar_files}


def run_folder(source, files, expect, ranks=None):
    """files: contents by name; None: no folder at all."""
    base = lib.scratch(source)
    folder = base / "images"
    if files is not None:
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
    study = STUDY.format(source=source, folder=folder)
    return folder, base / "out", lib.run_study(study, base / "out", ranks=ranks, expect=expect)


def sound(source, files, ranks=None):
    _, out, _ = run_folder(source, files, 0, ranks)
    lib.check(len(lib.table(out)) > 0, "a sound folder gave no rows")


def gzipped(files):
    return {name + ".gz": gzip.compress(content) for name, content in files.items()}


# ---------------------------------------------------------------------------------------------
# Broken ones
# ---------------------------------------------------------------------------------------------


def broken(source, change, name, phrases, early=True, ranks=None):
    """change: file contents to replace (None: to remove); name: the file that is to be blamed;
    early: shows in names, sizes or headers, so that nothing may have been written."""
    files = None
    if change is not None:
        files = {n: c for n, c in {**FILES[source](), **change}.items() if c is not None}
    folder, out, result = run_folder(source, files, 3, ranks)
    line = lib.only_complaint(result, ranks)
    blamed = str(folder / name) if name else str(folder)
    lib.check(line.startswith(f"ntklens: {blamed}:"), f"'{line}' does not begin with {blamed}")
    for phrase in phrases:
        lib.check(phrase in line, f"'{line}' does not say '{phrase}'")
    lib.check(not (early and out.exists()), f"{out} was written although the data is broken")


def labels_with(label):
    content = bytearray(idx_labels(TRAIN))
    content[8 + 7] = label
    return bytes(content)


def cifar_with(label):
    content = bytearray(cifar(TRAIN // 2))
    content[7 * RECORD] = label
    return bytes(content)


def add_cases():
    images, labels, test = idx_images(TRAIN), idx_labels(TRAIN), idx_labels(TEST)
    packed = gzip.compress(images)
    corrupt = bytearray(packed)
    corrupt[len(corrupt) // 2] ^= 0xFF
    length = str(len(images))
    late = {"early": False}  # shows only when the content is read
    cases = [
        ("truncated images", "mnist", {TRAIN_IMAGES: images[:-100]}, TRAIN_IMAGES,
         [f"only {len(images) - 100} bytes", f"expected {length}"], {}),
        ("oversized images", "mnist", {TRAIN_IMAGES: images + b"\0"}, TRAIN_IMAGES,
         [f"{len(images) + 1} bytes", f"expected {length}"], {}),
        ("truncated header", "mnist", {TRAIN_IMAGES: images[:10]}, TRAIN_IMAGES,
         ["only 10 bytes", "expected 16"], {}),
        ("wrong magic number", "mnist", {TRAIN_IMAGES: labels}, TRAIN_IMAGES,
         ["0x00000801", "expected 0x00000803"], {}),
        ("wrong image size", "mnist", {TEST_IMAGES: idx_images(TEST, rows=32, columns=32)},
         TEST_IMAGES, ["32 x 32", "expected 28 x 28"], {}),
        ("no images promised", "mnist", {TRAIN_IMAGES: idx_images(0)}, TRAIN_IMAGES,
         ["promises 0 images", "expected 1 to"], {}),
        ("more labels than images", "mnist", {TRAIN_LABELS: idx_labels(TRAIN + 1)}, TRAIN_LABELS,
         [f"{TRAIN + 1} labels", f"expected {TRAIN}"], {}),
        ("label out of range", "mnist", {TRAIN_LABELS: labels_with(10)}, TRAIN_LABELS,
         ["label 10 of image 7", "expected 0 to 9"], late),
        ("missing file", "mnist", {TEST_LABELS: None}, TEST_LABELS,
         ["no such file", "tools/fetch-data"], {}),
        ("missing folder", "mnist", None, "", ["no such folder", "expected"], {}),
        ("empty file", "mnist", {TEST_LABELS: b""}, TEST_LABELS, ["only 0 bytes", "expected 8"], {}),
        ("corrupt gzip", "mnist", {TRAIN_IMAGES: None, TRAIN_IMAGES + ".gz": bytes(corrupt)},
         TRAIN_IMAGES + ".gz", ["gzip", "expected a whole gzip file"], late),
        ("truncated gzip", "mnist", {TRAIN_IMAGES: None, TRAIN_IMAGES + ".gz": packed[:-4000]},
         TRAIN_IMAGES + ".gz", ["gzip", "expected"], late),
        ("gzipped, but too long", "mnist",
         {TEST_LABELS: None, TEST_LABELS + ".gz": gzip.compress(test + b"\0\0")},
         TEST_LABELS + ".gz", [f"{len(test) + 2} bytes", f"expected {len(test)}"], late),
        ("partial record", "cifar10", {"data_batch_2.bin": cifar(TRAIN // 2)[:-1]},
         "data_batch_2.bin", ["expected a whole number of records of 3073 bytes"], {}),
        ("empty test file", "cifar10", {"test_batch.bin": b""}, "test_batch.bin",
         ["0 bytes", "expected a whole number of records"], {}),
        ("no training files", "cifar10", {"data_batch_1.bin": None, "data_batch_2.bin": None},
         "data_batch_1.bin", ["no such file"], {}),
        ("label out of range", "cifar10", {"data_batch_1.bin": cifar_with(255)},
         "data_batch_1.bin", ["label 255 of image 7", "expected 0 to 9"], late),
    ]  # fmt: skip
    for name, *arguments, options in cases:
        lib.add(f"{arguments[0]}: {name}", broken, *arguments, **options)
    for name, *arguments, options in (cases[0], cases[7], cases[11], cases[14]):
        lib.add(f"{arguments[0]}: {name}, on 2 ranks", broken, *arguments, **options, ranks=2)


for _source, _files in FILES.items():
    lib.add(f"{_source}: a sound folder", sound, _source, _files())
    lib.add(f"{_source}: a sound folder, gzipped, on 2 ranks", sound, _source, gzipped(_files()), 2)
add_cases()


@lib.case
def no_folder_is_named():
    base = lib.scratch("unnamed")
    study = STUDY.format(source="mnist", folder='""')
    env = lib.environment(NTKLENS_DATA=None)
    result = lib.run_study(study, base / "out", expect=3, env=env)
    line = lib.only_complaint(result)
    lib.check("NTKLENS_DATA" in line and "tools/fetch-data" in line, f"'{line}' shows no way out")
    lib.check(not (base / "out").exists(), "a results folder was written")


lib.main()

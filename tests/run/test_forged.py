#!/usr/bin/env python3
"""Cell files and checkpoints that someone forged: whole, with a right end mark, and full of traps.

Each is passed over like a damaged file: told in a line, computed anew, the same table; nothing of
other files comes into it.  Each trap has a network of its own, in one folder.
"""

import shutil

import lib

h5py = lib.need("h5py")
np = lib.need("numpy")

STUDY = """
    study: forged
    data: {source: glyphs, train_sizes: [40], test_size: 60, probe_size: 20}
    model: {widths: [8]}
    seeds: {from: 0, to: 23, step: 1}
    training: {max_steps: 20, optimizer: momentum}
    measure: {steps_per_decade: 1}
    output: {snapshots: measured, kernels: true}
"""
SECRET = "stranger:x:0:0:"  # 15 characters, as a solver's name may have


SCRATCH = lib.scratch("forged")
SECRETS = SCRATCH / "secrets"


def replace(file, path, **options):
    """A dataset of the same name, type and shape, made in another way; its old values."""
    old = file[path]
    shape, dtype, values = old.shape, old.dtype, old[...]
    del file[path]
    return file.create_dataset(path, shape=options.pop("shape", shape), dtype=dtype, **options), values


def external_storage(path):
    def edit(file):
        size = file[path].size * file[path].dtype.itemsize
        replace(file, path, external=[(str(SECRETS), 0, size)])

    return edit


def external_link(file):
    other = SCRATCH / "other.h5"
    with h5py.File(other, "w") as target:
        target["step"] = file["states/step"][...]
    del file["states/step"]
    file["states/step"] = h5py.ExternalLink(str(other), "/step")


def soft_link(file):
    file["kept"] = file["curve/test_loss"][...]
    del file["curve/test_loss"]
    file["curve/test_loss"] = h5py.SoftLink("/kept")


def soft_link_of_a_group(file):
    file.move("measurements", "kept")
    file["measurements"] = h5py.SoftLink("/kept")


def link_in_a_circle(file):
    del file["snapshots"]
    file["snapshots"] = file["/"]


def virtual(file):
    values = file["curve/train_loss"][...]
    other = SCRATCH / "virtual.h5"
    with h5py.File(other, "w") as target:
        target["data"] = values
    del file["curve/train_loss"]
    layout = h5py.VirtualLayout(shape=values.shape, dtype=values.dtype)
    layout[:] = h5py.VirtualSource(str(other), "data", shape=values.shape)
    file.create_virtual_dataset("curve/train_loss", layout)


def filtered(file):
    data, values = replace(file, "curve/train_loss", chunks=True, compression="gzip")
    data[...] = values


def bomb_of_chunks(file):
    """58 KB that unpack to 2 GB."""
    replace(file, "curve/step", shape=(1 << 28,), chunks=(1 << 24,), compression="gzip")
    file["curve/step"][: 1 << 24] = 0


def bomb_of_text(file):
    file.attrs["training_hash"] = "x" * (1 << 22)


def text_for_a_number(file):
    file.attrs["best_step"] = "7"


def number_for_a_text(file):
    file.attrs["measurement_hash"] = 7


def empty_space(file):
    """A shape of 2^30 elements, none of which was ever written."""
    replace(file, "curve/step", shape=(1 << 30,))


def many_states(file):
    for name in file["states"]:
        replace(file, f"states/{name}", shape=(200_000,))
    file["states/step"][...] = np.arange(200_000)


def longer_curve(file):
    for name in list(file["curve"]):
        data, values = replace(file, f"curve/{name}", shape=(len(file["curve"][name]) + 500,))
        data[...] = np.resize(values, data.shape)
    file["curve/step"][...] = np.arange(len(file["curve/step"]))


def steps_that_fall(file):
    file["curve/step"][...] = file["curve/step"][...][::-1]


def negative_step(file):
    file["states/step"][0] = -3


def step_beyond(file):
    file.attrs["final_step"] = np.int64(1) << 40


def another_order(file):
    file["measurements/full/n"][...] = 2**31 - 1


def matrix_of_another_shape(file):
    step = next(iter(file["kernels/full"]))
    replace(file, f"kernels/full/{step}", shape=(file[f"kernels/full/{step}"].size,))


def control_characters(file):
    solver = file["measurements/full/solver"]
    solver[...] = np.array([b"\x1b]0;x\x07\n1,2"] * len(solver), dtype="S16")


def narrow_numbers(file):
    values = file["curve/train_loss"][...].astype("f4")
    del file["curve/train_loss"]
    file["curve/train_loss"] = values


def group_for_a_dataset(file):
    del file["curve/train_loss"]
    file.create_group("curve/train_loss")


def training_from(step):
    def edit(file):
        file["training"].attrs["step"] = np.int64(step)

    return edit


def optimizer_of(count):
    def edit(file):
        replace(file, "training/optimizer", shape=(count,))

    return edit


def best_of_no_step(file):
    file["training"].attrs["best_step"] = np.int64(12345)


FORGED = {
    "numbers of another file": external_storage("curve/train_loss"),
    "texts of another file": external_storage("measurements/full/solver"),
    "an external link": external_link,
    "a soft link": soft_link,
    "a soft link of a group": soft_link_of_a_group,
    "a virtual dataset": virtual,
    "filters": filtered,
    "a bomb of chunks": bomb_of_chunks,
    "a bomb of text": bomb_of_text,
    "a text for a number": text_for_a_number,
    "a number for a text": number_for_a_text,
    "elements that are not there": empty_space,
    "200,000 states": many_states,
    "a curve too long": longer_curve,
    "steps that fall": steps_that_fall,
    "a negative step": negative_step,
    "a step beyond the last": step_beyond,
    "a kernel of another order": another_order,
    "control characters in a name": control_characters,
    "numbers of single precision": narrow_numbers,
    "a group in place of a dataset": group_for_a_dataset,
}
CHECKPOINTS = {
    name: FORGED[name]
    for name in (
        "texts of another file",
        "an external link",
        "a bomb of chunks",
        "a kernel of another order",
    )
} | {
    "a matrix of another shape": matrix_of_another_shape,
    "a group that holds itself": link_in_a_circle,
    "a negative step of the training": training_from(-5),
    "an optimiser of another size": optimizer_of(1 << 20),
    "a best step that is not": best_of_no_step,
}



def forged_folder(whole, traps, place):
    """A copy of the study, each network's file with one trap; {cell: name of its trap}."""
    out = SCRATCH / place
    shutil.copytree(whole, out)
    cells = sorted((out / "cells").glob("*.h5"))
    lib.check(len(cells) >= len(traps), "fewer networks than traps")
    traps = dict(zip(cells, traps.items()))
    for cell, (_, edit) in traps.items():
        (out / place).mkdir(exist_ok=True)
        lib.edit_cell(cell, edit, out / place / cell.name)
        if place != "cells":
            cell.unlink()
    return out, {cell.stem: name for cell, (name, _) in traps.items()}


def passed_over(traps, place, event):
    whole = SCRATCH / "whole"
    study = lib.write_study(SCRATCH, STUDY)
    if not whole.exists():
        SECRETS.write_bytes(SECRET.encode().ljust(16, b"\0") * 4096)
        lib.run(["run", study, "-o", whole, "--quiet"])
    out, cells = forged_folder(whole, traps, place)
    start = len((out / "log.txt").read_text())
    lib.run(["status", out])
    result = lib.run(["run", study, "-o", out, "--quiet"])
    log = (out / "log.txt").read_text()[start:].splitlines()
    for cell, name in cells.items():
        lines = [line for line in log if line.startswith(event) and f"cell={cell} " in line]
        lib.check(len(lines) == 1, f"{name}: no {event} in the log, but {lines}")
        lines = [line for line in lib.complaints(result) if cell in line]
        lib.check(lines, f"{name}: no line about {cell}")
    lib.check_same_bytes(lib.table_text(out), lib.table_text(whole), "results.csv")
    again = lib.run(["run", study, "-o", out, "--quiet"])
    lib.check_equal(lib.complaints(again), [], "complaints of the next run")


lib.add("forged cells", passed_over, FORGED, "cells", "cell_redone")
lib.add("forged checkpoints", passed_over, CHECKPOINTS, "checkpoints", "checkpoint_dropped")
lib.main()

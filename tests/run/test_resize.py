#!/usr/bin/env python3
"""A study killed on 4 ranks goes on with 1, 2 and 3: training columns stay, spectra to 1e-9."""

import shutil

import life
import lib

TRAINING = """cell width depth n_train seed parameters tag step train_loss test_loss train_accuracy
    test_accuracy kernel n learning_rate optimizer batch_size max_steps""".split()
SPECTRAL = "trace entropy effective_rank participation_ratio lambda_max".split()
EPSILON = 2.0**-52


def check_rows(out, reference, ranks):
    rows = lib.table(out)
    lib.check_equal(len(rows), len(reference), f"rows on {ranks} ranks")
    for row, wanted in zip(rows, reference):
        name = f"{ranks} ranks, {wanted['cell']} {wanted['tag']} {wanted['kernel']}"
        for column in TRAINING:
            lib.check_equal(row[column], wanted[column], f"{name}: {column}")
        for column in SPECTRAL:
            value = float(wanted[column])
            lib.check_close(row[column], value, 1e-9 * abs(value), f"{name}: {column}")
        smallest = int(wanted["n"]) * EPSILON * float(wanted["lambda_max"])
        lib.check_close(row["lambda_min"], wanted["lambda_min"], smallest, f"{name}: lambda_min")


def resize(solver, widths, **text):
    folder = lib.scratch("resize")
    study, left = life.interrupted(
        folder, ranks=4, sizes="200", widths=widths, solver=solver, every=0.1, **text
    )
    whole = folder / "whole"
    life.run(study, whole, ranks=4)
    reference = lib.table(whole)
    for ranks in 1, 2, 3:
        out = folder / f"on-{ranks}"
        shutil.copytree(left, out)
        life.run(study, out, ranks=ranks)
        check_rows(out, reference, ranks)
        life.check_nothing_redone(out)
        resumed = len(life.events(out, "cell_resumed")) - len(life.events(left, "cell_resumed"))
        lib.check(resumed > 0, f"{ranks} ranks: no checkpoint was used")


lib.add("private kernels", resize, life.LAPACK, "8, 16, 24, 32")
lib.add("shared kernels", resize, life.SHARED, "8, 16")
lib.add("convolutional networks", resize, life.LAPACK, "2, 3", steps=500, model=life.CNN)
lib.add("convolutional networks, shared kernels", resize, life.SHARED, "2, 3", steps=500, model=life.CNN)
lib.main(quick=["shared kernels"])

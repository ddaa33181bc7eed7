#!/usr/bin/env python3
"""How often a quadrature's interval holds the truth, and how far it is off: fifty repeats on spectra of real
kernels, n = 3000, which the program computes exactly, at init, best and final."""

import os
import subprocess

import lib

np = lib.need("numpy")
REPEATS = 50
RELATIVE_ERROR = 0.01
STUDY = """
study: spectra
data: {{source: {source}, path: {path}, train_sizes: [512], test_size: 500, probe_size: 300, probe_from: test}}
model: {model}
training: {training}
seeds: [0]
measure: {{kernels: [{kernel}], auxiliary_spectra: none, steps_per_decade: 0}}
output: {{spectra: true}}
"""
MLP = "{{widths: [{}], depths: [{}], activation: {}, parametrization: {}}}".format
CNN = "{kind: cnn, widths: [8], depths: [1], stages: [1, 1], weight_variance: 2.0, parametrization: standard}"
TRAINING = "{{loss: {}, optimizer: {}, learning_rate: {}, batch_size: 32, max_steps: {}}}".format
STUDIES = {
    "MNIST, relu 64, cross-entropy": ("mnist", MLP(64, 2, "relu", "standard"), TRAINING("cross-entropy", "sgd", 0.1, 1000)),
    "MNIST, relu 256, mse": ("mnist", MLP(256, 2, "relu", "standard"), TRAINING("mse", "sgd", 0.1, 1000)),
    "MNIST, tanh 64, mse": ("mnist", MLP(64, 3, "tanh", "ntk"), TRAINING("mse", "sgd", 0.5, 1000)),
    "MNIST, cnn 8, cross-entropy": ("mnist", CNN, TRAINING("cross-entropy", "momentum", 0.02, 300)),
    "CIFAR-10, relu 64, mse": ("cifar10", MLP(64, 2, "relu", "standard"), TRAINING("mse", "sgd", 0.05, 1000)),
    "CIFAR-10, tanh 128, cross-entropy": ("cifar10", MLP(128, 2, "tanh", "standard"), TRAINING("cross-entropy", "sgd", 0.02, 1000)),
    "CIFAR-10, cnn 8, mse": ("cifar10", CNN, TRAINING("mse", "momentum", 0.02, 300)),
}  # fmt: skip
_held = []


def spectra_of(source, model, training):
    """{tag: eigenvalues}"""
    out = lib.scratch("spectra") / "out"
    path = lib.data_folder(source)
    text = STUDY.format(source=source, path=path, model=model, training=training, kernel="full")
    lib.run_study(text, out)
    (file,) = lib.cell_files(out).values()
    with file:
        rows = [row for row in lib.table(out) if row["tag"] in ("init", "best", "final")]
        return {row["tag"]: file[f"spectra/full/{row['step']}"][:] for row in rows}


def repeats_of(values):
    path = lib.scratch("values") / "lambda"
    values.astype("f8").tofile(path)
    command = [os.environ["NTKLENS_REPEATS"], path, str(REPEATS), str(RELATIVE_ERROR)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=1200, env=lib.environment())
    lib.check_equal(result.returncode, 0, f"exit code of {command}: {result.stderr}")
    return np.array([line.split() for line in result.stdout.splitlines()], float)


def intervals_hold(name):
    for tag, values in spectra_of(*STUDIES[name]).items():
        error, half, products, ratio, entropy = repeats_of(values).T
        held = np.abs(error) <= half
        _held.extend(held)
        rms = np.sqrt((error**2).mean())
        print(f"| {name} | {tag} | {np.exp(entropy[0]):.1f} | {100 * half.mean():.2f} % | {products.mean():.0f} "
              f"| {held.sum()} | {100 * rms:.2f} % | {100 * error.mean():+.2f} % | {100 * np.sqrt((ratio**2).mean()):.2f} % |",
              flush=True)  # fmt: skip
        lib.check_equal(len(error), REPEATS, f"{name}, {tag}: repeats")
        lib.check(rms <= 0.005, f"{name}, {tag}: rms error {rms}")
        lib.check(np.sqrt((ratio**2).mean()) < 0.01, f"{name}, {tag}: participation ratio")


def intervals_hold_in_all():
    lib.check(len(_held) >= 8 * REPEATS, f"{len(_held)} repeats")
    share = np.mean(_held)
    print(f"    {len(_held)} repeats, {100 * share:.1f} % hold")
    lib.check(share >= 0.95, f"{share} of all intervals hold")


for study in STUDIES:
    lib.add(study, intervals_hold, study)
lib.add("of all intervals 95 % hold", intervals_hold_in_all)
lib.main()

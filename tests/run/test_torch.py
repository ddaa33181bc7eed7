"""Networks that others build of what a cell's file tells: study.torch() of tools/ntklens.py, of any kind, gives the
same eigenvalues by PyTorch's own gradients, and the same losses."""

import sys

import lib

np = lib.need("numpy")
h5py = lib.need("h5py")
lib.need("pandas")
torch = lib.need("torch")
sys.dont_write_bytecode = True
sys.path.insert(0, str(lib.ROOT / "tools"))
import ntklens  # the loader

STUDY = """
study: torch
data: {source: glyphs, train_sizes: [40], test_size: 50, probe_size: 6}
model: {widths: [3], depths: [1], weight_variance: 2.0, bias_variance: 0.1}
training: {learning_rate: 0.02, batch_size: 20, max_steps: 8, loss: mse}
measure: {kernels: [full], steps_per_decade: 0, auxiliary_spectra: none}
output: {snapshots: measured}
"""
CNN = ["model.kind=[mlp, cnn]", "model.stages=[1, 2, 1]", "model.channel_growth=2"]
RESNET = ["model.kind=resnet", "model.activation=gelu"]
CASES = {
    "cnn: heads and pools": [*CNN, "model.head=[global-average, flatten]",
                             "model.downsampling=[average-pool, max-pool, stride]"],
    "cnn: norms, dense, last pool": [*CNN, "model.normalization=layer-norm", "model.dense_multiple=2",
                                     "model.pool_last=true", "model.head=flatten", "model.kernel_size=[1, 5]"],
    "cnn: ntk and mup": [*CNN, "model.parametrization=[ntk, mup]", "model.base_width=2", "model.activation=tanh"],
    "cnn: no biases": [*CNN, "model.biases=false", "model.bias_variance=0", "model.activation=erf"],
    "resnet": [*RESNET, "model.normalization=[none, layer-norm]", "model.branch_scale=[0.5, depth]"],
    "resnet: pools, ntk": [*RESNET, "model.downsampling=max-pool", "model.parametrization=ntk",
                           "model.head=flatten", "model.depths=[1, 2]"],
}  # fmt: skip
TOLERANCE = 1e-10  # of lambda_max


def jacobian(module, x):
    """d f_a(x_i) / d theta, a row for each sample and output."""
    parameters = list(module.parameters())
    rows = []
    for output in module(x).reshape(-1):
        gradients = torch.autograd.grad(output, parameters, retain_graph=True, allow_unused=True)
        rows.append(torch.cat([g.reshape(-1) for g in gradients if g is not None]))
    return torch.stack(rows).detach().numpy()


def check_state(study, cell, tag):
    step = study.step(cell, tag)
    with study.open(cell) as file:
        spectrum = file[f"spectra/full/{step}"][:]
        x = torch.tensor(file["probe/inputs"][:], dtype=torch.float64)
    module = study.torch(cell, tag, dtype=torch.float64)
    j = jacobian(module, x)
    wanted = np.linalg.eigvalsh(j @ j.T)[::-1]
    worst = np.abs(wanted - spectrum).max() / wanted[0]
    lib.check(worst <= TOLERANCE, f"{cell} {tag}: eigenvalues off by {worst:.2g} of the largest")
    return len(list(module.parameters()))


def outside_programs_build_the_same_networks(name, sets):
    out = lib.scratch("torch") / "out"
    lib.run_study(STUDY, out, *(word for text in sets for word in ("--set", text)))
    study = ntklens.load(out)
    kinds = set()
    for cell, rows in study.table.groupby("cell"):
        kinds.add(rows["kind"].iloc[0])
        for tag in ("init", "final"):
            parameters = check_state(study, cell, tag)
        lib.check(parameters > 3, f"{cell}: {parameters} tensors")
    lib.check(kinds & {"cnn", "resnet"}, f"{name}: kinds {kinds}")


for _name, _sets in CASES.items():
    lib.add(f"outside programs build the same networks: {_name}", outside_programs_build_the_same_networks, _name, _sets)


@lib.case
def losses_are_those_of_the_table():
    """Of float32 parameters, over the training images, which the probe is here."""
    out = lib.scratch("losses") / "out"
    sets = ["model.kind=[mlp, cnn, resnet]", "data.probe_from=train", "data.probe_size=40"]
    lib.run_study(STUDY, out, *(word for text in sets for word in ("--set", text)))
    study = ntklens.load(out)
    for cell in study.cells["cell"]:
        with study.open(cell) as file:
            x, labels = torch.tensor(file["probe/inputs"][:]), torch.tensor(file["probe/labels"][:], dtype=torch.int64)
        f = study.torch(cell, "final")(x)
        loss = float(((f - torch.nn.functional.one_hot(labels, 10)) ** 2).mean())
        row = study.at("final", "full").set_index("cell").loc[cell]
        lib.check(abs(loss / row["train_loss"] - 1) < 1e-5, f"{cell}: loss {loss}, table {row['train_loss']}")


@lib.case
def snapshots_are_read_as_they_were_written():
    """Another kernel is measured of kept parameters, and is that of a run that measured it at once."""
    kept, fresh = lib.scratch("kept") / "out", lib.scratch("fresh") / "out"
    sets = ["model.kind=[cnn, resnet]", "model.head=flatten", "model.normalization=[none, layer-norm]"]
    options = [word for text in sets for word in ("--set", text)]
    lib.run_study(STUDY, kept, *options)
    more = ("--set", "measure.kernels=[traced, full]")
    lib.run_study(STUDY, kept, *options, *more)
    lib.run_study(STUDY, fresh, *options, *more)
    trained = [line for line in (kept / "timings.csv").read_text().splitlines() if ",train," in line]
    lib.check_equal(len(trained), 4, "cells that were trained in both runs together")
    lib.check_equal((kept / "results.csv").read_bytes(), (fresh / "results.csv").read_bytes(), "results.csv")


@lib.case
def layers_are_told_in_words():
    out = lib.scratch("words") / "out"
    sets = ["model.kind=cnn", "model.depths=1", "model.stages=[1, 1]"]
    lib.run_study(STUDY, out, *(word for text in sets for word in ("--set", text)))
    study = ntklens.load(out)
    told = study.layers(study.cells["cell"][0])
    wanted = [
        "input 1x28x28",
        "0 conv 3x3 1->3 stride 1 padding 1 from input parameters 0 s 1 t 1 then relu",
        "1 average-pool 2x2 stride 2 from 0",
        "2 conv 3x3 3->3 stride 1 padding 1 from 1 parameters 1 s 1 t 1 then relu",
        "3 global-average from 2",
        "4 dense 3->10 from 3 parameters 2 s 1 t 1",
    ]
    lib.check_equal(told, wanted, "layers")
    parameters = study.snapshot(study.cells["cell"][0], "init")
    lib.check_equal(parameters["weight1"].shape, (3, 3, 3, 3), "shape of weight1")


@lib.case
def without_torch_there_is_a_clear_error():
    study = ntklens.load(_run_once())
    kept = sys.modules["torch"]
    sys.modules["torch"] = None  # as if it were not installed
    try:
        study.torch(study.cells["cell"][0], "init")
    except ImportError as error:
        lib.check("needs PyTorch" in str(error), str(error))
    else:
        raise lib.Failure("no error without torch")
    finally:
        sys.modules["torch"] = kept


def _run_once():
    out = lib.scratch("plain") / "out"
    lib.run_study(STUDY, out)
    return out


lib.main()

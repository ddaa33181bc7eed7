"""Kernels of convolutional and residual networks against Jacobians by functorch: of networks that are
built from the keys of the study, and of networks that are built from the attribute `layers` and the
snapshots alone, as any reader of a results folder can.
"""

import lib

np = lib.need("numpy")
h5py = lib.need("h5py")
lib.need("torch")
lib.need("functorch")
import convolutional
import torch

torch.set_num_threads(1)

IMAGE = (2, 9, 7)  # channels, rows, columns: 9 x 7, 4 x 3, 2 x 1
CLASSES = 3
PROBE = 9
ENTRIES = {"double": 1e-12, "single": 1e-5}  # of the largest entry
EIGENVALUES = 1e-10  # of lambda_max

STUDY = f"""\
    data: {{{{source: hdf5, path: images.h5, train_sizes: [24], test_size: 30, probe_size: {PROBE}}}}}
    model:
      kind: {{kind}}
      widths: [3]
      depths: {{depths}}
      stages: [1, 1]
      weight_variance: 1.5
      base_width: 2
{{model}}
    training: {{{{batch_size: 8, max_steps: 6, learning_rate: 0.05, optimizer: {{optimizer}}}}}}
    measure:
      kernels: [traced, full, class]
      steps_per_decade: 0
      auxiliary_spectra: none
      precision: {{precision}}
      solver: {{solver}}
      team_size: {{team}}
    output: {{{{snapshots: measured, kernels: true}}}}
"""


def write_images(folder):
    """Pixels that differ from image to image by as much as they differ within one."""
    random = np.random.default_rng(5)
    with h5py.File(folder / "images.h5", "w") as file:
        for name, count in (("train", 60), ("test", 60)):
            file[f"{name}/images"] = random.normal(size=(count, *IMAGE[1:], IMAGE[0]))
            file[f"{name}/labels"] = np.arange(count) % CLASSES


def run_study(kind, model, ranks=None, precision="double", optimizer="sgd", depths="[1]"):
    """model: further keys of the section, one a line."""
    out = lib.scratch("convolutional") / "out"
    write_images(out.parent)
    shared = (ranks or 1) > 1
    text = STUDY.format(kind=kind, optimizer=optimizer, precision=precision, depths=depths,
                        model="\n".join(f"      {line}" for line in model),
                        solver="scalapack" if shared else "auto",
                        team="all" if shared else "auto")  # fmt: skip
    lib.run_study(text, out, ranks=ranks)
    return out


def kernels(jacobian, rates):
    """By the names that ntklens gives them."""
    samples, outputs, _ = jacobian.shape
    result = {}
    for suffix, weighted in (("", jacobian), ("-rate-weighted", jacobian * rates)):
        flat, other = (part.reshape(samples * outputs, -1) for part in (jacobian, weighted))
        result["full" + suffix] = flat @ other.T
        blocks = [jacobian[:, a] @ weighted[:, a].T for a in range(outputs)]
        result["traced" + suffix] = sum(blocks) / outputs
        result.update({f"class{a}{suffix}": block for a, block in enumerate(blocks)})
    return result


def check_kernels(cell, file, precision, weighted):
    """Every kernel of every state against the network of the keys; the largest deviation."""
    keys = dict(file.attrs)
    probe = file["probe/inputs"][()]
    worst = 0.0
    for step, snapshot in file["snapshots"].items():
        net = convolutional.from_keys(keys, snapshot, IMAGE)
        jacobian, rates = net.jacobian(probe)
        lib.check_equal(jacobian.shape[2], keys["parameters"], f"{cell}: trained parameters")
        wanted = kernels(jacobian, rates)
        names = {name for name in wanted if weighted or not name.endswith("weighted")}
        lib.check_equal(set(file["kernels"]), names, f"{cell}: kernels")
        for name in names:
            got, expected = np.float64(file[f"kernels/{name}/{step}"][()]), wanted[name]
            lib.check_equal(got.shape, expected.shape, f"{cell} {name}: shape")
            error = np.max(np.abs(got - expected)) / np.max(np.abs(expected))
            what = f"{cell} {keys['downsampling']} {keys['head']} step {step} {name}"
            lib.check_close(error, 0, ENTRIES[precision], f"{what}: deviation over largest entry")
            worst = max(worst, error)
    return worst


def check_spectra(cell, file):
    """Eigenvalues, to an outsider who knows nothing but /snapshots and the probe."""
    worst, step = 0.0, max(file["snapshots"], key=int)
    net = convolutional.from_layers(file, step)
    jacobian, _ = net.jacobian(file["probe/inputs"][()])
    for name, kernel in kernels(jacobian, 1.0).items():
        if name.endswith("weighted"):
            continue
        wanted = np.linalg.eigvalsh(kernel)[::-1]
        error = np.max(np.abs(file[f"spectra/{name}/{step}"][()] - wanted)) / wanted[0]
        lib.check_close(error, 0, EIGENVALUES, f"{cell} step {step} {name}: error over lambda_max")
        worst = max(worst, error)
    return worst


def agrees(kind, model, cells, precision="double", **options):
    weighted = any("mup" in line for line in model)
    if not any("biases" in line for line in model):
        model = [*model, "bias_variance: 0.1"]
    out = run_study(kind, model, precision=precision, **options)
    files = lib.cell_files(out)
    lib.check_equal(len(files), cells, "number of cells")
    entries = max(check_kernels(cell, file, precision, weighted) for cell, file in files.items())
    told = f"    {cells} cells: entries off by {entries:.1e}"
    if precision == "double":
        spectra = max(check_spectra(cell, file) for cell, file in files.items())
        told += f", eigenvalues by {spectra:.1e}"
    print(told)
    for row in lib.table(out):
        lib.check("refilled" not in row["flags"], f"{row['cell']}: a right kernel was refilled")


DOWNSAMPLING = "downsampling: [average-pool, max-pool, stride]"
HEADS = ("head: [global-average, flatten]", "dense_multiple: [0, 2]")
NORMS = "normalization: [none, layer-norm]"

lib.add("cnn: downsampling, heads, a dense layer", agrees, "cnn", [DOWNSAMPLING, *HEADS], 12)
lib.add("cnn: layer norm, no biases, a pool behind the last stage, gelu", agrees, "cnn",
        ["downsampling: [average-pool, max-pool]", "pool_last: true", "head: flatten",
         NORMS, "biases: [true, false]", "activation: gelu", "channel_growth: 2"], 8)  # fmt: skip
lib.add("cnn: kernels of 1 and 5 pixels, ntk and mup, tanh", agrees, "cnn",
        ["kernel_size: [1, 5]", "parametrization: [ntk, mup]", "activation: tanh",
         "head: [flatten, global-average]"], 8)  # fmt: skip
lib.add("resnet: downsampling, heads, layer norm", agrees, "resnet",
        [DOWNSAMPLING, NORMS, "branch_scale: [depth]", HEADS[0]], 12)  # fmt: skip
lib.add("resnet: branch scales, depth 2, erf, ntk and mup, adam", agrees, "resnet",
        ["branch_scale: [1.0, 0.3]", "parametrization: [ntk, mup]", NORMS,
         "activation: erf", "dense_multiple: 2"], 8, optimizer="adam", depths="[2]")  # fmt: skip
for _ranks in (2, 3, 4, 6):
    for _kind in ("cnn", "resnet"):
        lib.add(f"{_kind}, kernels shared by {_ranks} ranks", agrees, _kind,
                ["downsampling: max-pool", NORMS, "parametrization: mup", "dense_multiple: 1",
                 "head: flatten"], 2, ranks=_ranks)  # fmt: skip
lib.add("cnn, single precision", agrees, "cnn", [DOWNSAMPLING, *HEADS], 12, precision="single")
lib.add("resnet, single precision", agrees, "resnet", [DOWNSAMPLING, NORMS], 6,
        precision="single")  # fmt: skip
lib.main()

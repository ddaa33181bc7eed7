"""ntklens results in Python: pandas frames and spectra of a results folder.

    import ntklens

    study = ntklens.load("out/quickstart")
    study.table                         # results.csv, a row for each network, state and kernel
    study.flags                         # its column flags: table.flags is pandas' own attribute
    study.at("best", "full")            # its rows of one tag and kernel, of the whole probe
    study.curves()                      # loss and accuracy of every network against step
    study.spectra("full", "best")       # a row of eigenvalues for each network, the largest first
    study.snapshot(cell, "best")        # weights and biases of one network
    study.torch(cell, "best")           # the network itself, a torch.nn.Module with them

    # images of one's own: data.source: hdf5, data.path: images.h5
    ntklens.write_data("images.h5", train_images, train_labels, test_images, test_labels)

`tag` is a tag of the table (init, best, final, step=1000, ...) or a step, a whole number.  Frames of cells/
are indexed by what tells networks apart, so that, say, study.spectra("full", "best").groupby("width").mean()
is the spectrum of each width, averaged over seeds.  Needs pandas; all but the tables also needs h5py.
"""

import functools
import os
import pathlib

import pandas as pd

IDENTITY = ["width", "depth", "n_train", "seed", "cell"]  # index of frames of cells/
TEXTS = ["cell", "tag", "kernel", "solver", "flags"]  # never numbers, empty rather than missing


def load(folder):
    """The Study in a results folder of `ntklens run` (or of `ntklens merge`)."""
    return Study(folder)


def write_data(path, train_images, train_labels, test_images, test_labels):
    """Write arrays as the file that a study reads with `data.source: hdf5` and `data.path`.

    Images are [N x height x width x channels] (channels last), [N x height x width], or [N x d] for inputs
    without positions: uint8, of which the study sees 1/255, or float32 or float64, which it sees as they
    are.  Labels are N whole numbers from 0 to at most 999; the number of classes is the largest of all
    plus one.  What a study would refuse is a ValueError here.  The file appears once it is whole.
    """
    import h5py
    import numpy as np

    train, test = _images("train_images", train_images), _images("test_images", test_images)
    if train.shape[1:] != test.shape[1:] or (train.dtype == np.uint8) != (test.dtype == np.uint8):
        raise ValueError(f"test_images: {test.dtype} {test.shape[1:]} an image, expected images like "
                         f"those of train_images: {train.dtype} {train.shape[1:]}")  # fmt: skip
    labels = [_labels("train_labels", train_labels, len(train)), _labels("test_labels", test_labels, len(test))]
    if max(part.max() for part in labels) < 1:
        raise ValueError("train_labels, test_labels: all are 0, expected at least two classes")
    partial = f"{os.fspath(path)}.{os.getpid()}.partial"
    try:
        with h5py.File(partial, "w") as file:
            for name, images, own in zip(("train", "test"), (train, test), labels):
                file[f"{name}/images"] = images
                file[f"{name}/labels"] = own
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.remove(partial)


class Study:
    """A results folder.  Tables are read at once, what is in cells/ when it is asked for."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.name = self.folder.resolve().name
        if not (self.folder / "results.csv").is_file():
            raise FileNotFoundError(f"{self.folder}: no results.csv; expected a results folder of ntklens run")
        self.table = _read_csv(self.folder / "results.csv", needed=["cell", "depth", "kernel", "flags"])
        self.timings = _read_csv(self.folder / "timings.csv", optional=True)
        self.infinite = _read_csv(self.folder / "infinite.csv", optional=True)

    def __repr__(self):
        networks, rows = _counted(len(self.cells), "network"), _counted(len(self.table), "row")
        return f"<ntklens study {self.folder}: {networks}, {rows}>"

    @property
    def flags(self):
        """The column flags of the table, "" where a row is clean (study.table.flags is pandas' own)."""
        return self.table["flags"]

    @property
    def kernels(self):
        """Names of the kernels in the table: full, traced, class0, ..."""
        return sorted(self.table["kernel"].unique())

    @property
    def whole(self):
        """The table without kernels of fewer images than the whole probe (measure.probe_prefixes)."""
        return whole(self.table)

    @property
    def cells(self):
        """One row per network: its id and what it is."""
        return self.table[IDENTITY].drop_duplicates().reset_index(drop=True)

    def at(self, tag, kernel=None, n=None):
        """Rows of the table of one tag, and of one kernel where it is named: of the whole probe, or of this order."""
        rows = self.whole if n is None else self.table[self.table["n"] == n]
        rows = rows[rows["tag"] == tag]
        return rows if kernel is None else rows[rows["kernel"] == kernel]

    def curves(self):
        """Losses and accuracies at every evaluated step: columns step, train_loss, test_loss, ..."""
        return self._gather(lambda file, cell: _values(file, "curve"))

    def spectra(self, kernel="full", tag="best"):
        """Eigenvalues: one row per network, columns 1 ... n, descending.  Networks without are left out; of
        quadrature there are only those that are right to 1e-3, and NaN behind them.  Of the first 500 images of
        the probe (measure.probe_prefixes): kernel "full@500"."""
        return self._arrays("spectra", kernel, tag, lambda values: [values]).rename(columns=lambda k: k + 1)

    def rank_curves(self, kernel="full", tag="best"):
        """Spectra by quadrature, as far as they are known: columns rank (place in the spectrum, from 1) and
        eigenvalue, some hundred rows per network.  Networks with all eigenvalues are left out."""
        frame = self._arrays("rank_curve", kernel, tag, list)
        return frame.set_axis(["rank", "eigenvalue"], axis=1) if len(frame) else frame

    def _arrays(self, folder, kernel, tag, rows):
        """One frame of the arrays of a state in the networks' files, by what makes rows of them."""
        if isinstance(tag, str) and not (self.table["tag"] == tag).any():
            raise KeyError(f"{self.folder}: no network has the tag {tag}")

        def read(file, cell):
            step = self._steps.get((cell, tag)) if isinstance(tag, str) else int(tag)
            path = f"{folder}/{kernel}/{step}"
            return rows(_own(file, path)[:]) if path in file else None

        return self._gather(read)

    def snapshot(self, cell, tag="best"):
        """Parameters of a network, by name: weight0 [fan_out x fan_in], bias0, weight1, ..."""
        path = f"snapshots/{self.step(cell, tag)}"
        with self.open(cell) as file:
            if path not in file:
                raise KeyError(f"{cell}: no {path}; output.snapshots decides what is kept")
            return _values(file, path)

    def layers(self, cell):
        """The layers of a network, as its file tells them: one line each, the first its input."""
        with self.open(cell) as file:
            if "snapshots" not in file or "layers" not in _own(file, "snapshots").attrs:
                raise KeyError(f"{cell}: no layers; written with snapshots (output.snapshots), not by older versions")
            text = file["snapshots"].attrs["layers"]
        return (text.decode() if isinstance(text, bytes) else text).splitlines()

    def torch(self, cell, tag="best", dtype=None):
        """A network as a torch.nn.Module: f(x) of samples [N x inputs] as in /probe/inputs, or of images
        [N x channels x rows x columns].  Its parameters are named as in snapshot(); torch.float32 unless dtype."""
        try:
            import torch
        except ImportError as error:
            raise ImportError(f"study.torch() needs PyTorch, which cannot be imported here: {error}") from None
        values = self.snapshot(cell, tag)
        tensors = {name: torch.tensor(value, dtype=dtype or torch.float32) for name, value in values.items()}
        return _module(torch, self.layers(cell), tensors)

    def kernel_matrices(self, cell, tag="best"):
        """Kernels of a network, by name, n x n; kept where output.kernels is true."""
        with self.open(cell) as file:
            step = str(self.step(cell, tag))
            kernels = _own(file, "kernels") if "kernels" in file else {}
            found = {k: _own(kernels, f"{k}/{step}")[:] for k in kernels if f"{k}/{step}" in kernels}
        if not found:
            raise KeyError(f"{cell}: no kernels of {tag}; output.kernels keeps them")
        return found

    def step(self, cell, tag):
        """The step of a tag of a network; a step is its own."""
        if not isinstance(tag, str):
            return int(tag)
        if (cell, tag) not in self._steps:
            raise KeyError(f"{cell}: no row of the table with the tag {tag}")
        return self._steps[cell, tag]

    @functools.cached_property
    def _steps(self):
        """(cell, tag) -> step.  Log steps share their tag: the first one."""
        rows = self.table[["cell", "tag", "step"]].drop_duplicates(["cell", "tag"])
        return {(cell, tag): int(step) for cell, tag, step in rows.itertuples(index=False)}

    def open(self, cell):
        """The h5py.File of a network, for all that has no method here: h5ls -r shows what there is.

        The methods refuse files that lead to others, which ntklens never writes; h5py itself follows them.
        """
        import h5py

        return h5py.File(self.folder / "cells" / f"{cell}.h5", "r")

    def _gather(self, read):
        """One frame of what `read` finds in each network's file, indexed by IDENTITY."""
        frames = []
        for identity in self.cells.itertuples(index=False):
            if not (self.folder / "cells" / f"{identity.cell}.h5").exists():
                continue  # tables can be joined and passed on without their cells
            with self.open(identity.cell) as file:
                frame = pd.DataFrame(read(file, identity.cell))
            index = [identity] * len(frame)
            frame.index = pd.MultiIndex.from_tuples(index, names=IDENTITY) if index else frame.index
            frames.append(frame)
        frames = [frame for frame in frames if len(frame)]
        return pd.concat(frames) if frames else pd.DataFrame()


def whole(table):
    """Rows of the largest order of each kernel: ranks of different orders are not to be pooled."""
    if "n" not in table:
        return table
    most = table.groupby("kernel")["n"].transform("max")
    return table[~(table["n"] < most)]


def _counted(count, noun):
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _images(name, values):
    import numpy as np

    images = np.asarray(values)
    if images.dtype not in (np.uint8, np.float32, np.float64):
        raise ValueError(f"{name}: {images.dtype}, expected uint8, float32 or float64")
    if images.ndim not in (2, 3, 4) or images.size == 0:
        raise ValueError(f"{name}: shape {images.shape}, expected [N x height x width x channels], "
                         "[N x height x width] or [N x d], none of them 0")  # fmt: skip
    if images.dtype != np.uint8 and not (np.abs(images) <= np.finfo(np.float32).max).all():
        raise ValueError(f"{name}: nan, infinite or beyond 32 bits, expected finite numbers")
    return images


def _labels(name, values, count):
    import numpy as np

    labels = np.asarray(values)
    if labels.shape != (count,):
        raise ValueError(f"{name}: shape {labels.shape}, expected ({count},), one for each image")
    if labels.dtype.kind not in "iuf" or not ((labels >= 0) & (labels <= 999) & (labels == np.floor(labels))).all():
        raise ValueError(f"{name}: expected whole numbers from 0 to 999")
    return labels.astype(np.uint16)


def _separators(path):
    """Some spreadsheets put semicolons or tabs between values, and commas for decimal points."""
    text = path.read_text(encoding="utf-8-sig")
    names = text.split("\n", 1)[0]
    sep = "," if "," in names else ";" if ";" in names else "\t" if "\t" in names else ","
    return {"sep": sep, "decimal": "," if sep != "," and "," in text else "."}


def _own(group, path):
    """What stands at a path, unless it is elsewhere: whoever made the file would choose what is read there."""
    import h5py

    for name in path.split("/"):
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{group.file.filename}: {path} is a link, which ntklens never writes")
        group = group[name]
    if isinstance(group, h5py.Dataset) and (group.external or group.is_virtual):
        raise ValueError(f"{group.file.filename}: {path} is kept in other files, which ntklens never does")
    return group


def _values(file, path):
    """All datasets of a group, by name."""
    group = _own(file, path)
    return {name: _own(group, name)[:] for name in group}


def _layer(line):
    """A line of `layers` as its kind, its own words and what the words before its values say."""
    words = line.split()
    named = ("from", "plus", "parameters", "s", "t", "then", "stride", "padding", "eps")
    first = next(k for k, word in enumerate(words) if word in named)
    rest = words[first:]
    return words[1], words[2:first], dict(zip(rest[::2], rest[1::2]))


def _module(torch, lines, tensors):
    """A torch.nn.Module of the layers that these lines tell, with these parameters."""
    functional = torch.nn.functional
    activations = {"relu": torch.relu, "tanh": torch.tanh, "erf": torch.erf, "gelu": functional.gelu}
    shape = [int(n) for n in lines[0].removeprefix("input ").split("x")]
    layers = [_layer(line) for line in lines[1:]]

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name, value in tensors.items():
                self.register_parameter(name, torch.nn.Parameter(value))

        def forward(self, x):
            outputs = {"input": x.reshape(len(x), *shape)}
            for k, (kind, words, named) in enumerate(layers):
                out = self.apply_layer(kind, words, named, outputs)
                outputs[str(k)] = activations[named["then"]](out) if "then" in named else out
            return out

        def apply_layer(self, kind, words, named, outputs):
            h = outputs[named["from"]]
            if "parameters" in named:
                k = named["parameters"]
                weight = float(named["s"]) * getattr(self, f"weight{k}")
                bias = float(named["t"]) * getattr(self, f"bias{k}")
            if kind == "dense":
                return functional.linear(h.flatten(1), weight, bias)
            if kind == "conv":
                return functional.conv2d(h, weight, bias, int(named["stride"]), int(named["padding"]))
            if kind == "layer-norm":  # over all channels and positions, which is a group norm of one group
                return functional.group_norm(h, 1, weight, bias, float(named["eps"]))
            if kind in ("average-pool", "max-pool"):
                pool = functional.avg_pool2d if kind == "average-pool" else functional.max_pool2d
                return pool(h, int(words[0].split("x")[0]), int(named["stride"]))
            if kind == "global-average":
                return h.mean((2, 3))
            if kind == "add":
                return float(words[0]) * h + outputs[named["plus"]]
            if kind == "apply":
                return h
            raise ValueError(f"a layer of kind {kind}, which this version of ntklens.py does not know")

        def extra_repr(self):
            return "\n".join(lines)

    return Network()


def _read_csv(path, optional=False, needed=()):
    if optional and not path.exists():
        return None
    options = {"dtype": {name: str for name in TEXTS}, "float_precision": "round_trip"}
    table = pd.read_csv(path, **options, **_separators(path))
    for name in needed:  # a table that was joined or edited may lack them
        if name not in table:
            table[name] = ""
    texts = [name for name in TEXTS if name in table]
    table[texts] = table[texts].fillna("")
    return table

"""From tables to what a panel shows: networks that differ in one scale, means over their seeds, fits."""

import dataclasses
import re

import ntklens
import numpy as np
import pandas as pd

# Columns that tell networks apart beside width, depth and n_train: the axes a study may have.
KEYS = [
    *["source", "label_noise", "kind", "activation", "parametrization", "base_width"],
    *["weight_variance", "bias_variance", "loss", "optimizer", "learning_rate", "momentum"],
    *["weight_decay", "schedule", "batch_size", "stop_after_best", "max_steps"],
    *["evaluations_per_decade", "stages", "channel_growth", "kernel_size", "downsampling", "pool_last"],
    *["head", "dense_multiple", "normalization", "branch_scale", "biases"],
]
CONVOLUTIONAL = ("cnn", "resnet")  # kinds whose width is channels
SCALES = {"width": "width", "data": "n_train"}  # direction: its column
UNITS = {"width": "width (units per hidden layer)", "data": "training images"}
LEFT_OUT = ("censored", "diverged", "untrained", "collapsed")  # rows of these flags belong in no mean
BROKEN = ("diverged", "collapsed")  # nor do networks of these along training


@dataclasses.dataclass
class Group:
    """Networks of one study that differ in one scale, and in seed, only."""

    study: object  # ntklens.Study
    direction: str  # width | data
    held: dict  # what all of them share and others in the study do not
    every: pd.DataFrame  # rows of the study's table

    def __post_init__(self):
        self.rows = ntklens.whole(self.every)  # without kernels of prefixes of the probe

    @property
    def scale(self):
        return SCALES[self.direction]

    @property
    def scales(self):
        return sorted(self.rows[self.scale].unique())

    @property
    def channels(self):
        """Is width channels?"""
        return "kind" in self.rows and bool(self.rows["kind"].isin(CONVOLUTIONAL).any())

    @property
    def unit(self):
        if self.direction == "width" and self.channels:
            return "width (channels of the first stage)"
        return UNITS[self.direction]

    def parameters(self):
        """Parameters at each scale, or nothing where they are not one number."""
        counts = self.rows.groupby(self.scale)["parameters"]
        return counts.first() if (counts.nunique() == 1).all() else pd.Series(dtype=float)

    def title(self):
        """What is held, for people."""
        names = {"n_train": "{} image", "width": "{} channel" if self.channels else "width {}", "kind": "{}"}
        texts = [(names.get(k, k + " {}"), _text(v)) for k, v in self.held.items()]
        # what is counted stands behind its number
        return ", ".join(
            name.format(text) + ("s" if name.startswith("{} ") and text != "1" else "") for name, text in texts
        )

    def values(self, column, kernel, tag):
        """Rows of a tag: columns x (the scale), y, clean (False: flagged, so in no mean), step."""
        rows = self.rows[self.rows["tag"] == tag]
        if kernel is not None:
            rows = rows[rows["kernel"] == kernel]
        elif len(rows):
            rows = rows[rows["kernel"] == rows["kernel"].iloc[0]]  # training's columns: the same on all
        clean = ~_flagged(rows, LEFT_OUT)
        frame = pd.DataFrame(
            {"x": rows[self.scale], "y": rows[column], "step": rows["step"], "clean": clean}
        )
        return frame[np.isfinite(frame["y"])]

    def means(self, column, kernel, tag):
        """Mean and standard deviation over seeds of clean rows: columns mean, sd, step; index the scale."""
        values = self.values(column, kernel, tag)
        by_scale = values[values["clean"]].groupby("x")
        return pd.DataFrame(
            {
                "mean": by_scale["y"].mean(),
                "sd": by_scale["y"].std(),  # of one seed: NaN, no bar
                "step": by_scale["step"].median(),
            }
        )

    def prefixes(self, column, kernel, scale, tag="best"):
        """Against the order of the kernel, at a tag and of one width or size: means of clean rows over seeds, their
        standard deviation, and the half width of their logarithms that the method leaves open."""
        rows = self.every[(self.every["kernel"] == kernel) & (self.every["tag"] == tag)]
        rows = rows[(rows[self.scale] == scale) & ~_flagged(rows, LEFT_OUT) & (rows[column] > 0)]
        half = rows["entropy_error"] if "entropy_error" in rows and column == "effective_rank" else 0.0 * rows[column]
        rows = pd.DataFrame({"n": rows["n"], "y": rows[column], "half": half}).groupby("n")
        return pd.DataFrame({"mean": rows["y"].mean(), "sd": rows["y"].std(), "half": rows["half"].mean()})

    def clean_cells(self, kernel, tag):
        """Networks whose row of a kernel and tag has no flag that leaves it out."""
        rows = self.rows[(self.rows["kernel"] == kernel) & (self.rows["tag"] == tag)]
        return rows["cell"][~_flagged(rows, LEFT_OUT)]

    @property
    def seeds(self):
        """How many there are at most at one scale."""
        return int(self.rows.groupby(self.scale)["seed"].nunique().max())

    def evolution(self, column, kernel, scale):
        """Against step, of one width or size: init, log steps, final.  Columns mean, sd over seeds, and
        all: whether every network has got so far.  One that broke on the way is left out from the start."""
        rows = self.rows[
            (self.rows[self.scale] == scale)
            & (self.rows["kernel"] == kernel)
            & self.rows["tag"].isin(["init", "log", "final"])
        ].drop_duplicates(["cell", "step"])
        rows = rows[~rows["cell"].isin(rows["cell"][_flagged(rows, BROKEN)])]
        by_step = rows.groupby("step")[column]
        count = by_step.count()
        return pd.DataFrame({"mean": by_step.mean(), "sd": by_step.std(), "all": count == count.max()})


def _flagged(rows, flags):
    return rows["flags"].str.contains("|".join(flags))


def find_groups(study):
    """All groups of a study of two scales or more; where there is none, one of all its networks."""
    groups = []
    for direction, scale in SCALES.items():
        other = "n_train" if scale == "width" else "width"
        varying = [k for k in ["depth", *KEYS] if k in study.table and study.table[k].nunique(dropna=False) > 1]
        by = [other, *varying]
        for _, rows in study.table.groupby(by[0] if len(by) == 1 else by, dropna=False):
            held = {name: rows[name].iloc[0] for name in by if not _is_absent(rows[name].iloc[0])}
            if rows[scale].nunique() > 1:
                groups.append(Group(study, direction, held, rows))
    if not groups:
        first = study.table.iloc[0]
        groups.append(Group(study, "width", {"n_train": first["n_train"]}, study.table))
    return groups


def _is_absent(value):
    """Networks of another kind have no such key."""
    return value == "" or (isinstance(value, float) and np.isnan(value))


def headline(groups, fits):
    """The group that stands for several: the one that `ntklens report` speaks of, where it has written its
    tables; else along data the smallest model, along width the largest set."""
    told = [group for group in groups if fits.is_headline(group)]
    if told:
        return told[0]
    held = "width" if groups[0].direction == "data" else "n_train"
    ordered = sorted(groups, key=lambda group: group.held[held])
    return ordered[0] if groups[0].direction == "data" else ordered[-1]


class Fits:
    """The tables of `ntklens report`, or nothing where they are not."""

    def __init__(self, folder):
        self.fits = _optional(folder / "fits.csv")
        self.robustness = _optional(folder / "robustness.csv")
        self.transition = _optional(folder / "transition.csv")
        self.prefixes = _optional(folder / "prefixes.csv")
        self.local = _optional(folder / "local_exponents.csv")

    def is_headline(self, group):
        """Does the verdict speak of these networks?"""
        if self.fits is None or "headline" not in self.fits:
            return False
        rows = self.fits[(self.fits["direction"] == group.direction) & (self.fits["headline"] == "yes")]
        return any(_same(held, group) for held in rows["held"].unique())

    def law(self, group, quantity):
        """The row of fits.csv with numbers for a quantity of a group, or None."""
        if self.fits is None:
            return None
        rows = self.fits[
            (self.fits["direction"] == group.direction) & (self.fits["quantity"] == quantity)
        ]
        rows = [row for _, row in rows.iterrows() if _same(row["held"], group) and _has_law(row)]
        return rows[0] if rows else None

    def images(self, kernel, orders):
        """Images that kernels of these orders are of, as prefixes.csv says, or None."""
        if self.prefixes is None:
            return None
        rows = self.prefixes[self.prefixes["kernel"] == kernel].drop_duplicates("n").set_index("n")["images"]
        known = rows.reindex(orders)
        return None if known.isna().any() else known

    def local_exponents(self, group, quantity):
        """Rows of local_exponents.csv for a quantity of a group, empty where there are none."""
        if self.local is None:
            return pd.DataFrame()
        rows = self.local[
            (self.local["direction"] == group.direction) & (self.local["quantity"] == quantity)
        ]
        return rows[[_same(held, group) for held in rows["held"]]] if len(rows) else rows

    def crossing(self, group, kernel):
        """The row of transition.csv of a group and kernel, or None."""
        if self.transition is None or group.direction != "width":
            return None
        rows = self.transition[self.transition["kernel"] == kernel]
        rows = [row for _, row in rows.iterrows() if _same(row["held"], group)]
        return rows[0] if rows else None


def law_curve(law, x):
    """offset + amplitude x^-exponent"""
    offset = law["offset"] if law["model"] == "offset" else 0.0
    return offset + law["amplitude"] * np.asarray(x, float) ** -law["exponent"]


def law_text(law):
    """The law in a legend: y ~ x^-exponent, with its 95 % interval, and whether the noise of seeds rejects it."""
    floor = f"{law['offset']:.3g} + " if law["model"] == "offset" else ""
    power = _interval(law["exponent"], law["exponent_low"], law["exponent_high"])
    rejected = "  (rejected)" if law.get("holds") == "no" else ""
    return rf"{floor}$a\,x^{{-\alpha}}$,  $\alpha$ = {power}{rejected}"


def slope_text(law):
    """The mean slope in the logarithms, with its 95 % interval: that of the verdict."""
    names = ("loglog_slope", "loglog_slope_low", "loglog_slope_high")
    return f"slope of log y {_interval(*(law.get(name, np.nan) for name in names))}"


def _interval(value, low, high):
    known = np.isfinite(low) or np.isfinite(high)
    return f"{value:+.2f}" + (f" [{low:+.2f}, {high:+.2f}]".replace("inf", "∞") if known else "")


def _has_law(row):
    return bool(np.isfinite(row["exponent"]) and np.isfinite(row["amplitude"]))


def _same(held, group):
    """Does `n_train=1024, max_steps=20000` name this group?  It may hold more than the group's own study
    tells apart: what differs between the studies of one report."""
    pairs = dict(part.split("=", 1) for part in re.split(r"[;,] *", str(held)) if "=" in part)
    if not set(group.held) <= set(pairs) or not set(pairs) <= set(group.rows):
        return False
    return all((group.rows[k].map(_number) == _number(v)).all() for k, v in pairs.items())


def _number(value):
    if isinstance(value, (bool, np.bool_)):
        return str(value).lower()  # as results.csv has it
    try:
        return float(value)
    except ValueError:
        return str(value)


def _text(value):
    if isinstance(value, (bool, np.bool_)):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, (float, np.floating)) else str(value)


def _optional(path):
    return pd.read_csv(path) if path.exists() else None

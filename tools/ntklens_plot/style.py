"""How figures look: colours that colour-blind readers and grey printers tell apart, and files that are the
same, byte for byte, when they are drawn again."""

import io

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from . import own

# Okabe & Ito, "Color Universal Design" (2008)
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#777777"

TAGS = {  # colour, marker, line: an order of training that also survives in grey
    "init": (GREY, "s", ":"),
    "best": (BLUE, "o", "-"),
    "final": (VERMILION, "^", "--"),
}
KERNELS = [(BLUE, "o"), (VERMILION, "^")]  # the first two of a study
MARKERS = "os^Dv<>pPX*"
DASHES = ["-", "--", "-.", ":"]

LABELS = 31  # points that ticks and label of a horizontal axis take
PANEL = (3.6, 2.75)  # inches: two panels fill the text of a page

plt.rcParams.update(
    {
        "font.size": 9,
        "axes.titlesize": 9.5,
        "axes.labelsize": 9,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.fontsize": 7.5,
        "legend.facecolor": "white",
        "legend.edgecolor": "none",
        "legend.framealpha": 0.85,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#dddddd",
        "grid.linewidth": 0.5,
        "axes.axisbelow": True,
        "lines.linewidth": 1.4,
        "lines.markersize": 4.5,
        "errorbar.capsize": 2.5,
        "savefig.dpi": 200,
        "svg.hashsalt": "ntklens",
        "svg.fonttype": "path",
        "figure.constrained_layout.use": True,
    }
)


def ordered(count):
    """Colours of `count` ordered things, dark to light; the lightest are left out: unreadable on white."""
    return plt.get_cmap("viridis")(np.linspace(0.0, 0.88, max(count, 1)))


def panels(rows, columns, panel=PANEL, **options):
    """A figure of rows x columns panels; axes as a two-dimensional array."""
    size = (panel[0] * columns, panel[1] * rows)
    return plt.subplots(rows, columns, figsize=size, squeeze=False, **options)


def legend_below(axis, **options):
    """Outside of the panel: it neither hides points nor stretches the axis.  None where nothing has a name."""
    if not axis.get_legend_handles_labels()[1]:
        return
    look = {"ncol": 1, "title_fontsize": 7.5, "columnspacing": 1.0, "handlelength": 2.2, **options}
    below = matplotlib.transforms.ScaledTranslation(0, -LABELS / 72, axis.figure.dpi_scale_trans)
    place = {"bbox_to_anchor": (0.5, 0), "bbox_transform": axis.transAxes + below, "borderaxespad": 0.0}
    axis.legend(loc="upper center", **place, **look)


def log_scale(axis, values):
    """A logarithmic axis that names a few round numbers even where it spans less than a decade."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values) & (values > 0)]
    span = values.max() / values.min() if len(values) else 1.0
    subs = (1, 1.5, 2, 3, 4, 5, 6, 8) if span < 4 else (1, 2, 3, 5) if span < 30 else (1, 3) if span < 300 else (1,)
    axis.set_major_locator(matplotlib.ticker.LogLocator(base=10, subs=subs))
    if span < 300:
        axis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda y, _: f"{y:g}"))
    axis.set_minor_formatter(matplotlib.ticker.NullFormatter())


def scale_axis(axis, scales):
    """A logarithmic axis with a tick at (some of) the widths or sizes of the study."""
    scales = sorted(set(scales))
    axis.axes.set_xscale("log")
    shown = scales[:: 1 + (len(scales) - 1) // 8]
    axis.set_major_locator(matplotlib.ticker.FixedLocator(shown))
    axis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda x, _: short(x)))
    axis.set_minor_locator(matplotlib.ticker.NullLocator())


def second_axis(axis, values, label):
    """What else the ticks of a scale stand for, above the panel; values: by scale."""
    shown = [x for x in axis.get_xticks() if x in values.index]
    if not shown:
        return
    above = axis.secondary_xaxis("top")
    above.set_xscale("log")
    above.xaxis.set_major_locator(matplotlib.ticker.FixedLocator(shown))
    above.xaxis.set_major_formatter(matplotlib.ticker.FixedFormatter([count(values[x]) for x in shown]))
    above.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    above.set_xlabel(label)


def count(x):
    """7.3e3 as 7.3k, 1.2e6 as 1.2M: a count in few letters."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if x >= size:
            return f"{x / size:.3g}{letter}"
    return f"{x:.3g}"


def short(x):
    """64, 16384, 131k: a scale in few letters."""
    return f"{x / 1000:.3g}k" if x >= 100000 else f"{x:.6g}"


def save(figure, folder, name):
    """name.png and name.svg, without dates or versions; returns the bytes of the former."""
    drawn = {}
    for form, metadata in ("svg", {"Date": None, "Creator": own.MARK}), ("png", {"Software": own.MARK}):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=form, metadata=metadata)
        drawn[form] = buffer.getvalue()
        own.write(folder / f"{name}.{form}", drawn[form])
    plt.close(figure)
    return drawn["png"]

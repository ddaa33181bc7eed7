"""The figures.  Each function draws one for one or two groups, side by side, or raises Absent."""

import textwrap

import numpy as np
import pandas as pd

from . import groups as gr
from . import style


class Absent(Exception):
    """Why a figure cannot be drawn from these tables."""


def main_kernel(study):
    """full where it was measured: it sees differences between outputs that traced averages away."""
    return "full" if "full" in study.kernels else study.kernels[0]


def kernels_of(groups):
    """The kernels to show: full and traced, or the first two there are."""
    names = sorted({kernel for group in groups for kernel in group.study.kernels})
    known = [name for name in ("full", "traced") if name in names]
    return known or names[:2]


def need(groups, column):
    if not any(column in g.rows and np.isfinite(g.rows[column]).any() for g in groups):
        raise Absent(f"no column {column} with values in results.csv")


# ---------------------------------------------------------------------------------------------
# Against width or data
# ---------------------------------------------------------------------------------------------


def overview(groups, fits):
    """Test loss with its law; effective ranks at best with their mean slopes; what the full kernel's rank has
    more than the traced one's, the class factor: one row each."""
    need(groups, "effective_rank")
    kernels = kernels_of(groups)
    split = any("class_factor" in g.rows and np.isfinite(g.rows["class_factor"]).any() for g in groups)
    figure, axes = style.panels(3 if split else 2, len(groups), sharey="row")
    for column, group in enumerate(groups):
        law = fits.law(group, "test_loss@best")
        points(axes[0, column], group, "test_loss", None, "best", style.BLACK, "o", line_with(law))
        law_line(axes[0, column], group, law, style.BLACK)
        for kernel, (colour, marker) in zip(kernels, style.KERNELS):
            sloped(axes[1, column], group, fits, "effective_rank", kernel, colour, marker, kernel)
        if split:
            sloped(axes[2, column], group, fits, "class_factor", "full", style.PURPLE, "D", "class factor")
        label_scales(axes[:, column], group)
    finish(axes[0], groups, loss_label("test loss at best", groups))
    finish(axes[1], groups, "effective rank at best")
    if split:
        finish(axes[2], groups, "rank of full / traced")
    return figure


def sloped(axis, group, fits, column, kernel, colour, marker, label):
    """Points at best, and the line of the slope that the verdict tells."""
    law = fits.law(group, f"{column}[{kernel}]@best")
    points(axis, group, column, kernel, "best", colour, marker, "none" if _has_slope(law) else "-", label)
    means = group.means(column, kernel, "best")["mean"]
    means = means[means > 0]
    if not _has_slope(law) or len(means) < 2:
        return
    x = np.array([means.index.min(), means.index.max()], float)
    centre = np.log(means.index.to_numpy(float)).mean(), np.log(means).mean()
    y = np.exp(centre[1] + law["loglog_slope"] * (np.log(x) - centre[0]))
    axis.plot(x, y, "-", color=colour, alpha=0.7, label=gr.slope_text(law))


def _has_slope(law):
    return law is not None and np.isfinite(law.get("loglog_slope", np.nan))


def loss(groups, fits):
    """Test and train loss at best, and test loss at the end."""
    figure, axes = style.panels(1, len(groups), sharey="row")
    for axis, group in zip(axes[0], groups):
        law = fits.law(group, "test_loss@best")
        points(axis, group, "test_loss", None, "best", style.BLUE, "o", line_with(law), "test, at best")
        law_line(axis, group, law, style.BLUE)
        points(axis, group, "test_loss", None, "final", style.VERMILION, "^", "--", "test, at the end")
        points(axis, group, "train_loss", None, "best", style.BLACK, "s", ":", "train, at best")
        label_scales([axis], group)
    finish(axes[0], groups, loss_label("loss", groups))
    return figure


def scale(groups, fits):
    """Trace and effective ranks at init, best and final."""
    need(groups, "effective_rank")
    kernels = kernels_of(groups)
    quantities = [("trace", kernels[0])] + [("effective_rank", kernel) for kernel in kernels]
    figure, axes = style.panels(len(quantities), len(groups), sharey="row")
    for row, (name, kernel) in enumerate(quantities):
        for axis, group in zip(axes[row], groups):
            for tag, (colour, marker, line) in style.TAGS.items():
                points(axis, group, name, kernel, tag, colour, marker, line, label=tag)
            label_scales([axis], group)
        label = f"effective rank ({kernel})" if name == "effective_rank" else "trace (mean eigenvalue)"
        finish(axes[row], groups, label, legend=row == 0)
    return figure


def grid(families, fits):
    """Test loss and effective rank at best, one curve for each value of what is held."""
    if not any(len(family) > 1 for family in families):
        raise Absent("each study has one width or one training-set size")
    need([family[0] for family in families], "effective_rank")
    figure, axes = style.panels(2, len(families), sharey="row")
    firsts = [family[0] for family in families]
    for column, family in enumerate(families):
        for k, (group, colour) in enumerate(zip(family, style.ordered(len(family)))):
            look = (colour, style.MARKERS[k % len(style.MARKERS)], style.DASHES[k % 4])
            kernel = main_kernel(group.study)
            points(axes[0, column], group, "test_loss", None, "best", *look, label=group.title())
            points(axes[1, column], group, "effective_rank", kernel, "best", *look, label=textwrap.fill(group.title(), 40))
        label_scales(axes[:, column], family[0])
        axes[0, column].set_title(f"{family[0].study.name}: by {family[0].direction}")
        if max(len(group.title()) for group in family) <= 24:
            axes[0, column].legend(ncol=1 + (len(family) - 1) // 5)
        else:
            style.legend_below(axes[1, column])  # long names
    finish(axes[0], firsts, loss_label("test loss at best", firsts), legend=False, titles=False)
    finish(axes[1], firsts, f"effective rank at best ({main_kernel(firsts[0].study)})", legend=False, titles=False)
    return figure


def kernel_distance(groups, fits):
    """How far the kernel has turned from its start, at best and final, and where width stops it."""
    need(groups, "kernel_distance")
    kernels = kernels_of(groups)
    figure, axes = style.panels(len(kernels), len(groups), sharey="row")
    for row, kernel in enumerate(kernels):
        for axis, group in zip(axes[row], groups):
            for tag in ("best", "final"):
                points(axis, group, "kernel_distance", kernel, tag, *style.TAGS[tag], label=tag)
            mark_crossing(axis, fits.crossing(group, kernel))
            label_scales([axis], group)
        finish(axes[row], groups, f"kernel distance ({kernel})")
    return figure


def local_exponents(groups, fits):
    """Exponents between neighbouring scales of what overview shows: level where a power law holds."""
    kernel = main_kernel(groups[0].study)
    quantities = [("test loss at best", "test_loss@best", style.BLACK)]
    quantities += [(f"effective rank at best ({kernel})", f"effective_rank[{kernel}]@best", style.BLUE)]
    if all(fits.local_exponents(group, name).empty for group in groups for _, name, _ in quantities):
        raise Absent("no exponents in local_exponents.csv, which `ntklens report` writes")
    figure, axes = style.panels(2, len(groups), sharey="row")
    for row, (label, name, colour) in enumerate(quantities):
        for axis, group in zip(axes[row], groups):
            local_points(axis, fits.local_exponents(group, name), colour)
            local_band(axis, fits.law(group, name), colour)
            label_scales([axis], group)
            if row == 0:
                axis.set_title(f"{group.study.name}\n{group.title()}")
            style.legend_below(axis)
        axes[row, 0].set_ylabel(f"local exponent\n{label}")
        tables = [fits.local_exponents(group, name) for group in groups]
        clip_intervals(axes[row, 0], [0.0, *(y for table in tables if len(table) for y in table["exponent"])])
    return figure


def clip_intervals(axis, values):
    """Show all values; of intervals that are much longer than these are apart, a part."""
    low, high = min(values), max(values)
    span = max(high - low, 0.2)
    drawn = axis.get_ylim()
    axis.set_ylim(max(drawn[0], low - span), min(drawn[1], high + span))


def local_points(axis, rows, colour):
    """At the geometric middle of two scales, with intervals of 95 %."""
    if rows.empty:
        return
    x = np.sqrt(rows["from"] * rows["to"])
    y = rows["exponent"]
    both = np.nan_to_num(np.array([y - rows["low"], rows["high"] - y]))
    axis.errorbar(x, y, yerr=both, fmt="o", color=colour, elinewidth=1.2, markersize=4)


def local_band(axis, law, colour):
    """The exponent that all scales together have: minus the mean slope of the logarithm."""
    axis.axhline(0, color=style.GREY, linewidth=0.8)
    if law is None or not np.isfinite(law["loglog_slope"]):
        return
    axis.axhline(-law["loglog_slope"], color=colour, alpha=0.7, label="minus the slope of log y over all")
    low, high = -law["loglog_slope_high"], -law["loglog_slope_low"]
    if np.isfinite(low) and np.isfinite(high):
        axis.axhspan(low, high, color=colour, alpha=0.15, linewidth=0)


def infinite_distance(groups, fits):
    """How far kernels are from their closed form, before and after training."""
    need(groups, "infinite_distance")
    kernels = kernels_of(groups)
    figure, axes = style.panels(len(kernels), len(groups), sharey="row")
    for row, kernel in enumerate(kernels):
        for axis, group in zip(axes[row], groups):
            for tag in ("init", "best"):
                points(axis, group, "infinite_distance", kernel, tag, *style.TAGS[tag], label=tag)
            label_scales([axis], group)
        finish(axes[row], groups, f"distance to closed form\n({kernel}, relative)", legend=row == 0)
    return figure


def points(axis, group, column, kernel, tag, colour, marker, line, label=None):
    """Means with standard deviations over seeds; flagged rows, which are in no mean, as crosses."""
    if column not in group.rows:
        return
    means = group.means(column, kernel, tag)
    means = means[means["mean"] > 0]
    axis.plot(means.index, means["mean"], color=colour, marker=marker, linestyle=line, label=label)
    bars(axis, means.index, means["mean"], means["sd"], colour)
    values = group.values(column, kernel, tag)
    flagged = values[~values["clean"] & (values["y"] > 0)]
    axis.plot(flagged["x"], flagged["y"], "x", color=colour, alpha=0.6, markersize=4)


def bars(axis, x, y, deviation, colour):
    """Error bars that a logarithmic axis can show; none where there is one seed."""
    x, y, deviation = (np.atleast_1d(np.asarray(values, float)) for values in (x, y, deviation))
    known = np.isfinite(deviation)
    # one array: of a list matplotlib takes the parts for values, which NumPy 2 complains of
    both = np.array([np.minimum(deviation, 0.999 * y)[known], deviation[known]])
    axis.errorbar(x[known], y[known], yerr=both, fmt="none", ecolor=colour, elinewidth=1.2)


def line_with(law):
    """Points are joined where no law goes through them."""
    return "-" if law is None else "none"


def law_line(axis, group, law, colour):
    """A law of fits.csv, named in the legend; without one nothing."""
    if law is None:
        return
    x = np.geomspace(min(group.scales), max(group.scales), 100)
    y = gr.law_curve(law, x)
    axis.plot(x, np.where(y > 0, y, np.nan), "-", color=colour, alpha=0.7, label=gr.law_text(law))


def mark_crossing(axis, crossing):
    """The threshold, and the width at which it is crossed with its interval."""
    if crossing is None or not np.isfinite(crossing["c"]):
        return
    axis.axhline(crossing["c"], color=style.GREEN, linewidth=1, linestyle="-.")
    if not np.isfinite(crossing["width"]):
        return
    label = f"below {crossing['c']:g} from width {crossing['width']:.3g}"
    low, high = crossing["width_low"], crossing["width_high"]
    if np.isfinite(low) and np.isfinite(high):
        label += f" [{low:.3g}, {high:.3g}]"
        axis.axvspan(low, high, color=style.GREEN, alpha=0.15, linewidth=0)
    axis.axvline(crossing["width"], color=style.GREEN, linewidth=1, label=label)


def loss_label(text, groups):
    """The losses have no unit, but a name."""
    names = {str(name) for group in groups for name in group.rows["loss"].unique()}
    return f"{text} ({', '.join(sorted(names))})" if len(names) <= 2 else text


def _seeds(group):
    return f"{group.seeds} seed{'' if group.seeds == 1 else 's'}"


def label_scales(axes, group):
    for axis in axes:
        style.scale_axis(axis.xaxis, group.scales)
        axis.set_xlabel(group.unit)
    if group.direction == "width" and group.channels and len(axes) and axes[0].get_subplotspec().is_first_row():
        style.second_axis(axes[0], group.parameters(), "parameters")


def finish(axes, groups, ylabel, legend=True, titles=True):
    """What the panels of one row share."""
    drawn = [line.get_ydata() for axis in axes for line in axis.get_lines()]
    values = np.concatenate([np.asarray(y, float) for y in drawn]) if drawn else np.ones(1)
    for axis, group in zip(axes, groups):
        if (values > 0).any():
            axis.set_yscale("log")
            style.log_scale(axis.yaxis, values)
        if titles and axis.get_subplotspec().is_first_row():
            axis.set_title(f"{group.study.name}\n" + textwrap.fill(f"{group.title()}, {_seeds(group)}", 48))
        if legend:
            style.legend_below(axis)
    axes[0].set_ylabel(ylabel)


# ---------------------------------------------------------------------------------------------
# Against step
# ---------------------------------------------------------------------------------------------


def evolution(groups, fits):
    """Trace and effective ranks along training, one curve a width or size; best is a dot."""
    need(groups, "effective_rank")
    kernels = kernels_of(groups)
    quantities = [("trace", kernels[0])] + [("effective_rank", kernel) for kernel in kernels]
    figure, axes = style.panels(len(quantities), len(groups), sharey="row")
    for row, (name, kernel) in enumerate(quantities):
        for axis, group in zip(axes[row], groups):
            curves(axis, group, name, kernel)
        label = f"effective rank ({kernel})" if name == "effective_rank" else "trace (mean eigenvalue)"
        finish(axes[row], groups, label, legend=False)
    for axis, group in zip(axes[-1], groups):
        scale_legend(axis, group)
    return figure


def curves(axis, group, column, kernel):
    """Means with bands of a standard deviation; dotted from where some networks have stopped."""
    scales = group.scales
    best = group.means(column, kernel, "best")
    for k, (x, colour) in enumerate(zip(scales, style.ordered(len(scales)))):
        line = group.evolution(column, kernel, x)
        line = line[line["mean"] > 0]
        whole = line[line["all"]]
        rest = line[line.index >= whole.index.max()] if len(whole) else line
        look = {"color": colour, "linestyle": style.DASHES[k % 4], "label": style.short(x)}
        axis.plot(whole.index, whole["mean"], **look)
        axis.plot(rest.index, rest["mean"], color=colour, linestyle=":", linewidth=0.9)
        low = np.maximum(whole["mean"] - whole["sd"], 1e-3 * whole["mean"])
        axis.fill_between(whole.index, low, whole["mean"] + whole["sd"], color=colour, alpha=0.12, linewidth=0)
        if x in best.index:
            at = best.loc[x]
            bars(axis, at["step"], at["mean"], at["sd"], colour)
            axis.plot(at["step"], at["mean"], "o", color=colour, markeredgecolor="white", zorder=3)
    label_steps(axis, group.rows["step"].max())


def label_steps(axis, last):
    """Logarithmic, but with room for step 0."""
    axis.set_xscale("symlog", linthresh=1, linscale=0.4)
    decades = range(int(np.log10(max(last, 1))) + 1)
    axis.set_xticks([0] + [10**k for k in decades], ["0"] + [f"$10^{{{k}}}$" for k in decades])
    axis.set_xlim(-0.1, max(last, 1) * 1.3)
    axis.set_xlabel("training step")


def scale_legend(axis, group):
    """One entry a curve."""
    title = "images" if group.direction == "data" else "channels" if group.channels else "width"
    style.legend_below(axis, title=title, ncol=min(len(group.scales), 4), handlelength=2.8)


# ---------------------------------------------------------------------------------------------
# Spectra
# ---------------------------------------------------------------------------------------------

SMALLEST_SHARE = 1e-9  # below: eigenvalues that say nothing about the rank


def spectra(groups, fits):
    """Share of each eigenvalue of the main kernel in their sum, at init and best."""
    figure, axes = style.panels(2, len(groups), sharey="all")
    drawn = 0
    for row, tag in enumerate(("init", "best")):
        for axis, group in zip(axes[row], groups):
            drawn += spectrum_lines(axis, group, tag)
            axis.set(xscale="log", yscale="log", xlabel="index of the eigenvalue (largest first)")
            if row == 0:
                axis.set_title(f"{group.study.name}\n{group.title()}")
        kernel = main_kernel(groups[0].study)
        axes[row, 0].set_ylabel(f"share of eigenvalue, {tag} ({kernel})")
    if drawn == 0:
        style.plt.close(figure)
        raise Absent("no spectra in cells/: output.spectra keeps them")
    for axis, group in zip(axes[-1], groups):
        scale_legend(axis, group)
    return figure


def shares_of(study, kernel, tag):
    """Shares of eigenvalues in their sum, one row per network.  Where there are networks by quadrature, all are
    taken at the same places, those of quadrature between the points of their rank curves."""
    table = study.spectra(kernel, tag)
    curves = study.rank_curves(kernel, tag)
    if curves.empty:
        return table.div(table.sum(axis=1), axis=0)
    cells = curves.index.get_level_values("cell")
    exact = table[~table.index.get_level_values("cell").isin(cells)]
    rows = study.at(tag, kernel)
    sums = (rows["n"] * rows["trace"]).groupby(rows["cell"]).max()  # the whole probe's is the largest
    places = np.unique(np.geomspace(1, rows["n"].max(), 400).round().astype(int))
    read = {}
    for network, curve in curves.groupby(level=list(range(curves.index.nlevels))):
        known = np.log(curve["rank"]), np.log(curve["eigenvalue"])
        share = np.exp(np.interp(np.log(places), *known, right=np.nan)) / sums[network[-1]]
        read[network] = share
    read = pd.DataFrame.from_dict(read, orient="index", columns=places)
    read.index = pd.MultiIndex.from_tuples(read.index, names=curves.index.names)
    return pd.concat([exact.div(exact.sum(axis=1), axis=0).reindex(columns=places), read])


def spectrum_lines(axis, group, tag):
    """Medians over seeds, of rows without flags, which descend as spectra do; returns how many were drawn."""
    kernel = main_kernel(group.study)
    try:
        table = shares_of(group.study, kernel, tag)
    except ImportError as missing:
        raise Absent(f"h5py is missing ({missing})") from None
    except ValueError as refused:  # a file that leads to others
        raise Absent(str(refused)) from None
    except KeyError:  # the tag is not in the table
        return 0
    if table.empty:
        return 0
    table = table[table.index.get_level_values("cell").isin(group.clean_cells(kernel, tag))]
    shares = table.groupby(level=group.scale).median()
    for k, (x, colour) in enumerate(zip(shares.index, style.ordered(len(shares)))):
        line = shares.loc[x]
        look = {"color": colour, "linestyle": style.DASHES[k % 4], "label": style.short(x)}
        axis.plot(line.index, line.where(line > SMALLEST_SHARE), **look)
    return len(shares)


# ---------------------------------------------------------------------------------------------
# Robustness
# ---------------------------------------------------------------------------------------------

SIGNS = {  # colour of the cell, of its text, and a mark that grey printers show
    "rises": (style.BLUE, "white", "↑"),
    "falls": (style.ORANGE, "black", "↓"),
    "open": ("#eeeeee", "black", "·"),
}


def robustness(fits):
    """Sign of the slope for each definition of rank (rows) at each tag (columns), with its interval."""
    table = fits.robustness
    if table is None or table.empty:
        raise Absent("no slopes in robustness.csv, which `ntklens report` writes")
    sides = list(dict.fromkeys(zip(table["direction"], table["held"])))
    rows = list(dict.fromkeys(zip(table["rank"], table["kernel"], table["part"])))
    tags = sorted(dict.fromkeys(table["tag"]), key=lambda tag: tag == "best/init")  # behind its parts
    size = (0.8 * len(tags) + 2.8, 0.25 * len(rows) + 0.8)
    figure, axes = style.panels(len(sides), 1, panel=size)
    for axis, (direction, held) in zip(axes[:, 0], sides):
        part = table[(table["direction"] == direction) & (table["held"] == held)]
        robustness_cells(axis, part, rows, tags)
        axis.set_yticks(range(len(rows)), [row_name(*row) for row in rows])
        axis.set_ylim(len(rows) - 0.5, -0.5)
        axis.set_title(f"slopes of log rank along {direction}, {held}")
    return figure


def row_name(rank, kernel, part):
    return f"{rank}, {kernel}" + ("" if part == "whole" else f", {part} of the probe")


def robustness_cells(axis, table, rows, tags):
    for _, cell in table.iterrows():
        x = tags.index(cell["tag"])
        y = rows.index((cell["rank"], cell["kernel"], cell["part"]))
        back, front, mark = SIGNS[sign_of(cell)]
        axis.barh(y, 0.96, 0.92, left=x - 0.48, color=back)
        text = "–"
        if np.isfinite(cell["slope"]):
            half = (cell["high"] - cell["low"]) / 2
            error = f" ±{half:.2f}" if np.isfinite(half) else ""
            text = f"{mark} {cell['slope']:+.2f}{error}"
        axis.text(x, y, text, ha="center", va="center", color=front, fontsize=6.5)
    axis.set_xticks(range(len(tags)), [tag.replace("=", "\n= ") for tag in tags])
    axis.set_xlim(-0.5, len(tags) - 0.5)
    axis.grid(False)
    axis.tick_params(length=0)
    axis.spines[["left", "bottom"]].set_visible(False)


def sign_of(cell):
    """By the interval; NaN decides nothing."""
    if cell["low"] > 0:
        return "rises"
    if cell["high"] < 0:
        return "falls"
    return "open"

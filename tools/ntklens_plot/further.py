"""Further figures: what a kernel is made of, what it predicts, and what training costs."""

import numpy as np

from . import figures as fg
from . import style


def compute(groups, fits):
    """Test loss, with its frontier, and effective ranks against the operations that training has taken."""
    fg.need(groups, "training_flops")
    ranks = any("effective_rank" in g.rows and np.isfinite(g.rows["effective_rank"]).any() for g in groups)
    kernels = fg.kernels_of(groups) if ranks else []
    figure, axes = style.panels(1 + len(kernels), len(groups), sharey="row")
    for column, group in enumerate(groups):
        lines = against_flops(axes[0, column], group, "test_loss", fg.main_kernel(group.study))
        frontier(axes[0, column], lines)
        for row, kernel in enumerate(kernels, 1):
            against_flops(axes[row, column], group, "effective_rank", kernel)
        for axis in axes[:, column]:
            axis.set_xscale("log")
            axis.set_xlabel("floating-point operations of training")
    fg.finish(axes[0], groups, fg.loss_label("test loss", groups), legend=False)
    for row, kernel in enumerate(kernels, 1):
        fg.finish(axes[row], groups, f"effective rank ({kernel})", legend=False)
    for axis, group in zip(axes[-1], groups):
        fg.scale_legend(axis, group)
    return figure


def against_flops(axis, group, column, kernel):
    """Means over seeds while every network trains, one curve a width or size; returns (operations, mean) of each."""
    lines = []
    for k, (x, colour) in enumerate(zip(group.scales, style.ordered(len(group.scales)))):
        line = group.evolution(column, kernel, x)
        flops = group.evolution("training_flops", kernel, x)["mean"]
        line = line[line["all"] & (line["mean"] > 0) & (flops > 0)]
        look = {"color": colour, "linestyle": style.DASHES[k % 4], "label": style.short(x)}
        axis.plot(flops[line.index], line["mean"], **look)
        lines.append((flops[line.index].to_numpy(), line["mean"].to_numpy()))
    return lines


def frontier(axis, lines):
    """The lowest mean that any of the curves, straight between its points, has reached with so many operations or
    fewer."""
    lines = [line for line in lines if len(line[0])]
    if not lines:
        return
    x = np.geomspace(min(flops[0] for flops, _ in lines), max(flops[-1] for flops, _ in lines), 300)
    between = [np.interp(np.log(x), np.log(flops), np.log(y), left=np.inf, right=np.inf) for flops, y in lines]
    lowest = np.exp(np.minimum.accumulate(np.min(between, axis=0)))
    axis.plot(x, lowest, color=style.BLACK, linewidth=3, alpha=0.35, label="frontier")
    style.legend_below(axis, handles=[axis.get_lines()[-1]])


def layers(groups, fits):
    """Parts of the trace that the first, the middle and the last layers' parameters give, at init and at best."""
    fg.need(groups, "trace_first")
    parts = [("trace_first", "first layer", style.BLUE, "o"), ("trace_hidden", "layers between", style.GREEN, "D")]
    parts += [("trace_output", "output layer", style.VERMILION, "^")]
    figure, axes = style.panels(2, len(groups), sharey="all")
    for row, tag in enumerate(("init", "best")):
        for axis, group in zip(axes[row], groups):
            for column, label, colour, marker in parts:
                fg.points(axis, group, column, fg.main_kernel(group.study), tag, colour, marker, "-", label=label)
            fg.label_scales([axis], group)
        fg.finish(axes[row], groups, f"part of the trace, {tag}", legend=row == 1)
    return figure


def coupling(groups, fits):
    """Where the loss gradient lies in the spectrum, and the largest stable learning rate."""
    fg.need(groups, "chi_coup")
    quantities = [("chi_coup", "chi_coup"), ("spectral_position", "spectral position\n(n chi_coup)")]
    quantities += [("stability_rate", "stability rate")]
    quantities = [(name, label) for name, label in quantities if any(_has(g, name) for g in groups)]
    figure, axes = style.panels(len(quantities), len(groups), sharey="row")
    for row, (name, label) in enumerate(quantities):
        for axis, group in zip(axes[row], groups):
            kernel = fg.main_kernel(group.study)
            for tag in ("init", "best"):
                fg.points(axis, group, name, kernel, tag, *style.TAGS[tag], label=tag)
            if name == "stability_rate":
                rate = group.rows["learning_rate"].iloc[0]
                axis.axhline(rate, color=style.BLACK, linewidth=1, linestyle="-.", label=f"learning rate, {rate:g}")
            fg.label_scales([axis], group)
        fg.finish(axes[row], groups, label, legend=row == len(quantities) - 1)
    return figure


def _has(group, column):
    return column in group.rows and np.isfinite(group.rows[column]).any()


def prefixes(groups, fits):
    """Effective rank and participation ratio at best, or at the end where no network counts at best, against the images
    that they are measured on, one curve a width or size."""
    kernels = [kernel for kernel in fg.kernels_of(groups) if any(len(_orders(g, kernel)) > 1 for g in groups)]
    if not kernels:
        raise fg.Absent("no kernels of the first images of the probe in results.csv: measure.probe_prefixes")
    fg.need(groups, "effective_rank")
    counts = any(len(g.clean_cells(kernel, "best")) for g in groups for kernel in kernels)
    tag = "best" if counts else "final"  # as `ntklens report` tells them
    rows = [(column, kernel) for kernel in kernels for column in ("effective_rank", "participation_ratio")]
    figure, axes = style.panels(len(rows), len(groups), sharey="row")
    for row, (column, kernel) in enumerate(rows):
        for axis, group in zip(axes[row], groups):
            _against_images(axis, group, fits, (column, kernel, tag))
        fg.finish(axes[row], groups, f"{column.replace('_', ' ')} at {tag} ({kernel})", legend=False)
    for axis, group in zip(axes[-1], groups):
        fg.scale_legend(axis, group)
    return figure


def _orders(group, kernel):
    return sorted(group.every["n"][group.every["kernel"] == kernel].unique()) if "n" in group.every else []


def _against_images(axis, group, fits, what):
    """what: column, kernel and tag.  Bars: what the method leaves open; bands: a standard deviation over seeds."""
    column, kernel, tag = what
    orders = _orders(group, kernel)
    images = fits.images(kernel, orders)
    for k, (x, colour) in enumerate(zip(group.scales, style.ordered(len(group.scales)))):
        line = group.prefixes(column, kernel, x, tag)
        at = line.index if images is None else images[line.index]
        low, high = line["mean"] * np.exp(-line["half"]), line["mean"] * np.exp(line["half"])
        look = {"color": colour, "linestyle": style.DASHES[k % 4], "marker": style.MARKERS[k % len(style.MARKERS)],
                "markersize": 3.5}  # fmt: skip
        axis.plot(at, line["mean"], label=style.short(x), **look)
        axis.fill_between(at, np.maximum(line["mean"] - line["sd"], 1e-3 * line["mean"]), line["mean"] + line["sd"],
                          color=colour, alpha=0.12, linewidth=0)  # fmt: skip
        estimates = (line["half"] > 0).to_numpy()
        both = np.array([line["mean"] - low, high - line["mean"]])[:, estimates]
        axis.errorbar(np.asarray(at)[estimates], line["mean"][estimates], yerr=both, fmt="none", ecolor=colour, elinewidth=1.2)
    style.scale_axis(axis.xaxis, orders if images is None else list(images))
    axis.set_xlabel("rows of the kernel" if images is None else "images that the kernel is of")


def class_kernels(groups, fits):
    """Effective rank of each output's kernel at best, beside that of their mean."""
    names = sorted({kernel for g in groups for kernel in g.study.kernels if kernel.removeprefix("class").isdigit()})
    if not names:
        raise fg.Absent("no class kernels in results.csv: measure.kernels")
    fg.need(groups, "effective_rank")
    figure, axes = style.panels(1, len(groups), sharey="row")
    for axis, group in zip(axes[0], groups):
        for name, colour in zip(names, style.ordered(len(names))):
            fg.points(axis, group, "effective_rank", name, "best", colour, ".", "-", label=name)
        if "traced" in group.study.kernels:
            fg.points(axis, group, "effective_rank", "traced", "best", style.BLACK, "o", "--", label="traced")
        fg.label_scales([axis], group)
    fg.finish(axes[0], groups, "effective rank at best", legend=False)
    for axis in axes[0]:
        style.legend_below(axis, ncol=4)
    return figure


def prediction(groups, fits):
    """Does the kernel alone predict?  The network's loss, where it is an mse, and that of regression with its kernel
    at init and at best, as measured and as eigenlearning predicts it, and with the kernel of infinite width."""
    fg.need(groups, "regression_test_loss")
    figure, axes = style.panels(1, len(groups), sharey="row")
    for axis, group in zip(axes[0], groups):
        if (group.rows["loss"] == "mse").all():
            fg.points(axis, group, "test_loss", None, "best", style.BLACK, "o", "-", "network")
        for tag, colour, marker in (("init", style.GREY, "s"), ("best", style.BLUE, "D")):
            fg.points(axis, group, "regression_test_loss", None, tag, colour, marker, "-", f"kernel at {tag}")
            if _has(group, "regression_predicted_loss"):
                fg.points(axis, group, "regression_predicted_loss", None, tag, colour, "x", ":",
                          f"predicted, kernel at {tag}")  # fmt: skip
        _infinite(axis, group)
        fg.label_scales([axis], group)
    fg.finish(axes[0], groups, "mse on test images")
    return figure


def _infinite(axis, group):
    """Regression with the limit's kernel, with as many images as the networks were trained on."""
    table = group.study.infinite
    if table is None or table.empty:
        return
    for column in ("depth", "activation", "parametrization", "weight_variance", "bias_variance"):
        table = table[table[column] == group.rows[column].iloc[0]]
    table = table[(table["limit"] == "ntk") & (table["kernel"] == table["kernel"].iloc[0])] if len(table) else table
    means = table.groupby("n_train")["regression_test_loss"].mean() if len(table) else table
    if group.direction == "data":
        means = means[means.index.isin(group.scales)]
        axis.plot(means.index, means, color=style.GREEN, marker="^", linestyle="--", label="kernel of infinite width")
    elif group.rows["n_train"].iloc[0] in means.index:
        loss = means[group.rows["n_train"].iloc[0]]
        axis.axhline(loss, color=style.GREEN, linestyle="--", label="kernel of infinite width")

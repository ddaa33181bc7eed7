"""From results folders to DIR/report: every figure that their tables allow, and report.html."""

import ntklens

from . import figures, further, groups, own, page, style

CAPTIONS = {
    "overview": "At the state of lowest test loss, against width and against training images: test loss with its law, "
    "y ~ x^-alpha (rejected: it does not hold within the scatter of seeds); effective rank of the full and the traced kernel; and the class factor, their ratio, by which the "
    "outputs' gradients decouple. Lines through ranks have the mean slope of the logarithm. Intervals are of 95 %.",
    "loss": "Loss at the state of lowest test loss and at the end of training; laws that do not hold within the scatter "
    "of seeds are named rejected.",
    "evolution": "Trace (mean eigenvalue) and effective rank along training, means over seeds, one curve for each "
    "width or number of images, with bands of a standard deviation; dotted where some networks have stopped "
    "already. Networks flagged diverged or collapsed are left out. Dots are at best; step 0 is the initial network.",
    "scale": "Trace (mean eigenvalue) and effective rank at init, at best and at the end.",
    "grid": "Test loss and effective rank at best, one curve for each value of what the other panel varies.",
    "spectra": "Eigenvalues over their sum, at init and at best: medians over seeds, down to shares of "
    "1e-9. Flagged rows are left out.",
    "kernel_distance": "1 - <Theta_t, Theta_0>/(|Theta_t| |Theta_0|): how far training turned the kernel; 0 is "
    "lazy training. The vertical line is the width at which it falls below the threshold (dash-dotted), with "
    "its 95 % interval.",
    "infinite_distance": "|Theta - Theta_inf|/|Theta_inf|, Frobenius norms: distance to the closed form "
    "of the mean kernel, before training and at best. Parametrization ntk: that of infinite width; standard and "
    "mup: of the network's own width.",
    "compute": "Test loss and effective ranks against training_flops, 6 operations for a weight and a training "
    "image: means over seeds while every network trains, one curve for each width or number of images. Frontier: the "
    "lowest mean reached with so many operations or fewer.",
    "layers": "Trace (mean eigenvalue) by the layers whose parameters give it: the three add up to it.",
    "coupling": "chi_coup: how much of the kernel's scale the gradient of the probe's loss meets; times the order of "
    "the kernel its position in the spectrum, in mean eigenvalues; and the largest stable learning rate of plain "
    "gradient descent on the probe, linearised there.",
    "class_kernels": "Effective rank at best of the kernel of each output alone, and of their mean, the traced kernel.",
    "prefixes": "Effective rank and participation ratio against the first so many images of the probe that the "
    "kernel is of, one curve for each width or number of training images. Bars are what the method leaves open, "
    "exp(entropy -+ entropy_error); bands a standard deviation over seeds. Nothing is said beyond the last point.",
    "prediction": "Mean squared error on the regression's test images: of kernel ridge regression with the traced "
    "kernel at init and at best, as measured and as predicted by eigenlearning from that kernel's spectrum; of the "
    "network itself at best, where it was trained with this loss; and with the kernel of infinite width.",
    "local_exponents": "Exponents between neighbouring scales, y ~ x^-exponent, paired by seed, with 95 % intervals: "
    "level where a power law holds. Line and band: the exponent over all scales and its interval.",
    "robustness": "Slopes of log rank against log scale for each definition of rank, kernel and state: blue rises, "
    "orange falls, grey cannot be told at 95 %; a dash is no slope, or one that is zero by construction.",
}
BARS = " Bars are standard deviations over seeds; crosses are rows that were flagged and are in no mean."
BARRED = ("overview", "loss", "scale", "grid", "kernel_distance", "layers", "coupling", "class_kernels", "prediction")
ORDER = ["overview", "loss", "local_exponents", "evolution", "scale", "compute", "spectra"]
ORDER += ["prefixes", "kernel_distance", "infinite_distance", "layers", "coupling", "class_kernels", "prediction", "grid"]


def write_report(folders, out):
    """Draw everything into the folder `out`; returns what could not be shown, a line each.
    Raises own.Foreign where a file would be replaced that is not ours."""
    own.check(out, [*ORDER, "robustness"])
    studies = [ntklens.load(folder) for folder in folders]
    fits = groups.Fits(out)
    families = [family for study in studies for family in _families(study)]
    drawn, notes = [], []
    if fits.fits is None:
        notes.append(f"laws: no {out / 'fits.csv'}; `ntklens report` writes it")

    def draw(name, function, *arguments):
        try:
            png = style.save(function(*arguments), out, name)
        except figures.Absent as reason:
            notes.append(f"{name}: {reason}")
        except KeyError as error:
            column = str(error.args[0]).removeprefix("Column not found: ")
            if all(column in study.table.columns for study in studies):
                raise
            notes.append(f"{name}: no column {column}")
        else:
            drawn.append((name, _caption(name), png))

    for name in ORDER:
        for number, pair in enumerate(_pairs(families), 1):
            shown = pair if name == "grid" else [groups.headline(family, fits) for family in pair]
            label = name if number == 1 else f"{name}-{number}"
            draw(label, getattr(figures, name, None) or getattr(further, name), shown, fits)
    draw("robustness", figures.robustness, fits)

    summary = out / "summary.md"
    text = summary.read_text(encoding="utf-8") if summary.exists() else _describe(studies)
    page.write(out / "report.html", _title(studies), text, drawn, notes)
    return notes


def _families(study):
    """Groups of a study by direction."""
    found = groups.find_groups(study)
    both = [[g for g in found if g.direction == direction] for direction in groups.SCALES]
    return [family for family in both if family]


def _pairs(families):
    """Two panels fill a page: the rest goes into further figures."""
    return [families[k : k + 2] for k in range(0, len(families), 2)]


def _caption(label):
    name = label.split("-")[0]
    bars = BARS if name in BARRED else ""
    return CAPTIONS[name] + bars


def _title(studies):
    return "ntklens: " + ", ".join(study.name for study in studies)


def _describe(studies):
    """In place of summary.md."""
    missing = "No `summary.md`: `ntklens report` writes it, with the verdict and its intervals."
    lines = [f"# {_title(studies)}", "", missing, ""]
    lines += [f"* {repr(study).strip('<>')}" for study in studies]
    return "\n".join(lines)

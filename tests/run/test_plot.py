"""ntklens-plot and the loader: figures, report.html, and tables that lack what a figure needs."""

import hashlib
import html.parser
import os
import shutil
import subprocess
import sys
import warnings

import lib

sys.dont_write_bytecode = True
np = lib.need("numpy")
lib.need("h5py")
lib.need("matplotlib")
pd = lib.need("pandas")
TOOLS = lib.ROOT / "tools"
sys.path.insert(0, str(TOOLS))
import ntklens  # the loader
from ntklens_plot import figures, groups, report

STUDY = """
study: small
data: {source: glyphs, train_sizes: [40, 80], test_size: 100, probe_size: 12}
model: {widths: [8, 16, 32], depths: [1]}
training: {loss: mse, learning_rate: 0.1, batch_size: 16, max_steps: 60}
seeds: [0, 1]
measure: {kernels: [traced, full], steps_per_decade: 2, probe_prefixes: [6]}
"""
ALWAYS = ["overview", "loss", "evolution", "scale", "spectra", "compute", "layers", "coupling", "prefixes"]
COLUMNS = ["kernel_distance", "infinite_distance"]
OPTIONAL = ["grid", "kernel_distance", "infinite_distance", "robustness", "local_exponents"]
OPTIONAL += ["class_kernels", "prediction"]

_grid = None


def grid():
    """A fresh copy of the results of STUDY, which is run once; without the columns of optional figures."""
    global _grid
    if _grid is None:
        _grid = lib.scratch("grid") / "out"
        lib.run_study(STUDY, _grid)
        table = pd.read_csv(_grid / "results.csv", dtype=str, keep_default_na=False)
        table.drop(columns=COLUMNS, errors="ignore").to_csv(_grid / "results.csv", index=False)
    copy = lib.scratch("copy") / "out"
    shutil.copytree(_grid, copy)
    return copy


def part(folder, keep):
    """Leave only rows of results.csv for which keep(table) is true."""
    table = pd.read_csv(folder / "results.csv", dtype=str, keep_default_na=False)
    table[keep(table)].to_csv(folder / "results.csv", index=False)
    return folder


def plot(*folders, out=None):
    """Draw within this process, warnings being errors; returns what is not shown."""
    out = out or folders[0] / "report"
    out.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return report.write_report(folders, out)


def run_tool(*arguments, tool=TOOLS / "ntklens-plot", expect=0):
    """Run the tool as users do; returns the lines of stdout, or of stderr where it is to fail."""
    line = [sys.executable, tool, *map(str, arguments)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    result = subprocess.run(line, capture_output=True, text=True, env=environment, timeout=300)
    end = result.stderr[-1000:]
    lib.check_equal(result.returncode, expect, f"exit code of ntklens-plot, stderr:\n{end}")
    lib.check(expect != 0 or not result.stderr, f"stderr of ntklens-plot:\n{end}")
    return (result.stderr if expect else result.stdout).splitlines()


def check_figures(folder, names):
    """These figures are there, in both formats and in the page, and no others."""
    for ending, start in (("png", b"\x89PNG"), ("svg", b"<?xml")):
        found = sorted(path.stem for path in folder.glob(f"*.{ending}"))
        lib.check_equal(found, sorted(names), f"{ending} figures")
        for name in names:
            content = (folder / f"{name}.{ending}").read_bytes()
            lib.check(content.startswith(start) and len(content) > 5000, f"{name}.{ending} is damaged")
    page = Page()
    page.feed((folder / "report.html").read_text())
    lib.check_equal(sorted(page.figures), sorted(names), "figures of report.html")
    return page


class Page(html.parser.HTMLParser):
    """What a browser would load: only images, and those from the page itself."""

    def __init__(self):
        super().__init__()
        self.figures = []
        self.texts = []
        self.tags = []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        lib.check(tag not in ("script", "link", "iframe", "object"), f"report.html has <{tag}>")
        lib.check("href" not in attributes, f"report.html refers to {attributes.get('href')}")
        if "src" in attributes:
            start = attributes["src"][:22]
            lib.check_equal(start, "data:image/png;base64,", "start of an image")
        if tag == "figure":
            self.figures.append(attributes["id"])

    def handle_data(self, data):
        self.texts.append(data)


def write_tables(report):
    """What `ntklens report` leaves, with planted numbers."""
    report.mkdir(exist_ok=True)
    (report / "fits.csv").write_text(
        "direction,held,quantity,model,exponent,exponent_low,exponent_high,amplitude,offset,"
        "points,seeds,note,slope,loglog_slope,loglog_slope_low,loglog_slope_high\n"
        "width,n_train=80,test_loss@best,offset,0.5,0.4,0.6,0.2,0.05,3,2,,-0.5,-0.3,-0.4,-0.2\n"
        "width,n_train=80,effective_rank[full]@best,power,-0.3,-inf,-0.2,10,0,3,2,,0.3,0.3,0.2,0.4\n"
        "data,width=16,test_loss@best,none,nan,nan,nan,nan,nan,2,2,two points,nan,nan,nan,nan\n"
        "width,joint,test_loss@best,offset,0.5,0.4,0.6,0.2,0.05,3,2,,-0.5,nan,nan,nan\n"
    )
    (report / "robustness.csv").write_text(
        "direction,held,rank,kernel,tag,part,slope,low,high,sign,note\n"
        'width,n_train=80,"effective rank, centred",full,best,whole,0.3,0.2,0.4,rises,\n'
        "width,n_train=80,effective rank,full,best,half,-0.3,-0.4,-0.2,falls,\n"
        'data,"width=16, loss=mse",effective rank,full,init,whole,nan,nan,nan,constant,\n'
    )
    (report / "local_exponents.csv").write_text(
        "direction,held,quantity,from,to,exponent,low,high,seeds\n"
        "width,n_train=80,test_loss@best,8,16,0.5,0.4,0.6,2\n"
        "width,n_train=80,test_loss@best,16,32,0.3,nan,nan,1\n"
    )
    (report / "transition.csv").write_text(
        "held,kernel,c,width,width_low,width_high,seeds,note\n"
        "n_train=80,full,0.1,16,12,20,2,\n"
        "n_train=40,full,0.1,nan,nan,nan,2,never below\n"
    )
    (report / "summary.md").write_text(
        "# Verdict\n\nIt **rises**: 1 < 2.\n\n* one\n  more\n* two\n\n| a | b |\n|---|--:|\n| x | 1 |\n\n"
        "```\n<b>\n```\n"
    )


def as_convolutional(folder):
    """The table as one of convolutional networks, half of them with another head."""
    table = pd.read_csv(folder / "results.csv", dtype=str, keep_default_na=False)
    table["kind"], table["stages"], table["biases"] = "cnn", "1-1-1", "true"
    table["parameters"] = (9 * table["width"].astype(int) ** 2).astype(str)
    other = table.assign(head="flatten", cell="cnn-" + table["cell"], biases="false")
    mlp = table.assign(kind="mlp", stages="", biases="", cell="mlp-" + table["cell"])
    pd.concat([table.assign(head="global-average"), other, mlp]).to_csv(folder / "results.csv", index=False)


def add_columns(folder):
    table = pd.read_csv(folder / "results.csv", dtype=str, keep_default_na=False)
    width = table["width"].astype(float)
    table["kernel_distance"] = np.where(table["tag"] == "init", 0.0, 1 / width)
    table["infinite_distance"] = 3 / width
    table["regression_test_loss"] = 0.1 + 1 / width
    table["regression_predicted_loss"] = 0.1 + 1.1 / width
    classes = [table[table["kernel"] == "traced"].assign(kernel=f"class{a}") for a in range(2)]
    pd.concat([table, *classes]).to_csv(folder / "results.csv", index=False)
    (folder / "infinite.csv").write_text(
        "limit,depth,activation,parametrization,weight_variance,bias_variance,kernel,n_train,regression_test_loss\n"
        "ntk,1,relu,standard,1,0,traced,40,0.12\nntk,1,relu,standard,1,0,traced,80,0.11\n"
    )


@lib.case
def everything_is_drawn():
    folder = grid()
    add_columns(folder)
    write_tables(folder / "report")
    lib.check_equal(run_tool(folder), [str(folder / "report" / "report.html")], "stdout")
    page = check_figures(folder / "report", ALWAYS + OPTIONAL)
    text = "".join(page.texts)
    for wanted in ("Verdict", "It rises: 1 < 2.", "one more", "<b>"):
        lib.check(wanted in text, f"report.html lacks {wanted!r} of summary.md")
    lib.check("table" in page.tags and "pre" in page.tags, "summary.md's table and code are lost")
    before = digests(folder / "report")
    run_tool(folder)
    lib.check_equal(digests(folder / "report"), before, "files after drawing again")


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@lib.case
def laws_of_the_right_group_are_found():
    folder = grid()
    write_tables(folder / "report")
    fits = groups.Fits(folder / "report")
    found = {(g.direction, g.title()): g for g in groups.find_groups(ntklens.load(folder))}
    lib.check_equal(len(found), 5, "groups of 3 widths x 2 sizes")
    law = fits.law(found["width", "80 images"], "test_loss@best")
    lib.check_close(groups.law_curve(law, 4.0), 0.05 + 0.2 / 2, 1e-15, "law at width 4")
    lib.check("[+0.40, +0.60]" in groups.law_text(law), groups.law_text(law))
    for holds, rejected in ("yes", False), ("no", True):
        told = groups.law_text({**law, "holds": holds})
        lib.check(("rejected" in told) == rejected, told)
    lib.check(fits.law(found["width", "40 images"], "test_loss@best") is None, "law of another group")
    lib.check(fits.law(found["data", "width 16"], "test_loss@best") is None, "a law without numbers")
    lib.check_equal(groups.slope_text(law), "slope of log y -0.30 [-0.40, -0.20]", "slope")
    crossing = fits.crossing(found["width", "80 images"], "full")
    lib.check_close(crossing["width"], 16, 0, "crossing")
    lib.check(fits.crossing(found["width", "80 images"], "traced") is None, "crossing of another kernel")
    fits.fits["held"] = "n_train=80, loss=mse, width=8"
    lib.check(fits.law(found["width", "80 images"], "test_loss@best") is None, "a law at one width")
    fits.fits["held"] = "n_train=80, loss=mse"  # what other studies of the report do not share
    lib.check(fits.law(found["width", "80 images"], "test_loss@best") is not None, "more that is held")


@lib.case
def missing_columns_and_tables_are_told():
    folder = grid()
    told = plot(folder)
    for name in ("laws", "kernel_distance", "infinite_distance", "robustness"):
        lib.check(any(line.startswith(f"{name}: ") for line in told), f"{name} is not told: {told}")
    check_figures(folder / "report", [*ALWAYS, "grid"])
    text = (folder / "report" / "report.html").read_text()
    lib.check("no column kernel_distance" in text, "report.html does not tell what is not shown")


@lib.case
def studies_stand_side_by_side():
    width = part(grid(), lambda t: t["n_train"] == "80")
    data = part(grid(), lambda t: t["width"] == "16")
    page = width.parent / "page"
    told = run_tool(width, data, data, "-o", page)
    lib.check(any(line.startswith("not shown: laws: ") for line in told), f"not told: {told}")
    check_figures(page, ALWAYS + [f"{name}-2" for name in ALWAYS])
    lib.check(not (width / "report").exists(), "--output was not heeded")


@lib.case
def small_tables_are_drawn():
    one_seed = part(grid(), lambda t: (t["seed"] == "0") & (t["kernel"] == "traced"))
    plot(one_seed)
    check_figures(one_seed / "report", [*ALWAYS, "grid"])
    one_width = part(grid(), lambda t: (t["width"] == "8") & (t["n_train"] == "40"))
    plot(one_width)
    check_figures(one_width / "report", ALWAYS)


@lib.case
def flagged_rows_are_in_no_mean():
    folder = part(grid(), lambda t: t["n_train"] == "80")
    table = pd.read_csv(folder / "results.csv", dtype=str, keep_default_na=False)
    table["flags"] = ""
    flagged = (table["width"] == "8") & (table["seed"] == "0") & (table["tag"] == "best")
    table.loc[flagged, ["flags", "test_loss"]] = ["censored", "1000"]
    table.loc[(table["width"] == "32") & (table["seed"] == "1"), ["flags", "test_loss"]] = ["diverged", "nan"]
    table.to_csv(folder / "results.csv", index=False)
    group = groups.find_groups(ntklens.load(folder))[0]
    means = group.means("test_loss", None, "best")
    lib.check_equal(list(means.index), [8, 16, 32], "widths")
    lib.check((means["mean"] < 1).all(), f"a flagged row is in a mean: {means}")
    lib.check_equal(list(np.isnan(means["sd"])), [True, False, True], "deviations of one seed")
    table = table[table["n"].isin(["12", "120"])]  # of the whole probe
    one = table[(table["width"] == "32") & (table["seed"] == "0") & (table["kernel"] == "full")]
    line = group.evolution("trace", "full", 32)["mean"]
    for step, trace in one[one["tag"] == "log"][["step", "trace"]].itertuples(index=False):
        lib.check_close(line[int(step)], float(trace), 0, f"trace at step {step} without the diverged network")
    cells = table["cell"][(table["tag"] == "best") & (table["kernel"] == "full") & (table["flags"] == "")]
    lib.check_equal(sorted(group.clean_cells("full", "best")), sorted(cells), "networks without flags")


@lib.case
def without_spectra_and_eigenvalues():
    folder = grid()
    shutil.rmtree(folder / "cells")
    table = pd.read_csv(folder / "results.csv", dtype=str, keep_default_na=False)
    table["effective_rank"] = "nan"
    table.to_csv(folder / "results.csv", index=False)
    told = plot(folder)
    lib.check(any(line.startswith("spectra: ") for line in told), f"not told: {told}")
    check_figures(folder / "report", ["loss", "compute", "layers", "coupling"])


@lib.case
def an_installation_finds_its_modules():
    prefix = lib.scratch("prefix")
    (prefix / "bin").mkdir()
    shutil.copy(TOOLS / "ntklens-plot", prefix / "bin")
    python = prefix / "share" / "ntklens" / "python"
    shutil.copytree(TOOLS / "ntklens_plot", python / "ntklens_plot")
    shutil.copy(TOOLS / "ntklens.py", python)
    folder = part(grid(), lambda t: (t["n_train"] == "80") & (t["width"] == "8"))
    run_tool(folder, tool=prefix / "bin" / "ntklens-plot")
    check_figures(folder / "report", ALWAYS)


@lib.case
def what_others_wrote_stays():
    folder = part(grid(), lambda t: (t["n_train"] == "80") & (t["width"] == "8"))
    out = folder / "report"
    out.mkdir()
    for name in "loss.png", "scale-2.svg", "report.html":
        (out / name).write_text("mine")
        told = run_tool(folder, expect=2)
        lib.check(name in told[-1] and len(told) == 1, f"not told: {told}")
        lib.check_equal([path.name for path in out.iterdir()], [name], "files behind the refusal")
        (out / name).unlink()
    victim = lib.scratch("victim") / "file"
    victim.write_text("precious")
    (out / "loss.png").symlink_to(victim)
    run_tool(folder, expect=2)
    lib.check_equal(victim.read_text(), "precious", "target of a link")
    (out / "loss.png").unlink()
    run_tool(folder)
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    (out / "loss.svg").write_text("of another version, without a mark; the page speaks for it")
    run_tool(folder)
    lib.check(first == {path.name: path.read_bytes() for path in out.iterdir()}, "drawn again: other bytes")


@lib.case
def wrong_folders_are_told():
    empty = lib.scratch("empty")
    told = run_tool(empty, expect=2)
    lib.check("no results.csv" in told[-1], f"not told: {told}")


@lib.case
def prefixes_of_the_probe_are_pooled_with_nothing():
    folder = grid()
    study = ntklens.load(folder)
    lib.check_equal(sorted(study.table["n"].unique()), [6, 12, 60, 120], "orders in the table")
    lib.check_equal(set(study.at("best", "full")["n"]), {120}, "orders of the whole probe")
    lib.check_equal(set(study.at("best", "full", n=60)["n"]), {60}, "orders of the prefix")
    lib.check_equal(study.spectra("full@6", "best").shape[1], 60, "eigenvalues of a prefix")
    group = groups.find_groups(study)[0]
    for order in 60, 120:
        rows = study.at("best", "full", n=order)
        rows = rows[(rows["n_train"] == group.held["n_train"]) & (rows["width"] == 8) & (rows["flags"] == "")]
        if len(rows):
            found = group.prefixes("effective_rank", "full", 8)["mean"][order]
            lib.check_close(found, rows["effective_rank"].mean(), 1e-9, f"mean of order {order}")
    means = group.means("effective_rank", "full", "best")["mean"]
    whole = study.table[(study.table["n"] == 120) & (study.table["tag"] == "best") & (study.table["flags"] == "")]
    whole = whole[whole["n_train"] == group.held["n_train"]].groupby("width")["effective_rank"].mean()
    lib.check(np.allclose(means, whole[means.index]), f"{means}, expected {whole}")
    lib.run(["report", folder, "--no-figures"])
    fits = groups.Fits(folder / "report")
    lib.check_equal(list(fits.images("full", [60, 120])), [6, 12], "images of kernels")


@lib.case
def loader_gives_tables_and_spectra():
    folder = grid()
    study = ntklens.load(folder)
    rows = lib.table(folder)
    lib.check_equal(len(study.table), len(rows), "rows")
    lib.check_equal(len(study.cells), 12, "networks")
    for tag in ("init", "best", 10):
        spectra = study.spectra("full", tag)
        lib.check_equal(spectra.shape, (12, 120), f"networks and eigenvalues at {tag}")
        for (width, depth, n_train, seed, cell), values in spectra.iterrows():
            step = {"step": tag} if tag == 10 else {"tag": tag}
            row = lib.select(rows, cell=cell, kernel="full", n=120, **step)[0]
            lib.check_equal((str(width), str(seed)), (row["width"], row["seed"]), "index")
            lib.check_close(values.mean(), row["trace"], 1e-12 * values.max(), f"{cell} trace")
            lib.check((np.diff(values) <= 0).all(), f"{cell}: eigenvalues do not descend")
    curves = study.curves().groupby("cell")["test_loss"].min()
    best = study.at("best", "full").set_index("cell")["test_loss"]
    lib.check_equal(curves.to_dict(), best.to_dict(), "lowest test losses")
    cell = study.cells["cell"].iloc[0]
    lib.check_equal(study.snapshot(cell)["weight0"].shape, (8, 784), "shape of the first weights")
    refused(KeyError, "bset", study.snapshot, cell, "bset")
    refused(KeyError, "bset", study.spectra, "full", "bset")
    refused(FileNotFoundError, "expected a results folder of ntklens run", ntklens.load, folder / "cells")


@lib.case
def a_closed_pipe_is_no_trouble():
    line = [sys.executable, TOOLS / "ntklens-plot", grid(), "-o", lib.scratch("pipe")]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()  # as `| head` does before the figures are drawn
        told = process.stderr.read()
    lib.check("Traceback" not in told and "BrokenPipe" not in told, told[-1000:])
    lib.check_equal(process.returncode, 0, "exit code of ntklens-plot")


@lib.case
def loader_names_flags_and_reads_spreadsheets():
    folder = lib.scratch("sheet")
    text = (grid() / "results.csv").read_text()
    (folder / "results.csv").write_text(text.replace(",", ";").replace(".", ","))
    study, wanted = ntklens.load(folder), ntklens.load(grid())
    lib.check_equal(list(wanted.flags), list(wanted.table["flags"]), "flags")
    lib.check_equal(list(study.table), list(wanted.table), "columns")
    lib.check_equal(list(study.table["trace"]), list(wanted.table["trace"]), "trace")


@lib.case
def spectra_by_quadrature_are_read_off_their_rank_curves():
    folder = grid()
    exact = figures.shares_of(ntklens.load(folder), "full", "best")

    def shorten(file):
        for kernel in file["spectra"]:
            for step in file[f"spectra/{kernel}"]:
                values = file[f"spectra/{kernel}/{step}"][:]
                del file[f"spectra/{kernel}/{step}"]
                file[f"spectra/{kernel}/{step}"] = values[:5]
                places = np.arange(len(values)) + 1
                file[f"rank_curve/{kernel}/{step}"] = np.c_[places, np.maximum(values, 1e-300)]

    for path in (folder / "cells").glob("w32-*.h5"):
        lib.edit_cell(path, shorten)
    study = ntklens.load(folder)
    lib.check_equal(set(study.rank_curves().reset_index()["width"]), {32}, "widths with rank curves")
    lib.check_equal(list(study.rank_curves().columns), ["rank", "eigenvalue"], "columns")
    shares = figures.shares_of(study, "full", "best")
    lib.check_equal(len(shares), len(exact), "networks")
    for network, line in shares.iterrows():
        known = line[line > 1e-6]
        lib.check(len(known) > 20, f"{network}: {len(known)} places")
        worst = np.abs(np.log(known / exact.loc[network, known.index])).max()
        lib.check(worst < 1e-9, f"{network}: off by {worst}")
    plot(folder)
    lib.check((folder / "report" / "spectra.png").is_file(), "no figure of spectra")


@lib.case
def loader_refuses_files_that_lead_elsewhere():
    folder = lib.scratch("elsewhere") / "out"
    shutil.copytree(grid(), folder)
    secret = folder.parent / "secret"
    secret.write_bytes(b"root:x:0:0:" * 1000)
    paths = sorted((folder / "cells").glob("*.h5"))

    def storage(file):
        del file["curve/test_loss"]
        file.create_dataset("curve/test_loss", (5,), "f8", external=[(str(secret), 0, 40)])

    def link(file):
        step = next(iter(file["spectra/full"]))
        h5py = lib.need("h5py")
        del file["spectra"]
        file["spectra"] = h5py.ExternalLink(str(paths[1]), "/spectra")
        lib.check(f"spectra/full/{step}" in file, "the link leads nowhere: no test")

    lib.edit_cell(paths[0], storage)
    refused(ValueError, "in other files", ntklens.load(folder).curves)
    lib.edit_cell(paths[0], link)
    refused(ValueError, "is a link", ntklens.load(folder).spectra, "full", "best")


def refused(kind, phrase, function, *arguments):
    """function(*arguments) raises `kind`, and says so with the phrase."""
    try:
        function(*arguments)
    except kind as error:
        lib.check(phrase in str(error), f"{error!r} lacks {phrase!r}")
    else:
        lib.check(False, f"{function.__name__}{arguments}: no {kind.__name__}")


@lib.case
def widths_of_convolutional_networks_are_channels():
    folder = grid()
    as_convolutional(folder)
    plot(folder)
    found = [g for g in groups.find_groups(ntklens.load(folder)) if g.direction == "width"]
    held = [{k: g.held[k] for k in ("kind", "head", "biases") if k in g.held} for g in found]
    lib.check_equal(len(found), 2 * 3, "groups along width: sets x networks")
    lib.check({"kind": "mlp"} in held, f"an mlp holds no head: {held}")
    for group in found:
        channels = group.held["kind"] == "cnn"
        lib.check_equal("channels" in group.unit, channels, group.title())
        text = ";".join(f"{k}={groups._text(v)}" for k, v in group.held.items())
        lib.check(groups._same(text, group), f"{text} does not name {group.held}")
        lib.check_equal(list(group.parameters()), [9 * 8**2, 9 * 16**2, 9 * 32**2], "parameters")
    drawn = (folder / "report" / "grid.svg").read_text()  # texts are paths, told in comments
    lib.check("width (channels of the first stage)" in drawn and "<!-- parameters -->" in drawn, "axes of grid")


@lib.case
def one_is_no_plural():
    folder = grid()
    lib.check("12 networks, " in repr(ntklens.load(folder)), repr(ntklens.load(folder)))
    first = pd.read_csv(folder / "results.csv", dtype=str).iloc[0]
    part(folder, lambda table: (table["cell"] == first["cell"]) & (table.index == 0))
    lib.check(repr(ntklens.load(folder)).endswith(": 1 network, 1 row>"), repr(ntklens.load(folder)))


@lib.case
def what_a_figure_lacks_is_told_and_so_is_a_full_disk():
    folder = grid()
    table = pd.read_csv(folder / "results.csv", dtype=str, keep_default_na=False)
    table.drop(columns=["test_loss"]).to_csv(folder / "results.csv", index=False)
    plot = [sys.executable, TOOLS / "ntklens-plot", folder]
    told = subprocess.run(plot, capture_output=True, text=True, check=False)
    lib.check_equal(told.returncode, 0, f"exit code; stderr:\n{told.stderr}")
    lib.check("not shown: compute: no column test_loss" in told.stdout, told.stdout)
    with open("/dev/full", "w", encoding="utf-8") as full:
        told = subprocess.run(plot, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    lib.check_equal(told.returncode, 1, f"exit code; stderr:\n{told.stderr}")
    lines = told.stderr.splitlines()  # matplotlib may say something of its own before
    lib.check_equal(lines[-1], "ntklens-plot: standard output: No space left on device", "stderr's last line")
    lib.check("Traceback" not in told.stderr, told.stderr)


lib.main()

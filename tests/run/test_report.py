#!/usr/bin/env python3
"""ntklens report: fits and words of real and of planted tables, whoever edited or joined them."""

import csv
import functools
import io
import math
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

import lib

STUDY = """
study: tiny
data: {{source: glyphs, train_sizes: {sizes}, test_size: 100, probe_size: 12}}
model: {{widths: {widths}, depths: [1]}}
training: {{learning_rate: 0.1, batch_size: 16, max_steps: 200, evaluations_per_decade: 5}}
seeds: [0, 1, 2]
measure: {{kernels: [traced, full], at: {{steps: [50]}}, steps_per_decade: 2}}
"""
COLUMNS = ["direction", "held", "quantity", "model", "exponent", "exponent_low", "exponent_high"]
COLUMNS += ["amplitude", "offset", "points", "seeds", "note", "slope"]


@functools.cache
def studies():
    """A width study and a data study of glyphs; run once, never changed."""
    folder = lib.scratch("report")
    lib.run_study(STUDY.format(sizes=[64], widths=[4, 8, 16, 32]), folder / "w")
    lib.run_study(STUDY.format(sizes=[32, 64, 128, 256], widths=[8]), folder / "d")
    return folder / "w", folder / "d"


def copy(source, name):
    out = lib.scratch("report") / name
    out.mkdir(parents=True)
    for file in ("results.csv", "study.yaml"):
        shutil.copy(source / file, out / file)
    return out


def report(*folders, expect=0, options=("--no-figures",)):
    return lib.run(["report", *folders, *options], expect=expect)


def read(folder, name="fits.csv"):
    with open(folder / "report" / name, newline="") as file:
        return list(csv.DictReader(file))


def rewrite(folder, change):
    """Change the rows of results.csv: a list of dictionaries to another."""
    rows = change(lib.table(folder))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    (folder / "results.csv").write_text(text.getvalue())


COLUMNS_PLANTED = "width,depth,n_train,seed,tag,kernel,test_loss,trace,effective_rank,flags"


def planted(name, rows, names=COLUMNS_PLANTED):
    """A results folder whose table holds no more than these rows: tuples of the columns below."""
    out = lib.scratch("report") / name
    out.mkdir(parents=True)
    lines = [names, *(",".join(map(str, row)) for row in rows)]
    (out / "results.csv").write_text("\n".join(lines) + "\n")
    return out


def power_rows(noise=0.01, seeds=(0, 1, 2, 3), rank=0.5, widths=(8, 16, 32, 64, 128)):
    draw = random.Random(7)
    rows = []
    for width in widths:
        for seed in seeds:
            y = [math.exp(draw.gauss(0, noise)) for _ in range(4)]
            init = (width, 2, 512, seed, "init", "full", 2.3, width * y[0], 50 * y[1], "")
            loss, trace = 0.02 + 0.8 / width * y[2], 3 * width**0.9 * y[3]
            rows += [init, (*init[:4], "best", "full", loss, trace, 9 * width**rank * y[0], "")]
    return rows


# ---------------------------------------------------------------------------------------------
# What is found
# ---------------------------------------------------------------------------------------------


@lib.case
def real_studies_are_reported_side_by_side():
    width, data = studies()
    out = copy(width, "side"), copy(data, "side2")
    told = report(*out).stdout
    for words in ("Parametrisation: **standard**", "## Verdict", "by construction", "holds in"):
        lib.check(words in told, f"{words!r} is not in:\n{told}")
    rows = read(out[0])
    lib.check_equal(list(rows[0])[: len(COLUMNS)], COLUMNS, "columns")
    directions = {(row["direction"], row["held"]) for row in rows}
    for wanted in [("width", "n_train=64"), ("data", "width=8")]:
        lib.check(wanted in directions, f"{wanted} is not among {directions}")
    names = {row["quantity"] for row in rows}
    wanted = ["test_loss@best", "trace@init", "trace[full]@best/init", "effective_rank[full]@step=50"]
    lib.check(names.issuperset(wanted), f"quantities: {sorted(names)}")
    keys = [(row["direction"], row["held"], row["quantity"]) for row in rows]
    lib.check_equal(len(keys), len(set(keys)), "rows, each once")
    for row in rows:
        lib.check(row["model"] != "none" or row["note"], f"neither numbers nor words: {row}")
        if row["model"] != "none":
            lib.check_equal(float(row["slope"]), -float(row["exponent"]), "slope")
    init = lib.one(rows, direction="data", held="width=8", quantity="trace@init")
    lib.check("constant" in init["note"] and init["exponent"] == "nan", f"{init}")
    lib.check((out[0] / "report" / "summary.md").read_text().startswith("# Report on tiny"), "title")
    lib.check(not (out[1] / "report").exists(), "a report in the second folder too")


@lib.case
def slopes_are_those_of_numpy():
    np = lib.need("numpy")
    out = copy(studies()[0], "numpy")
    report(out)
    rows = [r for r in lib.select(lib.table(out), tag="best", kernel="full") if "censored" not in r["flags"]]
    slopes = []
    for seed in sorted({row["seed"] for row in rows}):
        mine = lib.select(rows, seed=seed)
        x = [math.log(float(row["width"])) for row in mine]
        if len(mine) < 2 or max(x) - min(x) < 0.5 * math.log(8):
            continue
        slopes.append(np.polyfit(x, [math.log(float(row["effective_rank"])) for row in mine], 1)[0])
    fit = lib.one(read(out), direction="width", held="n_train=64", quantity="effective_rank[full]@best")
    lib.check(
        abs(float(fit["loglog_slope"]) - np.mean(slopes)) < 1e-10, f"{fit}, numpy {np.mean(slopes)}"
    )


@lib.case
def planted_laws_are_found_and_told():
    left_out = (128, 2, 512, 2, "best", "full", 0.1, 1e4, 70, "censored")
    rows = power_rows()
    rows[rows.index(next(r for r in rows if r[:5] == left_out[:5]))] = left_out
    out = planted("power", rows)
    told = report(out).stdout
    lib.check("**rises with width**" in told, told)
    lib.check("Only one direction was measured" in told, told)
    fits = read(out)
    rank = lib.one(fits, direction="width", quantity="effective_rank[full]@best")
    lib.check(float(rank["exponent_low"]) <= -0.5 <= float(rank["exponent_high"]), f"{rank}")
    loss = lib.one(fits, direction="width", quantity="test_loss@best")
    lib.check_equal(loss["model"], "offset", "law of the loss")
    lib.check(abs(float(loss["offset"]) - 0.02) < 0.005, f"{loss}")
    line = next(line for line in told.splitlines() if "its slope against width" in line)
    parts = [float(x) for x in re.findall(r"([-+][0-9.]+) \(95", line)]
    lib.check(
        len(parts) == 3 and abs(parts[0] - parts[1] - parts[2]) < 2e-3,
        f"the parts do not add up: {line}",
    )


LARGE = COLUMNS_PLANTED.replace("flags", "participation_ratio,n,entropy_error,flags")


def rows_of_order(n, exponent, error=0.0, tags=("init", "best"), off=lambda width: 1.0):
    """Effective ranks ~ n^0.3 width^exponent of kernels of this order."""
    draw = random.Random(n)
    return [(width, 2, 512, seed, tag, "full", 0.02 + 0.8 / width, 3 * width,
             n**0.3 * width**exponent * math.exp(draw.gauss(0, 0.01)) * off(width), 5 * width**0.1, n, error, "")
            for width in (8, 16, 32, 64, 128) for seed in range(4) for tag in tags]  # fmt: skip


@lib.case
def ranks_of_other_numbers_of_images_are_pooled_with_nothing():
    whole = rows_of_order(1500, 0.5)
    parts = rows_of_order(500, -0.2) + rows_of_order(100, 0.5)
    alone = planted("alone", whole, names=LARGE)
    report(alone)
    for name, rows in ("first", parts + whole), ("last", whole + parts):
        out = planted(name, rows, names=LARGE)
        report(out)
        for table in "fits.csv", "robustness.csv", "local_exponents.csv":
            lib.check_same_bytes((out / "report" / table).read_text(), (alone / "report" / table).read_text(), table)
        told = (out / "report/summary.md").read_text()
        for words in ("repeat", "fewer images than others"):
            lib.check(words not in told, f"{words!r} is in:\n{told}")
        for words in ("on n = 1500 rows", "**depends on the number of images**: it rises at 2 of them, falls at 1"):
            lib.check(words in told, f"{words!r} is not in:\n{told}")
    slopes = read(out, "prefix_slopes.csv")
    for at, wanted in (100, 0.5), (500, -0.2), (1500, 0.5):
        row = lib.one(slopes, against="width", at=at, quantity="effective_rank[full]@best")
        lib.check(float(row["slope_low"]) < wanted < float(row["slope_high"]), f"{row}, planted {wanted}")
        lib.check_close(row["slope"], wanted, 0.02, f"slope at {at} rows")
    row = lib.one(slopes, against="images", at=8, quantity="effective_rank[full]@best")
    lib.check_equal(row["points"], "3", "points against images")
    means = read(out, "prefixes.csv")
    lib.check_equal(len(lib.select(means, tag="best")), 15, "five widths, three orders")
    lib.check_equal({row["tag"] for row in means}, {"init", "best"}, "tags of prefixes.csv")
    lib.check(not (alone / "report/prefixes.csv").exists(), "prefixes.csv without prefixes")


@lib.case
def a_network_seen_on_fewer_images_only_is_left_out():
    rows = rows_of_order(1500, 0.5)
    few = [(256, *row[1:]) for row in rows_of_order(500, 0.5) if row[0] == 128]
    out = planted("few", rows + few, names=LARGE)
    report(out)
    fit = lib.one(read(out), direction="width", quantity="effective_rank[full]@best")
    lib.check_equal(fit["points"], "5", "widths in the fit")
    told = (out / "report/summary.md").read_text()
    lib.check("4 networks were measured on fewer images than others" in told, f"not told:\n{told}")


@lib.case
def estimates_weigh_by_their_errors():
    """A rank that is 30 % off, and said to be that uncertain, bends nothing."""
    exact = rows_of_order(1500, 0.5)
    off = [(*row[:8], row[8] * 1.3, *row[9:]) if row[0] == 128 else row for row in exact]
    told = [(*row[:11], 0.5, row[12]) if row[0] == 128 else row for row in off]
    slopes = []
    for name, rows in ("exact", exact), ("off", off), ("told", told):
        out = planted(name, rows, names=LARGE)
        report(out)
        slopes.append(lib.one(read(out), direction="width", quantity="effective_rank[full]@best"))
    exact, off, told = ([float(row[f"loglog_slope{end}"]) for end in ("", "_low", "_high")] for row in slopes)
    lib.check(abs(off[0] - 0.5) > 0.05, f"the planted error does not show: {off}")
    lib.check(abs(told[0] - exact[0]) < 0.01, f"with its error told: {told}, without it {exact}")
    lib.check(told[1] < 0.5 < told[2], f"interval {told} does not hold what was planted")


def split_rows(traced, factor, widths=(8, 16, 32, 64), sizes=(512,), flags=lambda width, size: ""):
    """Effective ranks of the traced kernel ~ traced(width, size) and class factors ~ factor(width, size) at
    best; at init both without their dependence on data."""
    draw = random.Random(3)
    rows = []
    for width in widths:
        for size in sizes:
            for seed in range(5):
                for tag in ("init", "best"):
                    at = (width, size if tag == "best" else sizes[0])
                    rank = 20 * traced(*at) * math.exp(draw.gauss(0, 0.01))
                    c = 2 * factor(*at) * math.exp(draw.gauss(0, 0.01))
                    head = (width, 2, size, seed, tag)
                    tail = (0.02 + width**-0.5, 5)
                    flag = flags(width, size) if tag == "best" else ""
                    rows += [(*head, "traced", *tail, rank, "nan", flag)]
                    rows += [(*head, "full", *tail, rank * c, c, flag)]
    return rows


SPLIT = COLUMNS_PLANTED.replace("flags", "class_factor,flags")


def numbers(line):
    """The values, not the bounds, of `x (95 %: low to high)`."""
    return [float(x) for x in re.findall(r"([-+][0-9.]+) \(95", line)]


@lib.case
def the_rank_is_split_into_traced_kernel_and_class_factor():
    """The full kernel's rank rises by its class factor alone, that of the traced kernel falls: each sentence
    names its kernel, and no word is said for both."""
    rows = split_rows(lambda w, n: w**-0.1, lambda w, n: w**0.5)
    out = planted("split", rows, SPLIT)
    told = report(out).stdout
    short = told.split("## In short")[1].split("## Verdict")[0]
    lib.check("; |" not in short, f"a list in a cell ends with a separator: {short}")
    for words in ("rises with width | full kernel: **yes** (of 2 combinations of rank and state 2 rise, 0 fall); "
                  "traced kernel: **no, the contrary** (of 2 combinations of rank and state 0 rise, 2 fall) |",
                  "falls with data | full kernel: not measured;", "data: not measured |",
                  "the largest set whose networks count at every scale"):  # fmt: skip
        lib.check(words in short, f"{words!r} is not in:\n{short}")
    for words in ("The effective rank of the full kernel at best **rises with width**",
                  "The effective rank of the traced kernel at best **falls with width**"):  # fmt: skip
        lib.check(words in told, f"{words!r} is not in:\n{told}")
    for tag in ("init", "best"):
        line = next(x for x in told.splitlines() if x.startswith(f"- At {tag} log rank") and "width" in x)
        total, traced, factor = numbers(line)
        lib.check(abs(total - traced - factor) < 2e-3, f"the parts do not add up: {line}")
        lib.check(abs(traced + 0.1) < 0.02 and abs(factor - 0.5) < 0.02, line)
    for kernel in ("full", "traced"):
        lib.check(f'"The rank of the {kernel} kernel rises with width"' in told, told)
    slope = {r["quantity"]: float(r["loglog_slope"]) for r in lib.select(read(out), direction="width")}
    parts = slope["effective_rank[traced]@best"] + slope["class_factor[full]@best"]
    lib.check(abs(slope["effective_rank[full]@best"] - parts) < 1e-12, f"{slope}")


@lib.case
def trainings_above_their_stability_are_told():
    names = COLUMNS_PLANTED.replace("flags", "rate_ratio,flags")
    for name, ratios, words in (("above", (0.4, 1.7), "8 of 16 networks begin above"), ("below", (0.4, 0.9), "")):
        rows = [(*r[:-1], ratios[r[0] > 20], r[-1]) for r in power_rows(widths=(8, 16, 32, 64))]
        told = report(planted(name, rows, names)).stdout
        lib.check(words in told and ("rate_ratio up to 1.7; width 32: 4 of 4, width 64: 4 of 4" in told) == bool(words), told)
        lib.check(bool(words) or "begin above" not in told, told)


@lib.case
def every_held_value_is_told_and_the_headline_is_a_small_sound_model():
    """With data the rank falls at narrow widths and rises at wide ones; the narrowest has collapsed."""
    rows = split_rows(
        lambda w, n: n ** (-0.2 if w < 40 else 0.2), lambda w, n: 1.0, widths=(4, 8, 16, 64, 128),
        sizes=(64, 256, 1024), flags=lambda w, n: "collapsed" if w == 4 else "",
    )  # fmt: skip
    out = planted("held", rows, SPLIT)
    told = report(out).stdout
    lib.check(re.search(r"falls with data \| full kernel: \*\*yes\*\* \(of 2[^;|]* 1 fall\); traced kernel: \*\*yes\*\*", told), told)
    lib.check("at width=8 (the smallest model whose networks count at every scale)" in told, told)
    lib.check("| width=8 **headline** | 3 of 3 |" in told, told)
    lib.check("| width=4 | 0 of 3 |" in told, told)
    lib.check("The slope of the full kernel against data turns between 16 and 64." in told, told)
    lib.check("| n_train=1024 **headline** |" in told, told)
    marked = {r["held"] for r in read(out) if r["headline"] == "yes"}
    lib.check_equal(marked, {"width=8", "n_train=1024"}, "headlines in fits.csv")


@lib.case
def laws_are_tested_not_assumed():
    """Words, numbers and columns of a law that holds, of one that does not, and of none that could."""
    out = planted("holds", power_rows())
    told = report(out).stdout
    lib.check("with an offset the law holds within the noise (p = " in told, told)
    loss = lib.one(read(out), direction="width", quantity="test_loss@best")
    lib.check_equal(loss["holds"], "yes", "holds")
    lib.check(float(loss["power_p"]) < 0.05 <= float(loss["offset_p"]), f"{loss}")
    lib.check(0.018 < float(loss["offset_low"]) < float(loss["offset"]) < float(loss["offset_high"]) < 0.022, f"{loss}")

    # a staircase: no smooth law
    steps = {8: 1.0, 16: 0.96, 32: 0.6, 64: 0.56, 128: 0.3}
    out = planted("steps", [(*r[:6], r[6] * 0 + steps[r[0]] * (1 + 0.003 * r[3]), *r[7:]) for r in power_rows()])
    told = report(out).stdout
    words = r"a power law does not describe these points \(p = |no power law with a possible offset describes these"
    lib.check(re.search(words, told), told)
    lib.check_equal(lib.one(read(out), direction="width", quantity="test_loss@best")["holds"], "no", "holds")

    # the loss falls as a logarithm, on both axes: no exponents, no comparison
    draw = random.Random(3)
    rows = [
        (w, 2, n, s, "best", "full", (1 - 0.14 * math.log(w * n / 64)) * math.exp(draw.gauss(0, 0.002)), 1, 1, "")
        for w, n in [(w, 64) for w in (8, 16, 32, 64, 128)] + [(8, n) for n in (128, 256, 512, 1024)]
        for s in range(4)
    ]
    out = planted("logarithm", rows)
    told = report(out).stdout
    lib.check("between a power and a logarithm: exponent and floor are not identified" in told, told)
    lib.check("The loss exponents are not compared" in told, told)
    lib.check("**does not hold**: not against width, nor against data" in told, told)
    lib.check_equal(lib.one(read(out), direction="data", quantity="test_loss@best")["exponent_low"], "nan", "exponent_low")


@lib.case
def three_points_have_a_slope_but_no_exponent():
    out = planted("three", power_rows(widths=[8, 16, 32]))
    told = report(out).stdout
    loss = lib.one(read(out), direction="width", quantity="test_loss@best")
    lib.check("3 points: an offset cannot be tested" in loss["note"], f"{loss}")
    lib.check_equal((loss["exponent_low"], loss["exponent_high"]), ("nan", "nan"), "interval")
    lib.check(float(loss["loglog_slope_low"]) < float(loss["loglog_slope_high"]) < 0, f"{loss}")
    lib.check("3 points: an offset cannot be tested" in told, told)


@lib.case
def the_tally_says_what_chance_would_do():
    out = planted("tally", power_rows())
    told = report(out).stdout
    lib.check("would rise by chance; " in told and "jointly (Holm: 5 % for any mistake among" in told, told)
    lib.check(re.search(r"Of \d+ slopes with an interval \(fits.csv\), \d+ exclude 0", told), told)
    tested = sorted(float(r["slope_p"]) for r in read(out, "fits.csv") if r["quantity"].startswith("effective_rank[") and not r["quantity"].endswith("init") and r["direction"] == "width" and r["slope_p"] != "nan")
    lib.check(tested and tested[0] < 1e-6, f"p of a planted slope: {tested}")


@lib.case
def local_exponents_are_those_of_the_table():
    out = planted("local", power_rows())
    report(out)
    rows = [r for r in read(out, "local_exponents.csv") if r["quantity"] == "test_loss@best"]
    lib.check_equal([(float(r["from"]), float(r["to"])) for r in rows], [(8, 16), (16, 32), (32, 64), (64, 128)], "pairs")
    table = {(r[0], r[3]): r[6] for r in power_rows() if r[4] == "best"}
    for row in rows:
        a, b = int(float(row["from"])), int(float(row["to"]))
        mean = sum(math.log(table[a, s] / table[b, s]) / math.log(2) for s in range(4)) / 4
        lib.check(abs(float(row["exponent"]) - mean) < 1e-12, f"{row}: {mean}")
        lib.check(float(row["low"]) < mean < float(row["high"]) and row["seeds"] == "4", f"{row}")


@lib.case
def words_are_not_stronger_than_intervals():
    told = report(planted("flat", power_rows(noise=0.3, rank=0.0))).stdout
    lib.check("**rises with" not in told and "**falls with" not in told, told)
    lib.check("cannot be told" in told, told)
    told = report(planted("one", power_rows(seeds=[4]))).stdout
    lib.check("nothing is claimed" in told and "**rises" not in told, told)


# ---------------------------------------------------------------------------------------------
# Tables that were edited or joined
# ---------------------------------------------------------------------------------------------


@lib.case
def edited_tables_give_the_same_fits():
    source = studies()[0]
    plain = copy(source, "plain")
    report(plain)
    expected = (plain / "report" / "fits.csv").read_text()

    crlf = copy(source, "crlf")
    for file in ("results.csv", "study.yaml"):
        (crlf / file).write_bytes((crlf / file).read_bytes().replace(b"\n", b"\r\n"))
    (crlf / "results.csv").write_bytes(b"\xef\xbb\xbf" + (crlf / "results.csv").read_bytes())

    turned = copy(source, "turned")
    rewrite(turned, lambda rows: [{"mine": '"a, b"', **dict(reversed(row.items()))} for row in rows])

    fewer = copy(source, "fewer")
    drop = ["solver", "flags_of_mine", "lambda_min", "validation_loss", "entropy", "depth"]
    rewrite(fewer, lambda rows: [{k: v for k, v in row.items() if k not in drop} for row in rows])

    for out in (crlf, turned, fewer):
        report(out)
        lib.check_same_bytes((out / "report" / "fits.csv").read_text(), expected, out.name)


@lib.case
def joined_tables_are_told_apart():
    out = copy(studies()[0], "joined")
    rewrite(
        out, lambda rows: rows + [{**r, "loss": "mse", "cell": r["cell"] + "x"} for r in rows]
    )
    told = report(out).stdout
    held = {row["held"] for row in read(out) if row["direction"] == "width"}
    lib.check_equal(held, {"n_train=64;loss=mse", "n_train=64;loss=cross-entropy"}, "held")
    lib.check("### loss=mse" in told, told)


@lib.case
def flagged_rows_are_left_out_and_counted():
    clean = planted("clean", power_rows())
    rows = power_rows()
    spoilt = [(*r[:6], 99, 1e9, "nan", f) for r, f in zip(rows[1::2], ["censored", "diverged+mixed", "collapsed", "untrained"])]
    spoilt = [(*r[:3], 77 + k, *r[4:]) for k, r in enumerate(spoilt)]
    out = planted("flags", rows + spoilt)
    report(clean)
    report(out)
    fits = [lib.one(read(f), direction="width", quantity="test_loss@best") for f in (clean, out)]
    for column in ("exponent", "exponent_low", "exponent_high", "seeds"):
        lib.check_equal(fits[1][column], fits[0][column], column)
    for words in ("1 censored left out", "1 diverged left out", "1 collapsed left out", "1 untrained left out"):
        lib.check(words in fits[1]["note"], fits[1]["note"])


KINDS = f"{COLUMNS_PLANTED},kind,parameters,stages,head"


def of_kinds(kinds, overdetermined=()):
    """The rows of power_rows() as networks of several (kind, stages, head), each law a rank higher."""
    rows = []
    for k, (kind, stages, head) in enumerate(kinds):
        for r in power_rows(rank=0.2 + 0.3 * k):
            flags = "overdetermined" if kind != "mlp" and r[0] in overdetermined else ""
            rows.append((*r[:9], flags, kind, 9 * r[0] ** 2, stages, head))
    return rows


@lib.case
def kinds_heads_and_stages_are_never_pooled():
    kinds = [("mlp", "", ""), ("cnn", "1-1-1", "flatten"), ("cnn", "1-1-1", "global-average"), ("resnet", "2-1", "flatten")]
    out = planted("kinds", of_kinds(kinds), KINDS)
    report(out)
    fits = lib.select(read(out), direction="width", quantity="effective_rank[full]@best")
    slopes = {row["held"]: float(row["loglog_slope"]) for row in fits}
    wanted = {
        "n_train=512;kind=mlp": 0.2,
        "n_train=512;kind=cnn;stages=1-1-1;head=flatten": 0.5,
        "n_train=512;kind=cnn;stages=1-1-1;head=global-average": 0.8,
        "n_train=512;kind=resnet;stages=2-1;head=flatten": 1.1,
    }
    lib.check_equal(set(slopes), set(wanted), "groups")
    for held, slope in wanted.items():
        lib.check(abs(slopes[held] - slope) < 0.05, f"{held}: slope {slopes[held]}, expected {slope}")
    along = lib.select(read(out), direction="parameters", quantity="effective_rank[full]@best")
    lib.check_equal(len(along), 4, "groups along parameters")
    for row in along:
        wide = slopes[row["held"]] / 2  # parameters are planted as its square
        lib.check(abs(float(row["loglog_slope"]) - wide) < 0.03, f"{row['held']}: not half of that along width")
    # What varies within no kind heads no group, and is told once for all.
    out = planted("constant", of_kinds([kinds[0], *kinds[1:3]]), KINDS)
    told = report(out).stdout
    held = {row["held"] for row in lib.select(read(out), direction="width", quantity="effective_rank[full]@best")}
    heads = {f"n_train=512;kind=cnn;head={head}" for head in ("flatten", "global-average")}
    lib.check_equal(held, {"n_train=512;kind=mlp", *heads}, "groups where stages are constant")
    lib.check("stages=1-1-1" in told, f"the constant stages are not told:\n{told}")


@lib.case
def widths_of_convolutional_networks_are_channels():
    out = planted("channels", of_kinds([("cnn", "1-1-1", "flatten")], overdetermined=(8, 16)), KINDS)
    told = report(out).stdout
    for words in ("5 widths from 8 to 128 channels", "Width is channels of the first stage", "parameters grow as its square"):
        lib.check(words in told, f"{words!r} is not in:\n{told}")
    note = "8 overdetermined: this rank is at most the number of parameters"
    rank = lib.one(read(out), direction="width", quantity="effective_rank[full]@best")
    loss = lib.one(read(out), direction="width", quantity="test_loss@best")
    lib.check(note in rank["note"], f"{rank['note']!r} does not say {note!r}")
    lib.check("overdetermined" not in loss["note"], loss["note"])
    lib.check_equal(rank["points"], "5", "points: none is left out")
    plain = report(planted("units", power_rows())).stdout
    lib.check("channels" not in plain, f"channels of an mlp:\n{plain}")


@lib.case
def degenerate_tables_get_words():
    cases = {
        "point": (power_rows(widths=[8]), "one point"),
        "seed": (power_rows(seeds=[3]), "one seed: no interval"),
        "nan": ([(*r[:6], "nan", "nan", "nan", "") for r in power_rows()], "no usable values"),
        "constant": ([(*r[:6], 2, 2, 2, "") for r in power_rows()], "constant"),
    }
    for name, (rows, words) in cases.items():
        out = planted(f"degenerate-{name}", rows)
        report(out)
        fit = lib.one(read(out), direction="width", held="n_train=512", quantity="test_loss@best")
        lib.check(words in fit["note"], f"{name}: {fit}")
        lib.check_equal(fit["exponent_low"], "nan", f"{name}: exponent_low")
        lib.check_equal(fit["exponent"] == "nan", name != "seed", f"{name}: exponent is nan")


@lib.case
def a_first_short_run_is_told_what_to_do():
    out = planted("short", [(*r[:9], "censored" if r[4] == "best" else "") for r in power_rows()])
    told = report(out).stdout
    lib.check("from nan to nan" not in told, told)
    lib.check("Every best state is censored" in told and "training.max_steps" in told, told)
    lib.check("no network is left for it" in told, told)
    told = report(planted("partly", power_rows() + [(99, *power_rows()[1][1:9], "censored")])).stdout
    lib.check("Every best state" not in told, told)


@lib.case
def a_missing_column_is_named():
    out = planted("column", power_rows())
    rewrite(out, lambda rows: [{k: v for k, v in row.items() if k != "effective_rank"} for row in rows])
    told = report(out).stdout
    lib.check("No row has a value of effective_rank" in told, told)
    lib.check("value of trace" not in told and "nan" not in told, told)


@lib.case
def words_for_no_value_are_read_like_nan():
    rows = power_rows()
    texts = []
    for word in ("nan", "NA", "#N/A", "<NA>"):
        out = planted("na", [*rows, (256, *rows[1][1:8], word, "")])
        report(out)
        texts.append((out / "report" / "fits.csv").read_text())
    for text in texts[1:]:
        lib.check_same_bytes(text, texts[0], "fits.csv")


@lib.case
def semicolons_tabs_and_decimal_commas_are_read():
    out = planted("commas", power_rows())
    report(out)
    wanted = (out / "report" / "fits.csv").read_text()
    text = (out / "results.csv").read_text()
    for name, changed in {
        "semicolons": text.replace(",", ";"),
        "tabs": text.replace(",", "\t"),
        "decimal commas": text.replace(",", ";").replace(".", ","),
    }.items():
        other = planted("separated", power_rows())
        (other / "results.csv").write_text(changed)
        report(other)
        lib.check_same_bytes((other / "report" / "fits.csv").read_text(), wanted, name)


@lib.case
def a_live_study_is_reported_as_far_as_it_is():
    out = lib.scratch("report") / "live"
    study = lib.write_study(out.parent, STUDY.format(sizes=[64], widths=[4, 8]))
    text = study.read_text().replace("max_steps: 200", "max_steps: 10000000")
    study.write_text(text)
    line = lib.command(["run", study, "-o", out, "--quiet"])
    running = subprocess.Popen(line, env=lib.environment(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        while not (out / "lock").exists() or not (out / "lock").read_text():
            time.sleep(0.05)
            lib.check(running.poll() is None, "the run ended")
        told = lib.only_complaint(report(out, expect=None))
        lib.check("a run is at work" in told, told)
        while not (out / "results.csv").exists():  # else the run would write its own over that of below
            time.sleep(0.05)
            lib.check(running.poll() is None, "the run ended")
        shutil.copy(planted("rows", power_rows()) / "results.csv", out / "results.csv")
        told = report(out).stdout
        lib.check("A run is at work in" in told and "rows so far (40)" in told, told)
    finally:
        running.kill()
        running.wait()


@lib.case
def the_transition_is_interpolated_never_extrapolated():
    out = copy(studies()[0], "transition")
    for level, words in ((8.0, "falls below it at width"), (1e-3, "no transition within")):
        def distance(rows):
            return [{**r, "flags": "", "kernel_distance": level / 10 / float(r["width"])} for r in rows]

        rewrite(out, distance)
        told = report(out).stdout if level == 8.0 else report(out, options=("--no-figures", "--threshold", "1e-9")).stdout
        lib.check(words in told, told)
        row = lib.one(read(out, "transition.csv"), kernel="full")
        if level == 8.0:
            lib.check(abs(float(row["width"]) - 8.0) < 1e-6, f"{row}")
        else:
            lib.check_equal(row["width"], "nan", "width")


# ---------------------------------------------------------------------------------------------
# What is refused
# ---------------------------------------------------------------------------------------------


@lib.case
def wrong_folders_and_tables_are_refused():
    empty = lib.scratch("report")
    told = lib.only_complaint(report(empty, expect=2))
    lib.check("holds no results.csv" in told, told)
    lib.run(["report"], expect=2)
    lib.run(["report", studies()[0], "--threshold", "x"], expect=2)

    out = copy(studies()[0], "broken")
    text = (out / "results.csv").read_text()
    lines = text.splitlines()
    broken = {
        "results.csv:3:": [*lines[:2], lines[2] + ",1", *lines[3:]],
        "results.csv:4: width": [*lines[:3], lines[3].replace(",4,1,", ",wide,1,", 1), *lines[4:]],
        "results.csv:1: no column seed": [lines[0].replace(",seed,", ",grain,"), *lines[1:]],
        "results.csv: no rows": lines[:1],
    }
    for words, changed in broken.items():
        (out / "results.csv").write_text("\n".join(changed) + "\n")
        told = lib.only_complaint(report(out, expect=3))
        lib.check(words in told, f"{words!r} is not in {told!r}")
        lib.check(not (out / "report").exists(), "a report was begun")
    (out / "results.csv").write_text(text)
    (out / "study.yaml").write_text("study: [\n")
    lib.check("study.yaml:" in report(out, expect=2).stderr, "no place of the broken study.yaml")


# ---------------------------------------------------------------------------------------------
# Figures
# ---------------------------------------------------------------------------------------------


def has_matplotlib():
    probe = ["-c", "import matplotlib, pandas, h5py"]
    pythons = [sys.executable, "/usr/bin/python3", "python3"]
    found = [p for p in pythons if shutil.which(p)]
    return any(subprocess.run([p, *probe], capture_output=True).returncode == 0 for p in found)


@lib.case
def figures_and_one_page_are_drawn():
    if not has_matplotlib():
        raise lib.Skip("no Python with matplotlib, pandas and h5py")
    out = lib.scratch("report") / "figures"
    bare = copy(studies()[1], "bare")  # neither cells/ nor flags: figures do with what there is
    rewrite(bare, lambda rows: [{k: v for k, v in row.items() if k != "flags"} for row in rows])
    told = report(studies()[0], bare, options=("-o", out))
    for name in ("overview", "loss", "local_exponents", "evolution", "scale", "spectra", "robustness"):
        for ending in ("png", "svg"):
            path = out / f"{name}.{ending}"
            lib.check(path.exists() and path.stat().st_size > 2000, f"{path}: {told.stderr}")
    page = (out / "report.html").read_text()
    lib.check("data:image/png;base64," in page and "Verdict" in page, "report.html")
    for word in ("http://", "https://", "<script", "<link"):
        lib.check(word not in page, f"report.html asks for a network: {word}")


@lib.case
def without_figures_the_text_is_whole():
    out = copy(studies()[0], "bare")
    alone = lib.scratch("report") / "bin"
    alone.mkdir(parents=True)
    program = alone / "ntklens"
    shutil.copy(pathlib.Path(lib.command(["report"])[0]), program)
    told = subprocess.run([program, "report", out], capture_output=True, text=True, env=lib.environment(PATH="/nonexistent"))
    lib.check_equal(told.returncode, 0, "exit code")
    lib.check("no figures" in told.stderr and len(told.stderr.splitlines()) == 1, told.stderr)
    lib.check((out / "report" / "fits.csv").exists(), "fits.csv")


lib.main()

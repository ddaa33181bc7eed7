"""The study the program is made for, on MNIST: with width the test loss falls and the full kernel's
effective rank at `best` rises (Nikolaou et al. 2026, doi 10.1088/2632-2153/ae4442)."""

import lib

WIDTHS = [16, 32, 64, 128, 256]
SEEDS = [0, 1]

STUDY = f"""\
    data:
      source: mnist
      path: {{folder}}
      train_sizes: [512]
      test_size: 2000
      probe_size: 150
      standardize: false
    model:
      widths: {WIDTHS}
      depths: [2]
      activation: relu
      parametrization: standard
    training:
      loss: cross-entropy
      optimizer: sgd
      learning_rate: 0.1
      batch_size: 32
      max_steps: 2000
    seeds: {SEEDS}
    measure:
      kernels: [traced, full]
      steps_per_decade: 0
    """

_rows = []


def mean_at_best(column):
    """Mean over the seeds, width by width."""
    means = []
    for width in WIDTHS:
        rows = lib.select(_rows, width=width, tag="best", kernel="full")
        lib.check_equal(len(rows), len(SEEDS), f"rows at best of width {width}")
        means.append(sum(float(row[column]) for row in rows) / len(rows))
    return means


def rank_correlation(values):
    """Spearman's, against the order they stand in; 1: rises all along."""
    n = len(values)
    ranks = [sorted(values).index(value) for value in values]
    return 1 - 6 * sum((k - rank) ** 2 for k, rank in enumerate(ranks)) / (n * (n * n - 1))


def check_trend(column, sign, change):
    """Rises (sign 1) or falls (-1) with width, by more than a share `change` from end to end."""
    means = mean_at_best(column)
    told = f"{column} at best by width: " + ", ".join(f"{mean:.4g}" for mean in means)
    print("    " + told)
    lib.check(sign * (means[-1] / means[0] - 1) > change, f"{told}: the ends do not differ as expected")
    lib.check(sign * rank_correlation(means) >= 0.9, f"{told}: the order is not as expected")


@lib.case
def the_study_runs_to_its_end():
    out = lib.scratch("mnist") / "out"
    lib.run_study(STUDY.format(folder=lib.data_folder("mnist")), out, ranks=2)
    _rows.extend(lib.table(out))
    lib.check_equal(len(_rows), len(WIDTHS) * len(SEEDS) * 2 * 3, "rows: cells, kernels, tags")
    flagged = {row["flags"] for row in _rows} - {"", "censored"}
    lib.check(not flagged, f"flags {flagged} in a study that is sound")
    lib.check_equal({row["n"] for row in lib.select(_rows, kernel="full")}, {"1500"}, "orders")


def trend(column, sign, change):
    if not _rows:
        raise lib.Skip("the study did not run")
    check_trend(column, sign, change)


lib.add("test loss falls with width", trend, "test_loss", -1, 0.05)
lib.add("effective rank rises with width", trend, "effective_rank", 1, 0.1)
lib.main()

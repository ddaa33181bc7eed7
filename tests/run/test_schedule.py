#!/usr/bin/env python3
"""Who does what, and who waits: ranks without a cell help, teams form of the ranks that are free, and
idle time is told. None of that may change a byte of the table."""

import json

import lib

# One cell, kernels of order 900: worth giving away.
ONE_CELL = """\
    data: {source: glyphs, train_sizes: [200], test_size: 200, probe_size: 90}
    model: {widths: [16]}
    training: {learning_rate: 0.05, max_steps: 500}
    seeds: [0]
    measure: {kernels: [traced, full], steps_per_decade: 4, solver: lapack, team_size: 1}
    """

# The same of a convolutional network, and of kernels that two ranks share.
CNN = (
    ONE_CELL.replace("widths: [16]", "kind: cnn, widths: [3], depths: [1], stages: [1, 1]")
    .replace("probe_size: 90", "probe_size: 40")
    .replace("max_steps: 500", "max_steps: 60")
)
CNN_TEAMS = CNN.replace("solver: lapack, team_size: 1", "solver: scalapack, team_size: 2")

# Five cells, each of whose kernels two ranks share.
TEAMS = """\
    data: {source: glyphs, train_sizes: [100], test_size: 200, probe_size: 20}
    model: {widths: [8, 12, 16, 20, 24]}
    training: {learning_rate: 0.05, max_steps: 100}
    seeds: [0]
    measure: {kernels: [traced, full], steps_per_decade: 1, solver: scalapack, team_size: 2}
    """

_folder = lib.scratch("schedule")


def results(name, text, ranks):
    """Results folder of that run; runs once."""
    out = _folder / f"{name}-{ranks}"
    if not out.exists():
        lib.run_study(text, out, ranks=ranks)
    return out


def timings(out):
    """[(cell, phase, rank, seconds)]"""
    lines = (out / "timings.csv").read_text().splitlines()[1:]
    return [(cell, phase, int(rank), float(s)) for cell, phase, rank, s, _ in (x.split(",") for x in lines)]


def kernels_are_given_away(name, text):
    alone = results(name, text, 1)
    shared = results(name, text, 3)
    lib.check_same_bytes(lib.table_text(shared), lib.table_text(alone), "results.csv of 3 ranks")
    trained = {rank for _, phase, rank, _ in timings(shared) if phase == "train"}
    measured = {rank for _, phase, rank, _ in timings(shared) if phase == "gram"}
    lib.check_equal(len(trained), 1, "ranks that trained the cell")
    lib.check(len(measured) > 1, f"only ranks {measured} measured kernels")


@lib.case
def ranks_without_a_cell_measure_kernels_of_another():
    kernels_are_given_away("one", ONE_CELL)


@lib.case
def the_first_kernels_are_given_away():
    """Two states of one network, three ranks: who trains solves nothing, if the others sleep by then."""
    text = ONE_CELL.replace("kernels: [traced, full], steps_per_decade: 4", "kernels: [full], steps_per_decade: 0")
    text = text.replace("max_steps: 500", "max_steps: 3")
    for turn in range(5):
        told = timings(results(f"first-{turn}", text, 3))
        trained = {rank for _, phase, rank, _ in told if phase == "train"}
        solved = {rank for _, phase, rank, _ in told if phase == "solve"}
        if trained.isdisjoint(solved):
            return
    lib.check(False, f"rank {trained} trained, and ranks {solved} solved")


@lib.case
def kernels_of_convolutional_networks_are_given_away():
    kernels_are_given_away("cnn", CNN)


@lib.case
def kernels_to_be_kept_stay_with_their_cell():
    text = ONE_CELL + "output: {kernels: true}\n"
    out = results("kept", text.replace("steps_per_decade: 4", "steps_per_decade: 1"), 2)
    measured = {rank for _, phase, rank, _ in timings(out) if phase == "gram"}
    lib.check_equal(len(measured), 1, "ranks that measured kernels")


@lib.case
def any_free_ranks_form_a_team():
    reference = lib.table_text(results("teams", TEAMS, 2))
    for ranks in (3, 5):
        text = lib.table_text(results("teams", TEAMS, ranks))
        lib.check_same_bytes(text, reference, f"results.csv of {ranks} ranks in teams of two")


def states_go_to_teams(name, text, ranks):
    alone = results(name, text, 2)
    shared = results(name, text, ranks)
    lib.check_same_bytes(lib.table_text(shared), lib.table_text(alone), f"results.csv of {ranks} ranks")
    leaders = {rank for _, phase, rank, _ in timings(shared) if phase == "solve"}
    lib.check(len(leaders) > 1, f"only the team of ranks {leaders} measured kernels")


@lib.case
def teams_share_the_states_of_one_cell():
    one = TEAMS.replace("[8, 12, 16, 20, 24]", "[12]")
    states_go_to_teams("states", one.replace("steps_per_decade: 1", "steps_per_decade: 4"), 5)


@lib.case
def teams_share_the_states_of_a_convolutional_network():
    states_go_to_teams("cnn-states", CNN_TEAMS, 4)


@lib.case
def idle_time_is_told():
    out = _folder / "told"
    study = lib.write_study(_folder, TEAMS, "told.yaml")
    said = lib.run(["run", study, "-o", out], ranks=3).stderr
    idle = [entry for entry in timings(out) if entry[1] == "idle"]
    lib.check_equal(sorted(rank for _, _, rank, _ in idle), [0, 1, 2], "ranks that told idle time")
    lib.check_equal({cell for cell, *_ in idle}, {"-"}, "their cell")
    lib.check(all(seconds >= 0 for *_, seconds in idle), f"idle times {idle}")
    lib.check("% of rank time" in said, f"no idle time in the closing summary:\n{said}")
    end = dict(word.split("=", 1) for word in lib.log_events(out, "end")[0].split() if "=" in word)
    share = 100 * sum(seconds for *_, seconds in idle) / (3 * float(end["seconds"]))
    lib.check_close(end["idle_percent"], share, 0.02 + 1e-3 * share, "idle_percent of the log")


@lib.case
def readers_of_timings_pass_over_idle_lines():
    out = results("teams", TEAMS, 3)
    cells = sum(seconds for cell, *_, seconds in timings(out) if cell != "-")
    status = json.loads(lib.run(["status", out, "--json"]).stdout)
    lib.check_close(status["spent_seconds"], cells, 1e-3, "seconds that status adds up")
    study = _folder / "teams-3.yaml"
    lib.run(["plan", study, "--timings", out / "timings.csv", "--ranks", 3])
    merged = _folder / "merged"
    lib.run(["merge", out, "-o", merged])
    lib.check_same_bytes(lib.table_text(merged), lib.table_text(out), "the merged table")
    lib.check("-" not in {cell for cell, *_ in timings(merged)}, "idle lines of no cell were merged")


lib.main()

"""Broken study files and command lines: exit code 2, one line that says where and what, no traces."""

import lib

FINE = """\
    data:
      source: glyphs
      train_sizes: [100]
      test_size: 100
      probe_size: 10
    model:
      widths: [8]
    training:
      max_steps: 5
    measure:
      kernels: [traced]
    """


def refused(arguments, phrase, ranks=None):
    """One line with the phrase, exit code 2, and no results folder."""
    out = lib.scratch("refused") / "out"
    result = lib.run([str(a).replace("DIR", str(out)) for a in arguments], ranks, expect=2)
    line = lib.only_complaint(result, ranks)
    lib.check(phrase in line, f"'{line}' does not say '{phrase}'")
    lib.check(not out.exists(), f"{out} was written although the study was refused")
    return line


def broken_file(path, ranks=None):
    first = path.read_text().splitlines()[0]
    line, column, phrase = first.removeprefix("# expect: ").split(":", 2)
    told = refused(["run", path, "-o", "DIR"], phrase.strip(), ranks)
    start = f"ntklens: {path}:{line}:{column}:"
    lib.check(told.startswith(start), f"'{told}' does not begin with '{start}'")


def add_broken_files():
    files = sorted((lib.HERE / "broken").glob("*.yaml"))
    for path in files:
        lib.add(f"broken/{path.name}", broken_file, path)
    lib.add(f"broken/{files[0].name} on 2 ranks", broken_file, files[0], 2)


@lib.case
def there_are_at_least_20_broken_files():
    count = len(list((lib.HERE / "broken").glob("*.yaml")))
    lib.check(count >= 20, f"{count} broken study files, expected 20 or more")


@lib.case
def the_study_that_others_are_broken_from_runs():
    lib.run_study(FINE, lib.scratch("fine") / "out")


add_broken_files()


@lib.case
def a_study_file_that_is_not_there():
    missing = lib.scratch("missing") / "nowhere.yaml"
    refused(["run", missing, "-o", "DIR"], str(missing))
    refused(["run", missing, "-o", "DIR"], str(missing), ranks=2)


@lib.case
def command_lines():
    study = lib.write_study(lib.scratch("lines"), FINE)
    refused(["walk", study, "-o", "DIR"], "walk")
    refused(["run", study, "-o", "DIR", "--fast"], "--fast")
    refused(["run", study], "-o DIR")
    refused(["run", study, "-o"], "-o")
    refused(["run", "-o", "DIR"], "study file")
    refused(["run", study, study, "-o", "DIR"], "more than one study file")
    refused(["run", study, "-o", "DIR", "--max-time", "soon"], "--max-time")
    refused(["keys", study], str(study))
    refused(["run", study], "-o DIR", ranks=2)


@lib.case
def overrides_are_checked_as_the_file_is():
    study = lib.write_study(lib.scratch("sets"), FINE)

    def refused_set(text, phrase):
        line = refused(["run", study, "-o", "DIR", "--set", text], phrase)
        lib.check(f"--set {text}" in line, f"'{line}' does not name --set {text}")

    refused_set("training.learning_rate=fast", "a number above 0")
    refused_set("training.learning_rate=0", "out of range")
    refused_set("training.learnin_rate=0.1", "did you mean training.learning_rate?")
    refused_set("training.learning_rate", "key=value was expected")
    refused_set("model.widths=[8, 8]", "repeated")
    refused_set("training.optimizer=sdg", "did you mean sgd?")


@lib.case
def more_images_than_there_are():
    study = lib.write_study(lib.scratch("sizes"), FINE)
    size = "data.train_sizes=[100, 20001]"
    for ranks in (None, 2):
        line = refused(["run", study, "-o", "DIR", "--set", size], "data.train_sizes", ranks)
        lib.check("20001" in line and "20000" in line, f"'{line}' lacks both numbers")
    refused(["run", study, "-o", "DIR", "--set", "data.test_size=4991"], "data.test_size 4991")


@lib.case
def all_errors_are_told_at_once_in_order():
    folder = lib.scratch("several")
    study = lib.write_study(
        folder,
        """\
        data:
          source: glyps
          train_sizes: [100]
          colour: red
        model:
          widths: [8]
          depths: 2.5
        training:
          learning_rate: -1
        """,
    )
    for ranks in (None, 2):
        result = lib.run(["run", study, "-o", folder / "out"], ranks, expect=2)
        told = [line.removeprefix(f"ntklens: {study}:") for line in lib.complaints(result)]
        places = [":".join(line.split(":")[:2]) for line in told]
        lib.check_equal(places, ["2:11", "4:3", "7:11", "9:18"], "places of four errors")
        lib.check(not (folder / "out").exists(), "a results folder was written")


lib.main()

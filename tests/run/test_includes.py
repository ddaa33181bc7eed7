"""The rooms of ARCHITECTURE.md: includes point downward only, numerics do without MPI, and the
top-level folders are those and no others."""

import re
import subprocess

import lib

# Rooms of one line are siblings and do not include each other.
FLOORS = [
    ["app"],
    ["study"],
    ["fit", "ntk"],
    ["nn", "linalg", "data"],
    ["io", "par"],
    ["base"],
]
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
# Public headers are named after their room, but for these.
ROOM_OF_HEADER = {"factors": "ntk", "jacobian": "ntk", "observables": "ntk", "blas": "base", "formats": "base"}
TOP_FOLDERS = {"src", "include", "jobs", "configs", "tests", "tools"}
WITHOUT_MPI = ["src/nn/*.[ch]", "src/ntk/factors*.[ch]", "include/ntklens/factors.h",
               "src/ntk/jacobian.c", "include/ntklens/jacobian.h"]  # fmt: skip

# A TEMPLATE is what formats.h includes.
INCLUDE = re.compile(r'^\s*#\s*(?:include|define TEMPLATE)\s*(["<])([^">]+)[">]', re.MULTILINE)


def room_of(path):
    """Room of a file below src/ or include/ntklens/, by its path from the root."""
    if path.parts[0] == "src":
        return path.parts[1]
    return ROOM_OF_HEADER.get(path.stem, path.stem)


def includes(path):
    """[(kind, name)]: kind is a quote or an angle."""
    return INCLUDE.findall(path.read_text())


def resolve(path, name):
    """The file of the project that an include means, None: not ours."""
    for candidate in (lib.ROOT / "include" / name, path.parent / name, lib.ROOT / "src" / name):
        if candidate.is_file():
            return candidate.resolve()
    return None


def sources():
    files = [*lib.ROOT.glob("src/**/*.[ch]"), *lib.ROOT.glob("include/**/*.h")]
    lib.check(len(files) > 50, f"only {len(files)} sources found below {lib.ROOT}")
    return files


def below(room, other):
    """May `room` include a header of `other`?"""
    return room == other or LEVEL[other] > LEVEL[room]


@lib.case
def the_rule_itself():
    lib.check(below("study", "ntk") and below("app", "base") and below("nn", "nn"), "too strict")
    for room, other in (("ntk", "study"), ("nn", "data"), ("fit", "ntk"), ("base", "io")):
        lib.check(not below(room, other), f"{room} may include {other}")


@lib.case
def every_file_is_in_a_room():
    for path in sources():
        relative = path.relative_to(lib.ROOT)
        lib.check(room_of(relative) in LEVEL, f"{relative}: its room is none of {sorted(LEVEL)}")
        if relative.parts[0] == "include":
            lib.check(relative.parts[1] == "ntklens", f"{relative}: belongs below include/ntklens")


@lib.case
def includes_point_downward():
    wrong = []
    for path in sources():
        relative = path.relative_to(lib.ROOT)
        for kind, name in includes(path):
            target = resolve(path, name)
            if target is None:
                if kind == '"':
                    wrong.append(f"{relative}: {name} is not there")
                continue
            other = target.relative_to(lib.ROOT)
            if not below(room_of(relative), room_of(other)):
                wrong.append(f"{relative} includes {other}")
            if other.parts[0] == "src" and room_of(relative) != room_of(other):
                wrong.append(f"{relative} includes {other}, which is private to its room")
    lib.check(not wrong, "; ".join(wrong))


def closure(start):
    """All project headers that a file includes, directly or not, and itself: {file: how}."""
    found, todo = {start: start.name}, [start]
    while todo:
        path = todo.pop()
        for _, name in includes(path):
            target = resolve(path, name)
            if target is not None and target not in found:
                found[target] = f"{found[path]} > {name}"
                todo.append(target)
    return found


@lib.case
def numerics_do_without_mpi():
    starts = [path for pattern in WITHOUT_MPI for path in lib.ROOT.glob(pattern)]
    lib.check(len(starts) > 5, f"only {len(starts)} files found that are to do without MPI")
    for start in starts:
        for path, how in closure(start.resolve()).items():
            names = {name for _, name in includes(path)}
            lib.check("mpi.h" not in names, f"{start.relative_to(lib.ROOT)}: {how} > <mpi.h>")
    par = lib.ROOT / "include" / "ntklens" / "par.h"
    lib.check("mpi.h" in {name for _, name in includes(par)}, "par.h does not show <mpi.h> either")


@lib.case
def top_level_folders():
    try:  # what is tracked, where this is a checkout: people keep folders of their own
        listed = subprocess.run(["git", "-C", lib.ROOT, "ls-files"], capture_output=True, text=True,
                                check=True).stdout.splitlines()  # fmt: skip
        found = {line.split("/")[0] for line in listed if "/" in line}
    except (OSError, subprocess.CalledProcessError):
        ignored = {line.strip("/") for line in (lib.ROOT / ".gitignore").read_text().splitlines()}
        found = {path.name for path in lib.ROOT.iterdir() if path.is_dir()} - ignored
    found = {name for name in found if not name.startswith((".", "build"))}
    lib.check_equal(found, TOP_FOLDERS, "top-level folders")


lib.main()

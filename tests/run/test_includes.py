"""The rooms of ARCHITECTURE.md: includes point downward only, no circles, private headers belong to
one source, no room and no file outgrows its size, keys of the study file are read in one room,
numerics do without MPI, and the top-level folders are those and no others."""

import re
import subprocess

import lib

# Rooms of one line are siblings and do not include each other.
FLOORS = [
    ["app"],
    ["run"],
    ["plan"],
    ["report", "measure", "train"],
    ["results"],
    ["study", "large"],
    ["ntk", "machine", "fit"],
    ["nn", "data", "eigen"],
    ["linalg"],
    ["io", "par"],
    ["base"],
]
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
# Public headers are named after their room, but for these.
ROOM_OF_HEADER = {
    "blas": "linalg",
    "cell_files": "results",
    "csv": "io",
    "factors": "ntk",
    "dual": "large",
    "folder": "results",
    "h5_arrays": "io",
    "formats": "linalg",
    "gradients": "large",
    "fortran": "linalg",
    "jacobian": "ntk",
    "passes": "nn",
    "json": "io",
    "kernel_operator": "large",
    "keys": "study",
    "observables": "ntk",
    "quadrature": "eigen",
    "record": "results",
    "rows": "results",
    "splits": "data",
    "board": "par",
    "crew": "par",
}
MOST_OF_A_ROOM = 0.12  # of the lines of src
MOST_OF_A_FILE = 600
TOP_FOLDERS = {"src", "include", "jobs", "configs", "tests", "tools"}
WITHOUT_MPI = ["src/nn/*.[ch]", "src/ntk/factors*.[ch]", "include/ntklens/factors.h",
               "src/ntk/jacobian*.[ch]", "include/ntklens/jacobian.h"]  # fmt: skip

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
    for room, other in (("ntk", "study"), ("nn", "data"), ("fit", "ntk"), ("base", "io"),
                        ("study", "results"), ("plan", "run"), ("train", "measure")):  # fmt: skip
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


# Names that other sources may use: functions and objects.
FUNCTION = re.compile(r"^(?!static\b|typedef\b)\w[\w \t*]*?\b(nl_\w+)\([^;{]*?\)\s*\{", re.MULTILINE)
OBJECT = re.compile(r"^(?!static\b|typedef\b|extern\b)\w[\w \t*]*?\b(nl_\w+)(?:\[[^\]]*\])*\s*=", re.MULTILINE)
PROTOTYPE = re.compile(r"^(?!static\b|typedef\b)\w[\w \t*]*?\b(nl_\w+)\([^;{]*\)[^;{]*;", re.MULTILINE)


def code_of(path):
    """A file without comments and texts, line by line."""
    pattern = r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"'
    return re.sub(pattern, lambda m: "\n" * m.group().count("\n"), path.read_text(), flags=re.DOTALL)


def code_of_sources():
    return {path: code_of(path) for path in lib.ROOT.glob("src/**/*.c")}


def definitions(code):
    """{name: file} of what other sources may use."""
    return {name: path for path, text in code.items()
            for name in [*FUNCTION.findall(text), *OBJECT.findall(text)]}  # fmt: skip


def own_headers(path):
    """[(name, header)] of the private headers that a file includes."""
    found = [(name, resolve(path, name)) for _, name in includes(path)]
    return [(name, header) for name, header in found if header and (lib.ROOT / "src") in header.parents]


def uses(code):
    """{file: {file: why}}: a source uses what another one defines, and that one's private header."""
    defined = definitions(code)
    graph = {path: {} for path in code}
    for path, text in code.items():
        others = {defined.get(name, path): name for name in re.findall(r"\bnl_\w+", text)}
        mine = path.with_suffix(".h")
        for at in [path, mine] if mine.exists() else [path]:
            others |= {header.with_suffix(".c"): f'"{name}"' for name, header in own_headers(at)}
        graph[path] = {other: why for other, why in others.items() if other != path and other in code}
    return graph


def circle(graph):
    """[file, ..., the same file], None where there is none."""
    done = set()

    def visit(way):
        for other in sorted(graph.get(way[-1], {})):
            if other in way:
                return [*way[way.index(other) :], other]
            found = visit([*way, other]) if other not in done else None
            if found:
                return found
        done.add(way[-1])
        return None

    return next(filter(None, (visit([path]) for path in sorted(graph) if path not in done)), None)


@lib.case
def sources_use_each_other_one_way():
    lib.check(circle({"a": {"b": 0}, "b": {"c": 0}, "c": {"b": 0}}) == ["b", "c", "b"], "blind")
    lib.check(circle({"a": {"b": 0, "c": 0}, "b": {"c": 0}}) is None, "sees circles everywhere")
    code = code_of_sources()
    lib.check(len(definitions(code)) > 400, f"only {len(definitions(code))} definitions found")
    graph = uses(code)
    found = circle(graph) or []
    why = [f"{a.relative_to(lib.ROOT)} uses {graph[a][b]} of {b.relative_to(lib.ROOT)}"
           for a, b in zip(found, found[1:])]  # fmt: skip
    lib.check(not found, "circle: " + "; ".join(why))


@lib.case
def private_headers_belong_to_one_source():
    defined = definitions(code_of_sources())
    wrong = []
    for header in lib.ROOT.glob("src/**/*.h"):
        for name in PROTOTYPE.findall(code_of(header)):
            source = defined.get(name, header.with_suffix(".c"))
            if source != header.with_suffix(".c"):
                wrong.append(f"{header.relative_to(lib.ROOT)} declares {name} of {source.name}")
    lib.check(not wrong, "; ".join(wrong))


@lib.case
def rooms_and_files_stay_small():
    lines = {path: len(path.read_text().splitlines()) for path in lib.ROOT.glob("src/**/*.[ch]")}
    for path, count in lines.items():
        lib.check(count <= MOST_OF_A_FILE, f"{path.relative_to(lib.ROOT)}: {count} lines")
    for room in LEVEL:
        own = sum(count for path, count in lines.items() if path.parent.name == room)
        share = own / sum(lines.values())
        lib.check(share <= MOST_OF_A_ROOM, f"src/{room}: {100 * share:.1f} % of all lines")


@lib.case
def keys_are_read_in_one_room():
    wrong = [str(path.relative_to(lib.ROOT)) for path in sorted(lib.ROOT.glob("src/**/*.[ch]"))
             if path.parent.name != "study" and re.search(r"\bNL_KEY_", path.read_text())]  # fmt: skip
    lib.check(not wrong, "keys outside of src/study: " + ", ".join(wrong))


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
def architecture_names_what_is_there():
    text = (lib.ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"\b([a-z]+/[a-z0-9_]+\.[ch])\b", text))
    gone = sorted(name for name in named if name.split("/")[0] in LEVEL and not (lib.ROOT / "src" / name).is_file())
    lib.check(not gone, f"not there: {gone}")
    rooms = dict(re.findall(r"\*\*([a-z]+)\*\* ((?:(?!\*\*).)+)", text.split("## Map")[1].split("\n## ")[0], re.DOTALL))
    for path in lib.ROOT.glob("src/*/*.c"):
        words = re.findall(r"`([a-z0-9_*]+)", rooms.get(path.parent.name, ""))
        found = any(word == path.stem or word.endswith("*") and path.stem.startswith(word[:-1]) for word in words)
        lib.check(found, f"{path.parent.name}/{path.name} is not in the map of ARCHITECTURE.md")


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

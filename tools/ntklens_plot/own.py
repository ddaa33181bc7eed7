"""Files of a report: what others wrote there is not replaced, and no link is followed."""

import os
import secrets

MARK = "ntklens-plot"  # in the metadata of every figure
PAGE = '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport"'  # from the first version on


class Foreign(Exception):
    """A file that would be replaced, and is not ours."""

    def __init__(self, path):
        super().__init__(f"{path}: was not written by ntklens-plot, which would replace it; move it away")


def check_folder(folder):
    """A folder that is a link must be one of our own, or root's."""
    if folder.is_symlink() and folder.lstat().st_uid not in (os.geteuid(), 0):
        raise Foreign(folder)


def check(folder, names):
    """Before anything is written: report.html and the figures of these names."""
    check_folder(folder)
    page = folder / "report.html"
    has_page = _begins_with(page, PAGE)
    if os.path.lexists(page) and not has_page:
        raise Foreign(page)
    for path in sorted(folder.iterdir()):
        stem = path.stem.rsplit("-", 1)[0]
        figure = path.suffix in (".png", ".svg") and (path.stem in names or stem in names)
        # Figures of older versions have no mark: the page beside them speaks for them.
        if figure and not has_page and not _begins_with(path, MARK, anywhere=True):
            raise Foreign(path)


def _begins_with(path, text, anywhere=False):
    if path.is_symlink() or not path.is_file():
        return False
    with open(path, "rb") as file:
        start = file.read(4096)
    return text.encode() in start if anywhere else start.startswith(text.encode())


def write(path, content):
    """All or nothing, as a new file under a name that nobody can have made before."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        with open(file, "wb") as stream:
            stream.write(content)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise

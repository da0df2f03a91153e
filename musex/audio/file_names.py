"""Where outputs, plans and pages go unless told otherwise, and where the song of a plan is."""

from pathlib import Path

from musex.audio.formats import FORMATS, LOSSLESS_CODECS
from musex.audio.reading import LOSSLESS_SUFFIXES
from musex.audio.tags import read_source
from musex.errors import MusexError
from musex.plans import Plan
from musex.system.side_files import name_beside
from musex.system.stores import is_stored, place_of

CONTAINER_SUFFIXES = (".caf", ".mka", ".mkv", ".mov", ".mp4")  # of what is lossless or not
RELATED_SUFFIXES = {".oga": ".ogg", ".m4b": ".m4a", ".aifc": ".aiff"}  # of formats that are written by another name


def number_path(path: str | Path, number: int) -> Path:
    """`<stem>-<number>.<ext>`: where the variation of that number goes."""
    path = place_of(path)
    return name_beside(path, f"-{number}{path.suffix}")


def default_output(song_path: str | Path) -> Path:
    """`<stem>-extended.<ext>` beside the song; where its own format is not written, wav for a lossless one or mp3."""
    path = place_of(song_path)
    suffix = RELATED_SUFFIXES.get(path.suffix.lower(), path.suffix)
    if suffix.lower() not in FORMATS:
        lossless = suffix.lower() in LOSSLESS_SUFFIXES
        if suffix.lower() in CONTAINER_SUFFIXES and not is_stored(path):  # which is not fetched for that
            lossless = read_source(path).codec.startswith(LOSSLESS_CODECS)
        suffix = ".wav" if lossless else ".mp3"
    return name_beside(path, f"-extended{suffix}")


def default_page(output: str | Path) -> Path:
    """`<stem>-report.html` beside an output or a plan."""
    return name_beside(output, "-report.html")


def find_song(plan: Plan, plan_path: Path) -> Path:
    """Where the song of a plan file is, from here or from the plan's folder; MusexError if it came from no file."""
    name = plan.song.path
    if name is None:
        raise MusexError(f"{plan_path} was made from an array: name the song with `song_path=`")
    path = Path(name)
    beside = plan_path.parent / path
    return beside if not path.exists() and beside.exists() else path

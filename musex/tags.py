"""What an output takes over from the song's file besides its samples: tags, cover and class of bit rate."""

import base64
import re
import struct
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from musex.audio import Song, ffmpeg, local_input
from musex.formats import FORMATS

# Tags that are wrong for a longer song, or that belong to the source's container rather than to the music.
DROPPED_TAGS = re.compile(
    r"replaygain_.*|r128_.*|loop_?(start|length|end)|itun(smpb|norm)|tlen|length|duration|cuesheet|encoder|encoded_by|"
    r"major_brand|minor_version|compatible_brands|creation_time|handler_name|vendor_id|language|id3v2_priv.*|"
    r"wmfsdk.*|metadata_block_picture|coverart(mime)?",
    re.IGNORECASE,
)
LONGEST_TAG = 8_000  # characters: tags travel on ffmpeg's command line


PICTURES = {"mjpeg": "image/jpeg", "png": "image/png"}  # MIME types by ffmpeg's names
FRONT_COVER = 3  # its number among the kinds of pictures of ID3, FLAC and Ogg


@dataclass(frozen=True)
class Source:
    """What an output takes over from the song's file besides its samples."""

    tags: dict[str, str] = field(default_factory=dict)
    cover: str | None = None  # ffmpeg's index of the picture's stream
    bit_rate: int | None = None  # kb/s
    cover_type: str = ""  # its MIME type
    codec: str = ""  # as ffmpeg names it
    by_musex: bool = False  # a tag says that musex made it


def read_source(path: Path | None) -> Source:
    """Ask ffmpeg for the tags, cover and bit rate of the song's file; nothing where it cannot say."""
    if path is None or not path.is_file():
        return Source()
    command = [ffmpeg(), "-nostdin", "-hide_banner", "-nostats", *local_input(path)]
    command += ["-map", "0:a:0", "-map_chapters", "-1", "-c", "copy", "-t", "0", "-f", "ffmetadata", "pipe:1"]
    answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    text, log = answer.stdout.decode(errors="replace"), answer.stderr.decode(errors="replace")
    tags: dict[str, str] = {}
    for key, value in re.findall(r"^((?:\\.|[^=\\\n])+)=((?:\\.|[^\\\n])*)$", text, re.MULTILINE | re.DOTALL):
        key, value = (re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in (key, value))
        if not DROPPED_TAGS.fullmatch(key) and len(value) <= LONGEST_TAG:
            tags.setdefault(key, value)  # the file's own come before those of its streams
    streams = log.split("Stream mapping", 1)[0]
    cover = re.search(r"Stream #0:(\d+)\S* Video: (mjpeg|png)\b.*\(attached pic\)", streams)
    audio = re.search(r"Stream #0:\S+ Audio: (?:mp3|vorbis|aac|wma)\b.*?(\d+) kb/s", streams)
    rate = int(audio[1]) if audio else None
    codec = next(iter(re.findall(r"Stream #0:\S+ Audio: (\w+)", streams)), "")
    by_musex = re.search(r"^(encoded[_-]by|comment)=musex ", text, re.MULTILINE | re.IGNORECASE) is not None
    return Source(tags, cover[1] if cover else None, rate, PICTURES[cover[2]] if cover else "", codec, by_musex)


def tag_arguments(
    suffix: str, song: Song, source: Source, folder: Path, *, title_suffix: str | None, notes: list[str]
) -> list[str]:
    """What ffmpeg is told of inputs, streams and tags; what is too long for its command line goes to `folder`."""
    arguments = ["-map", "0:a", "-map_chapters", "-1"]
    if source.cover is None or song.path is None:
        arguments += ["-map_metadata", "-1"]
    elif FORMATS[suffix].cover:
        picture = ["-map", f"1:{source.cover}", "-c:v", "copy", "-disposition:v", "attached_pic"]
        picture += ["-map_metadata", "-1", "-metadata:s:v", "comment=Cover (front)"]
        arguments = [*local_input(song.path), *arguments, *picture]
    elif suffix in (".ogg", ".opus"):  # they keep pictures among their tags
        block = picture_block(read_cover(song.path, source.cover), source.cover_type)
        file = folder / "picture.txt"
        escaped = base64.b64encode(block).decode().replace("=", "\\=")
        file.write_text(f";FFMETADATA1\nMETADATA_BLOCK_PICTURE={escaped}\n", encoding="utf-8")
        arguments = ["-f", "ffmetadata", "-i", f"file:{file}", *arguments, "-map_metadata", "1"]
    else:
        arguments += ["-map_metadata", "-1"]
        notes.append(f"{suffix[1:]} files are written without a cover picture: left out")
    for key, value in source.tags.items():
        suffixed = value + title_suffix if title_suffix and key.lower() == "title" else value
        arguments += ["-metadata", f"{key}={suffixed}"]
    return arguments


def read_cover(path: Path, stream: str) -> bytes:
    """The picture of a song's file, as it is."""
    command = [ffmpeg(), "-nostdin", "-hide_banner", "-loglevel", "error", *local_input(path), "-map", f"0:{stream}"]
    command += ["-c:v", "copy", "-frames:v", "1", "-f", "image2pipe", "pipe:1"]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).stdout


def picture_block(picture: bytes, mime_type: str) -> bytes:
    """A front cover as FLAC and Ogg keep it (RFC 9639, 8.8), its size in pixels left unsaid."""
    kind = mime_type.encode()
    head = struct.pack(">II", FRONT_COVER, len(kind)) + kind
    return head + struct.pack(">IIIIII", 0, 0, 0, 0, 0, len(picture)) + picture

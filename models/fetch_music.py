"""Build the training set: free music out of Debian's packages, one folder per package.

    python models/fetch_music.py MUSIC/            # training and validation packages
    python models/fetch_music.py MUSIC/ --set evaluation

Needs `apt-get`, `dpkg-deb` and, for tracker modules, `openmpt123`. Each package is downloaded, the music inside it
(also inside .zip and .pk3 archives) is copied to `MUSIC/PACKAGE/`, tracker modules are rendered to FLAC, and the
package's copyright file is kept beside the tracks. Files shorter than 30 s, near-silent ones, sound effects and
speech (by folder name) and second copies of a recording are left out.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import soundfile

TRAINING_PACKAGES = (
    "0ad-data",
    "asc-music",
    "blobwars-data",
    "boswars-data",
    "brainparty-data",
    "btanks-data",
    "bzflag-data",
    "caveexpress-data",
    "drascula-music",
    "endless-sky-data",
    "extremetuxracer-data",
    "freedink-data",
    "freedroidrpg-data",
    "freeorion-data",
    "fretsonfire-songs-muldjord",
    "garden-of-coloured-lights-data",
    "gigalomania-data",
    "glob2-data",
    "hedgewars-data",
    "hyperrogue-music",
    "kobodeluxe-data",
    "lbreakouthd-data",
    "lordsawar-data",
    "lugaru-data",
    "megaglest-data",
    "meritous-data",
    "mu-cade-data",
    "naev-data",
    "netpanzer-data",
    "neverball-data",
    "nexuiz-music",
    "openarena-data",
    "opencity-data",
    "openclonk-data",
    "parsec47-data",
    "pax-britannica-data",
    "pekka-kana-2-data",
    "pink-pony-data",
    "planetblupi-music-ogg",
    "raincat-data",
    "redeclipse-data",
    "ri-li-data",
    "scorched3d-data",
    "singularity-music",
    "supertux-data",
    "supertuxkart-data",
    "tecnoballz-data",
    "teeworlds-data",
    "titanion-data",
    "tomatoes-data",
    "torcs-data",
    "torus-trooper-data",
    "trigger-rally-data",
    "tuxmath-data",
    "ufoai-music",
    "unknown-horizons",
    "warmux-data",
    "warzone2100-data",
    "warzone2100-music",
    "wesnoth-1.16-music",
    "widelands-data",
    "xblast-tnt-musics",
    "xmoto-data",
)
EVALUATION_PACKAGES = (
    "fillets-ng-data",
    "zaz-data",
    "trackballs-data",
    "pushover-data",
    "frozen-bubble-data",
    "lincity-ng-data",
)

# Recordings that are also in another package, in part and so unseen by the fingerprint (found by find_copies.py).
COPIES = {"megaglest-data": ("romans",)}  # "Legends of the North" of wesnoth-1.16-music

AUDIO_SUFFIXES = {".ogg", ".oga", ".mp3", ".flac", ".wav", ".opus", ".aif", ".aiff"}
MODULE_SUFFIXES = {".mod", ".xm", ".it", ".s3m"}
ARCHIVE_SUFFIXES = {".zip", ".pk3", ".pk4"}
NOT_MUSIC = {"voice", "voices", "speech", "sfx", "sounds", "effects", "vocals", "dialogue", "narration", "phonemes"}
MINIMUM_SECONDS = 30.0
SILENCE_DB = -60.0


def download(package: str, folder: Path) -> Path:
    """Download one .deb into `folder`, or reuse the one already there."""
    found = sorted(folder.glob(f"{package}_*.deb"))
    if not found:
        subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        found = sorted(folder.glob(f"{package}_*.deb"))
    return found[-1]


def unpack(deb: Path, folder: Path) -> None:
    """Unpack a .deb and every archive of audio inside it."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as tar:
        subprocess.run(["tar", "-x", "-C", str(folder)], stdin=tar.stdout, check=True)
    for archive in [path for path in folder.rglob("*") if path.suffix.lower() in ARCHIVE_SUFFIXES]:
        if not zipfile.is_zipfile(archive):
            continue
        target = archive.with_name(archive.name + ".unpacked")
        with zipfile.ZipFile(archive) as bundle:
            for name in bundle.namelist():
                if Path(name).suffix.lower() in AUDIO_SUFFIXES | MODULE_SUFFIXES:
                    bundle.extract(name, target)


def find_music(folder: Path) -> list[Path]:
    """Audio files and tracker modules below `folder` that are not in a folder of sounds or speech."""
    suffixes = AUDIO_SUFFIXES | MODULE_SUFFIXES
    candidates = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in suffixes and path.is_file()]
    kept = []
    for path in candidates:
        parts = {part.lower() for part in path.relative_to(folder).parts[:-1]}
        if not parts & NOT_MUSIC or parts & {"music", "musics"}:
            kept.append(path)
    return kept


def render_module(module: Path) -> Path | None:
    """Render a tracker module to FLAC with openmpt123; None if it is not one."""
    command = ["openmpt123", "--quiet", "--render", "--force", "--samplerate", "44100", "--repeat", "0"]
    rendered = module.with_name(module.name + ".flac")
    if subprocess.run([*command, "--output-type", "flac", str(module)], capture_output=True).returncode:
        return None
    return rendered if rendered.exists() else None


def fingerprint(samples: np.ndarray, sample_rate: int) -> str | None:
    """A digest of the coarse loudness contour, equal for copies of a recording; None if it is not music enough."""
    if len(samples) < MINIMUM_SECONDS * sample_rate:
        return None
    mono = samples.mean(axis=1)
    seconds = mono[: len(mono) // sample_rate * sample_rate].reshape(-1, sample_rate)
    level = 10 * np.log10(np.mean(seconds**2, axis=1) + 1e-12)
    if np.median(level) < SILENCE_DB:
        return None
    contour = np.round((level[2:28] - level[2:28].mean()) / 1.5).astype(int)
    return hashlib.sha256(contour.tobytes()).hexdigest()


def collect(package: str, debs: Path, music: Path, seen: set[str]) -> tuple[int, float]:
    """Put one package's music into `music/package`; return its number of tracks and their seconds."""
    target = music / package
    target.mkdir(parents=True, exist_ok=True)
    count, total = 0, 0.0
    with tempfile.TemporaryDirectory(dir=music) as name:
        folder = Path(name)
        unpack(download(package, debs), folder)
        for number, source in enumerate(find_music(folder)):
            if source.stem in COPIES.get(package, ()):
                continue
            is_module = source.suffix.lower() in MODULE_SUFFIXES
            path = render_module(source) if is_module else source
            if path is None:
                continue
            try:
                samples, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError:
                continue
            digest = fingerprint(samples, sample_rate)
            if digest is None or digest in seen:
                continue
            seen.add(digest)
            stem = "-".join(source.with_suffix("").parts[-2:]).replace(" ", "_")
            shutil.copyfile(path, target / f"{number:03d}-{stem}{path.suffix.lower()}")
            count, total = count + 1, total + len(samples) / sample_rate
        for notice in folder.glob(f"usr/share/doc/{package}/copyright"):
            shutil.copyfile(notice, target / "copyright")
    if not count:
        shutil.rmtree(target)
    return count, total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("music", type=Path, help="folder to fill, one sub-folder per package")
    parser.add_argument("--set", choices=("training", "evaluation"), default="training")
    parser.add_argument("--debs", type=Path, help="keep the downloaded packages here")
    arguments = parser.parse_args()
    music: Path = arguments.music
    debs: Path = arguments.debs or music / ".debs"
    debs.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    hours = 0.0
    for package in TRAINING_PACKAGES if arguments.set == "training" else EVALUATION_PACKAGES:
        try:
            count, seconds = collect(package, debs, music, seen)
        except (subprocess.CalledProcessError, IndexError) as error:
            print(f"{package}: left out ({error})", file=sys.stderr)
            continue
        hours += seconds / 3600
        print(f"{package:32s} {count:4d} tracks {seconds / 3600:6.2f} h", flush=True)
    print(f"{'all':32s} {hours:18.2f} h")


if __name__ == "__main__":
    main()

"""What the same tag is called: in Vorbis comments, in ID3, in MP4 and in the INFO list of wav.

As MusicBrainz Picard maps them: https://picard-docs.musicbrainz.org/en/appendices/tag_mapping.html
"""

# Vorbis comment, ID3v2.4 frame, MP4 atom, RIFF INFO chunk; empty where a family has none of its own.
_ROWS = (
    ("TITLE", "TIT2", "©nam", "INAM"),
    ("ARTIST", "TPE1", "©ART", "IART"),
    ("ALBUM", "TALB", "©alb", "IPRD"),
    ("ALBUMARTIST", "TPE2", "aART", ""),
    ("COMPOSER", "TCOM", "©wrt", "IMUS"),
    ("DATE", "TDRC", "©day", "ICRD"),
    ("ORIGINALDATE", "TDOR", "", ""),
    ("RELEASEDATE", "TDRL", "", ""),
    ("GENRE", "TCON", "©gen", "IGNR"),
    ("TRACKNUMBER", "TRCK", "trkn", "IPRT"),
    ("DISCNUMBER", "TPOS", "disk", ""),
    ("COMMENT", "COMM", "©cmt", "ICMT"),
    ("DESCRIPTION", "", "desc", ""),
    ("SYNOPSIS", "", "ldes", ""),
    ("LYRICS", "USLT", "©lyr", ""),
    ("BPM", "TBPM", "tmpo", ""),
    ("COMPILATION", "TCMP", "cpil", ""),
    ("GAPLESS", "", "pgap", ""),
    ("COPYRIGHT", "TCOP", "cprt", "ICOP"),
    ("ENCODEDBY", "TENC", "", "ITCH"),
    ("ENCODER", "TSSE", "©too", "ISFT"),
    ("GROUPING", "TIT1", "©grp", ""),
    ("SUBTITLE", "TIT3", "", "ISBJ"),
    ("DISCSUBTITLE", "TSST", "", ""),
    ("LYRICIST", "TEXT", "", "IWRI"),
    ("CONDUCTOR", "TPE3", "", ""),
    ("REMIXER", "TPE4", "", ""),
    ("LABEL", "TPUB", "", ""),
    ("ISRC", "TSRC", "", "ISRC"),
    ("LANGUAGE", "TLAN", "", "ILNG"),
    ("KEY", "TKEY", "", ""),
    ("MOOD", "TMOO", "", ""),
    ("MEDIA", "TMED", "", "IMED"),
    ("TITLESORT", "TSOT", "sonm", ""),
    ("ARTISTSORT", "TSOP", "soar", ""),
    ("ALBUMSORT", "TSOA", "soal", ""),
    ("ALBUMARTISTSORT", "TSO2", "soaa", ""),
    ("COMPOSERSORT", "TSOC", "soco", ""),
    ("ORIGINALARTIST", "TOPE", "", ""),
    ("ORIGINALALBUM", "TOAL", "", ""),
    ("ORIGINALFILENAME", "TOFN", "", ""),
    ("LICENSE", "WCOP", "", ""),
    ("WEBSITE", "WOAR", "", ""),
    ("MOVEMENTNAME", "MVNM", "©mvn", ""),
    ("WORK", "", "©wrk", ""),
    ("PODCASTURL", "", "purl", ""),
    ("CATEGORY", "", "catg", ""),
    ("KEYWORDS", "", "keyw", ""),
)
# As ID3's TXXX and MP4's "----" write them.
_WORDS = {
    "MUSICBRAINZ_TRACKID": "MusicBrainz Track Id",
    "MUSICBRAINZ_RELEASETRACKID": "MusicBrainz Release Track Id",
    "MUSICBRAINZ_ALBUMID": "MusicBrainz Album Id",
    "MUSICBRAINZ_ARTISTID": "MusicBrainz Artist Id",
    "MUSICBRAINZ_ALBUMARTISTID": "MusicBrainz Album Artist Id",
    "MUSICBRAINZ_RELEASEGROUPID": "MusicBrainz Release Group Id",
    "MUSICBRAINZ_WORKID": "MusicBrainz Work Id",
    "MUSICBRAINZ_DISCID": "MusicBrainz Disc Id",
    "RELEASETYPE": "MusicBrainz Album Type",
    "RELEASESTATUS": "MusicBrainz Album Status",
    "RELEASECOUNTRY": "MusicBrainz Album Release Country",
    "ACOUSTID_ID": "Acoustid Id",
    "ACOUSTID_FINGERPRINT": "Acoustid Fingerprint",
}
# Other spellings, of programs, of APE tags and of ffmpeg.
_SYNONYMS = {
    "ALBUM ARTIST": "ALBUMARTIST",
    "ALBUM_ARTIST": "ALBUMARTIST",
    "TOTALTRACKS": "TRACKTOTAL",
    "TOTALDISCS": "DISCTOTAL",
    "TRACK": "TRACKNUMBER",
    "DISC": "DISCNUMBER",
    "DISK": "DISCNUMBER",
    "YEAR": "DATE",
    "PUBLISHER": "LABEL",
    "ORGANIZATION": "LABEL",
    "UNSYNCEDLYRICS": "LYRICS",
    "UNSYNCED LYRICS": "LYRICS",
    "INITIALKEY": "KEY",
    "TEMPO": "BPM",
    "ENCODED BY": "ENCODEDBY",
    "ENCODED-BY": "ENCODEDBY",
    "ENCODED_BY": "ENCODEDBY",
    "TITLE-SORT": "TITLESORT",
    "ARTIST-SORT": "ARTISTSORT",
    "ALBUM-SORT": "ALBUMSORT",
}

ID3_FRAMES = {name: frame for name, frame, _, _ in _ROWS if frame}
MP4_ATOMS = {name: atom for name, _, atom, _ in _ROWS if atom}
INFO_CHUNKS = {name: chunk for name, _, _, chunk in _ROWS if chunk}
NAMES_OF_ID3 = {frame: name for name, frame in ID3_FRAMES.items()}
NAMES_OF_MP4 = {atom: name for name, atom in MP4_ATOMS.items()}
NAMES_OF_INFO = {chunk: name for name, chunk in INFO_CHUNKS.items()} | {"ITRK": "TRACKNUMBER"}
_DESCRIBED = ("COMMENT", "LYRICS")  # which may say after a colon what they are about
_KNOWN = {name for name, *_ in _ROWS} | _WORDS.keys() | set(_SYNONYMS.values())
_KNOWN |= {"PERFORMER", "PRODUCER", "ENGINEER", "ARRANGER", "MIXER", "DJMIXER", "ORIGINATOR"}
_NAMES_OF_WORDS = {words.upper(): name for name, words in _WORDS.items()}

# By the numbers of ID3v1, which ID3v2.3 writes as "(17)" and MP4 in the atom "gnre".
_GENRES = (
    "Blues;Classic Rock;Country;Dance;Disco;Funk;Grunge;Hip-Hop;Jazz;Metal;New Age;Oldies;Other;Pop;R&B;Rap;Reggae;"
    "Rock;Techno;Industrial;Alternative;Ska;Death Metal;Pranks;Soundtrack;Euro-Techno;Ambient;Trip-Hop;Vocal;Jazz+Funk;"
    "Fusion;Trance;Classical;Instrumental;Acid;House;Game;Sound Clip;Gospel;Noise;Alternative Rock;Bass;Soul;Punk;"
    "Space;Meditative;Instrumental Pop;Instrumental Rock;Ethnic;Gothic;Darkwave;Techno-Industrial;Electronic;Pop-Folk;"
    "Eurodance;Dream;Southern Rock;Comedy;Cult;Gangsta;Top 40;Christian Rap;Pop/Funk;Jungle;Native US;Cabaret;New Wave;"
    "Psychedelic;Rave;Showtunes;Trailer;Lo-Fi;Tribal;Acid Punk;Acid Jazz;Polka;Retro;Musical;Rock & Roll;Hard Rock"
)
GENRES = tuple(_GENRES.split(";"))


def name_of(words: str) -> str:
    """The name for a free one, of whatever family and spelling; one that is not known stays as it is written."""
    words = words.strip()
    upper = words.upper()
    field, _, description = words.partition(":")
    if description and field.upper() in _DESCRIBED:
        return f"{field.upper()}:{description}"
    return _NAMES_OF_WORDS.get(upper) or _SYNONYMS.get(upper) or (upper if upper in _KNOWN else words)


def words_of(name: str) -> str:
    """How ID3's TXXX and MP4's "----" write a name that has no field of its own there."""
    return _WORDS.get(name, name)


def genre_of(text: str) -> str:
    """A genre by its number, as "17" or "(17)"; anything else as it is."""
    number = text.strip().removeprefix("(").removesuffix(")")
    return GENRES[int(number)] if number.isdecimal() and int(number) < len(GENRES) else text

"""Names of files: what of a name is its extension, and which names may mean one file."""

from __future__ import annotations

import re
import unicodedata

_EXTENSIONS = """
    264 265 3g2 3ga 3gp 3gpp 669 722 8svx aa aac aax ac3 ac4 adts adx aif aifc aiff alac amr
    amv ape asf ast au avi awb bik caf cda dash divx dsf dts dtshd dv dvr-ms eac3 f4a f4v
    flac flv g722 g726 gif gsm gxf h264 h265 hevc ivf m1v m2a m2t m2ts m2v m3u m3u8 m4a m4b
    m4p m4r m4s m4v mj2 mjpeg mjpg mk3d mka mks mkv mlp mod mogg mov mp1 mp2 mp3 mp4 mpa mpc
    mpd mpe mpeg mpg mpga mpv mts mxf nut oga ogg ogm ogv ogx oma opus pcm qt ra ram raw rm
    rmvb s16 sbc shn snd spx sph swf tak thd thp tod truehd ts tta vob voc vox vqf w64 wav
    wave weba webm wma wmv wtv wv x264 x265 xa xvid y4m
"""
MEDIA_EXTENSIONS = frozenset(_EXTENSIONS.split())
"""Extensions of audio and video, in lower case."""

# An unknown one: short, begins with a letter, all in one case (`Intro` is a word), and more
# than a letter with a number (`v2`, `e01` tell parts of a series apart).
_LIKELY = re.compile(r"(?![A-Za-z]\d+$)(?:[a-z][a-z0-9]{0,4}|[A-Z][A-Z0-9]{0,4})")


def stem_of(name: str) -> str:
    """Return a file's name without its extension.

    A dot in a name begins an extension only if what follows looks like one:
    `1.1 Lesson name` and `talk.2024` have none.
    """
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem.strip("."):
        return name
    known = extension.lower() in MEDIA_EXTENSIONS
    return stem if known or _LIKELY.fullmatch(extension) else name


def folded(name: str) -> str:
    """Return what is left of a name where case and the way of writing accents don't count.

    So do macOS, Windows, and memory sticks.
    """
    composed = unicodedata.normalize("NFC", name).casefold()
    return unicodedata.normalize("NFC", composed)

"""The languages that Whisper-family models know, by code and by English name.

The list is that of openai/whisper (`whisper/tokenizer.py`, large-v3): 100 codes.
"""

from __future__ import annotations

from dataclasses import dataclass

_CODES = """
af afrikaans, am amharic, ar arabic, as assamese, az azerbaijani, ba bashkir, be belarusian,
bg bulgarian, bn bengali, bo tibetan, br breton, bs bosnian, ca catalan, cs czech, cy welsh,
da danish, de german, el greek, en english, es spanish, et estonian, eu basque, fa persian,
fi finnish, fo faroese, fr french, gl galician, gu gujarati, ha hausa, haw hawaiian, he hebrew,
hi hindi, hr croatian, ht haitian creole, hu hungarian, hy armenian, id indonesian, is icelandic,
it italian, ja japanese, jw javanese, ka georgian, kk kazakh, km khmer, kn kannada, ko korean,
la latin, lb luxembourgish, ln lingala, lo lao, lt lithuanian, lv latvian, mg malagasy, mi maori,
mk macedonian, ml malayalam, mn mongolian, mr marathi, ms malay, mt maltese, my myanmar,
ne nepali, nl dutch, nn nynorsk, no norwegian, oc occitan, pa punjabi, pl polish, ps pashto,
pt portuguese, ro romanian, ru russian, sa sanskrit, sd sindhi, si sinhala, sk slovak,
sl slovenian, sn shona, so somali, sq albanian, sr serbian, su sundanese, sv swedish, sw swahili,
ta tamil, te telugu, tg tajik, th thai, tk turkmen, tl tagalog, tr turkish, tt tatar,
uk ukrainian, ur urdu, uz uzbek, vi vietnamese, yi yiddish, yo yoruba, yue cantonese, zh chinese
"""

# Other names in common use, as openai/whisper accepts them.
_OTHER_NAMES = """
my burmese, ca valencian, nl flemish, ht haitian, lb letzeburgesch, ps pushto, pa panjabi,
ro moldavian, ro moldovan, si sinhalese, es castilian, zh mandarin
"""


def _pairs(listing: str) -> list[tuple[str, str]]:
    entries = (entry.split(maxsplit=1) for entry in listing.split(","))
    return [(code, name.strip()) for code, name in entries]


@dataclass(frozen=True, kw_only=True)
class Languages:
    by_code: dict[str, str]
    """Code → English name."""
    by_name: dict[str, str]
    """English name → code."""


LANGUAGES = Languages(
    by_code=dict(_pairs(_CODES)),
    by_name={name: code for code, name in _pairs(_CODES) + _pairs(_OTHER_NAMES)},
)

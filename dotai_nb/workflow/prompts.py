"""What we say to the model: Markdown templates, ours or the person's own."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dotai_nb.errors import SettingsError

if TYPE_CHECKING:
    from jinja2 import Environment, FileSystemLoader

    from dotai_nb.settings import Settings

NAMES = (
    "operate-system",
    "operate-user",
    "operate-refine",
    "operate-conclude",
    "validate-system",
    "validate-user",
)


class Prompts:
    """Renders templates; a folder of the person's own comes before the package's.

    Raises:
        SettingsError: `DOT_AI_PROMPTS_DIR` names no folder, or a template can't be rendered.
    """

    def __init__(self, settings: Settings) -> None:
        folders = [_shipped()]
        if settings.prompts_dir:
            own = Path(settings.prompts_dir).expanduser()
            if not own.is_dir():
                raise SettingsError(
                    f"DOT_AI_PROMPTS_DIR is {own}, which is not a folder.",
                    hint="Create it, or unset the variable to use the package's prompts.",
                )
            folders.insert(0, own)
        self._loader, self._environment = _environment(tuple(folders))

    def render(self, name: str, **values: Any) -> str:
        """The template `name` with its values; a missing value is an error, never an empty word."""
        from jinja2 import TemplateError

        try:
            return self._environment.get_template(f"{name}.md").render(**values).strip()
        except TemplateError as error:
            raise SettingsError(
                f"The prompt {name}.md can't be rendered: {error}.",
                hint="Correct it, or unset DOT_AI_PROMPTS_DIR.",
            ) from error

    def hashes(self) -> dict[str, str]:
        """SHA-256 of each template's text, by name."""
        return {
            name: hashlib.sha256(
                self._loader.get_source(self._environment, f"{name}.md")[0].encode()
            ).hexdigest()
            for name in NAMES
        }


@cache
def _environment(folders: tuple[Path, ...]) -> tuple[FileSystemLoader, Environment]:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # Markdown for a model is not HTML: escaping would change what the cluster said.
    loader = FileSystemLoader(folders)
    return loader, Environment(
        loader=loader,
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shipped() -> Path:
    """Inside the wheel beside this package; in a checkout at the top."""
    package = Path(__file__).parent.parent
    inside = package / "prompts"
    return inside if inside.is_dir() else package.parent / "prompts"

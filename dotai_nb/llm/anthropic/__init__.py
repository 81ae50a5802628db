"""Claude, through Anthropic's SDK."""

from dotai_nb.llm.anthropic.model import AnthropicModel

__all__ = ["AnthropicModel"]

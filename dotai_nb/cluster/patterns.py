"""Secrets in any text, known by their shape or by the name in front of them.

Every expression is linear in the text: quantifiers are possessive, of one class, or bounded, and
none can start again inside what it has just passed over.
"""

from __future__ import annotations

import re
from itertools import pairwise

from dotai_nb.cluster.naming import is_no_secret, names_a_secret
from dotai_nb.cluster.pairs import redact_named
from dotai_nb.cluster.placeholder import placeholder

_START = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))"  # of a word, also behind a newline written as \n

# The key itself; or, where its end was cut off, the lines of base64 behind its beginning.
_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?:[^-]|-(?!----))*+-----END [A-Z0-9 ]{0,60}-----"
    r"|(?:(?:\s|\\[nr])++[A-Za-z0-9+/=]{20,}+)*+)"
)
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_PEM_LINE = re.compile(r"[\s|>]*(?:[A-Za-z0-9+/=]{20,}|[A-Za-z0-9+/]{1,}={1,2})\s*")

_DOTTED = re.compile(r"(?<![A-Za-z0-9_\-.])[A-Za-z0-9_\-]++(?:\.[A-Za-z0-9_\-]*+)++")
_HEADER, _PAYLOAD = 10, 4  # the shortest parts of a JWT

_KEYS = (
    r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}",  # AWS access keys
    r"AIza[0-9A-Za-z_\-]{35}|ya29\.[0-9A-Za-z_\-]{20,}+|GOCSPX-[0-9A-Za-z_\-]{20,}+",  # Google
    r"gh[pousr]_[A-Za-z0-9]{30,}+|github_pat_[A-Za-z0-9_]{22,}+|glpat-[\w\-]{20,}+",
    r"xox[a-z]-[A-Za-z0-9\-]{10,}+|xapp-[A-Za-z0-9\-]{10,}+",  # Slack
    r"(?<=hooks\.slack\.com/)(?:services|workflows|triggers)/[\w/\-]{8,}+",
    r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}+|npm_[A-Za-z0-9]{36}|hf_[A-Za-z0-9]{30,}+",
    r"hv[sbr]\.[\w\-]{20,}+|k8s-aws-v1\.[\w\-]{20,}+|SG\.[\w\-]{16,}+\.[\w\-]{16,}+",
    r"(?:H4sIA|SDRzSUF)[A-Za-z0-9+/=]{60,}+",  # gzip in base64, once and twice: a Helm release
)
_SHAPES = re.compile("|".join(_KEYS))
_MODEL_KEY = re.compile(_START + r"sk-[A-Za-z0-9_\-]{20,}+")  # Anthropic, OpenAI and their likes

_USERINFO = re.compile(r"""(?<=://)[^\s/:@"'<>«\[]*+:(?P<rest>(?:(?!://)[^\s"'<>`])++)""")
_MYSQL = re.compile(r"(?<![\w\-])[\w\-]++:(?P<secret>[^\s@:\"']++)(?=@(?:tcp|unix)\()")
_SCHEME = re.compile(
    r"\b(?:bearer|basic)[ \t]++(?P<secret>[A-Za-z0-9._~+/\-]{8,}+=*+)", re.IGNORECASE
)
_DOCKER = re.compile(r'"auth"\s*+:\s*+"(?P<secret>[A-Za-z0-9+/=]{8,}+)"')
_ELEMENT = re.compile(r"<(?P<name>[\w.\-]{1,128}+)>(?P<secret>[^<>]++)(?=</)")


def redact_text(text: str) -> str:
    """A text without the secrets that can be recognised in it; one without any is as it was."""
    text = _without_keys(text)
    text = redact_named(text)
    text = _DOTTED.sub(lambda m: _without_jwt(m[0]), text)
    text = _SHAPES.sub(lambda m: placeholder(m[0]), text)
    text = _MODEL_KEY.sub(lambda m: placeholder(m[0]) if _is_key(m[0]) else m[0], text)
    text = _USERINFO.sub(_without_password, text)
    for expression in (_MYSQL, _DOCKER):
        text = expression.sub(lambda m: _hidden(m, "secret"), text)
    text = _SCHEME.sub(lambda m: _hidden(m, "secret") if _mixed(m["secret"]) else m[0], text)
    return _ELEMENT.sub(lambda m: _hidden(m, "secret") if names_a_secret(m["name"]) else m[0], text)


def _hidden(match: re.Match[str], group: str) -> str:
    start, end = (position - match.start() for position in match.span(group))
    if is_no_secret(match[group]):
        return match[0]
    return match[0][:start] + placeholder(match[group]) + match[0][end:]


_LONG = 20


def _is_key(word: str) -> bool:
    """Whether it can't be the name of an object, whose parts are short and of lower case."""
    return word.lower() != word or "_" in word or max(map(len, word.split("-"))) >= _LONG


def _mixed(word: str) -> bool:
    """Whether it can't be a word of a language."""
    return any(c in "0123456789=+/_" for c in word) or word[1:].lower() != word[1:]


def _without_keys(text: str) -> str:
    """Without private keys in PEM, whole or cut off at either side."""
    if "PRIVATE KEY" not in text:
        return text
    text = _PEM.sub(lambda m: placeholder(m[0]), text)
    kept: list[str] = []
    position = 0
    for end in _PEM_END.finditer(text):
        lines = text[position : end.start()].splitlines(keepends=True)
        last = len(lines)
        while last and _PEM_LINE.fullmatch(lines[last - 1]):
            last -= 1
        hidden = "".join(lines[last:]) + end[0]
        kept += [*lines[:last], placeholder(hidden)]
        position = end.end()
    return "".join((*kept, text[position:]))


def _without_jwt(run: str) -> str:
    """A dotted run of base64url, without the JSON Web Token in it, whatever stands before it."""
    parts = run.split(".")
    position = 0
    for part, after in pairwise(parts):
        found = part.find("eyJ")
        if found >= 0 and len(part) - found >= _HEADER and len(after) >= _PAYLOAD:
            token = run[position + found :].rstrip(".")
            return (
                run[: position + found] + placeholder(token) + run[position + found + len(token) :]
            )
        position += len(part) + 1
    return run


def _without_password(match: re.Match[str]) -> str:
    """`user:«redacted …»@host`. A slash or an @ may be in the password too."""
    rest = match["rest"]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    is_port = authority.isdigit() and "@" not in authority
    secret, at, _ = (authority if "@" in authority else rest).rpartition("@")
    if not at or is_port or is_no_secret(secret):
        return match[0]
    start = match.start("rest") - match.start()
    return match[0][:start] + placeholder(secret) + match[0][start + len(secret) :]

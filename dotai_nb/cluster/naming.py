"""Which names say that their value is a secret, and which values are none whatever their name.

`DB_PASSWORD`, `apiKey`, `--token`; but not `TOKEN_TTL`, `secretName`, `max_tokens`, which tell
something about a secret, and are facts that a diagnosis needs.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from dotai_nb.cluster.placeholder import PATTERN


def words(text: str) -> frozenset[str]:
    """A set of words, written as a text of them."""
    return frozenset(text.split())


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_LONGEST = 128

_SECRETS = words(
    """
    accesskey apikey authorization connectionstring connstr cookie credential credentials creds
    dockercfg dockerconfigjson dsn htpasswd jwt passcode passphrase passwd password passwords
    privatekey secret secretkey secrets token tokens
    """
)
# Words written together: PGPASSWORD, dbpasswd, accesstoken.
_ENDINGS = ("password", "passwd", "passphrase", "secret", "token", "apikey", "authkey")
_KEYS = words(
    """
    access account api auth deploy encryption license master private secret session shared
    signing ssh storage
    """
)
_STRINGS = frozenset({"conn", "connect", "connection"})
# A secret only behind another word: PWD is a folder, and `pass: 3` a test's count.
_ABBREVIATIONS = frozenset({"pass", "pwd"})

_ABOUT = words(
    """
    age agent alg algorithm at audience audiences backend budget bucket cache charset checksum
    claim claims class cleaner client clients com config controller count created csi date days
    dev dir directory disabled driver duration enabled encoding endpoint endpoints engine
    expiration expired expires expiry field file filename files folder format header headers
    hint host hours id ids interval io issuer kind kinds label length lifetime limit limits list
    local location manager mapping max method min minutes mode mount ms name names namespace
    namespaces net ns number operator optional org param parameter path paths period plugin
    policies policy port prefix prompt provider providers proxy rate reader ref reference refs
    region request requests required review reviewer role roles rotation rule scope scopes
    seconds selector server service size source state status store strategy suffix template time
    timeout timestamp ttl type types updated uri url validation validator version volume webhook
    """
)
_COUNTED = words(
    """
    completion context input max min num number output per prompt total used
    """
)

_WORDS = words(
    """
    <nil> <none> <unset> ~ 0 false never nil no none null off on true undefined unset yes
    """
)
# The name of a value that is elsewhere: $(VAR), ${VAR}, $VAR, {{ .Values.x }}, <password>, ****.
_REFERENCE = re.compile(
    r"\$\([\w.\-]+\)|\$\{[^{}]*\}|\$[A-Z_][A-Z0-9_]*|\{\{[^{}]*\}\}|<[\w .\-]*>|[*•]+|"
    rf"\[?(?i:redacted|hidden|masked)\]?|«(?:left out|cut\b[^»]*)»|{PATTERN}"
)


@lru_cache(maxsize=4096)
def names_a_secret(name: str) -> bool:
    """Whether the value of that name is to be hidden.

    Args:
        name: of an environment variable, a key, an annotation (its prefix is nobody's secret), a
            field or a command-line flag.
    """
    if name.startswith("checksum/"):
        return False
    parts = [w.lower() for w in _WORD.findall(name[-_LONGEST:].rpartition("/")[2])]
    while parts and parts[-1].isdigit():
        parts.pop()
    if not parts or parts[-1] in _ABOUT or parts[0] in {"existing", "public"}:
        return False
    if "tokens" in parts and _COUNTED & set(parts):
        return False
    pairs = list(pairwise(parts))
    if pairs and (
        pairs[-1] in {("pull", "secret"), ("pull", "secrets"), ("tls", "secret")}
        or (pairs[-1][1] == "key" and pairs[-1][0] in {"password", "token", "username"})
    ):
        return False
    return (
        any(w in _SECRETS or w.endswith(_ENDINGS) for w in parts)
        or any(b in {"key", "keys"} and a in _KEYS for a, b in pairs)
        or any(b in {"string", "str"} and a in _STRINGS for a, b in pairs)
        or (bool(pairs) and parts[-1] in _ABBREVIATIONS)
    )


def is_no_secret(value: str) -> bool:
    """Whether a value is none whatever its name: empty, a yes or no, the name of another value."""
    text = value.strip()
    return not text or text.lower() in _WORDS or _REFERENCE.fullmatch(text) is not None

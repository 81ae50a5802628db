"""Secrets in a text: known by their name or shape, wherever they stand; facts stay."""

from __future__ import annotations

import base64
import gzip
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotai_nb.cluster.naming import names_a_secret, words
from dotai_nb.cluster.placeholder import PATTERN, placeholder
from dotai_nb.cluster.redaction import redact_text

SECRETS = words(
    """
    DB_PASSWORD PGPASSWORD password2 dbpasswd passphrase SMTP_PASS DB_PWD apiKey API_KEY X-Api-Key
    OPENAI_APIKEY AWS_SECRET_ACCESS_KEY SECRET_KEY_BASE clientSecret --token --auth-token
    GITHUB_TOKEN accesstoken refreshToken db.password spring.datasource.password private_key
    signingKey connectionString DB_CONNECTION_STRING SENTRY_DSN credentials .dockerconfigjson
    example.com/api-token Authorization accountKey secret.yaml sessionSecret jwt
    """
)

NO_SECRETS = words(
    """
    TOKEN_TTL secretName tokenExpirationSeconds expirationSeconds max_tokens OUTPUT_TOKENS_LIMIT
    TOTAL_TOKENS PWD OLDPWD pass AWS_ACCESS_KEY_ID PASSWORD_FILE TOKEN_PATH TOKEN_URL
    secretKeyRef secretRef imagePullSecrets pullSecret tls-secret TOKEN_ISSUER
    PASSWORD_MIN_LENGTH public_key checksum/secret vault.hashicorp.com/role
    secrets-store.csi.k8s.io existingSecret tokenizer keyboard monkey key SECRET_NAMESPACE
    passwordKey tokenType secretProviderClass compass SECRET_ROTATION_INTERVAL CREDENTIALS_PROVIDER
    cache_key PRIMARY_KEY secrets.location passenger
    """
)


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_name_of_a_secret_is_known(name: str) -> None:
    assert names_a_secret(name)


@pytest.mark.parametrize("name", sorted(NO_SECRETS))
def test_a_name_of_a_fact_about_a_secret_is_none(name: str) -> None:
    assert not names_a_secret(name)


PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n"
    + "MIIEowIBAAKCAQEA1234567890\n" * 3
    + "abc=\n-----END RSA PRIVATE KEY-----"
)
RELEASE = base64.b64encode(base64.b64encode(gzip.compress(json.dumps([*range(99)]).encode())))
SHAPES = {
    "jwt": "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2ln_bmF0-dXJl",
    "unsigned jwt": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.",
    "pem": PEM,
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "google": "AIza" + "SyA1-b_2" * 4 + "abc",
    "github": "ghp_" + "a1B2" * 9,
    "github fine-grained": "github_pat_" + "a1B2_" * 6,
    "gitlab": "glpat-a1B2c3D4e5F6g7H8i9J0",
    "slack": "xoxb-123456789012-abcdefABCDEF",
    "anthropic": "sk-ant-api03-" + "a1B2-" * 6,
    "openai": "sk-proj-" + "a1B2" * 8,
    "deepseek": "sk-" + "0a1b" * 8,
    "stripe": "sk_live_" + "a1B2" * 6,
    "vault": "hvs." + "CAESIJ-a1" * 4,
    "helm release": RELEASE.decode(),
}
AROUND = ["{}", "at {} end", '"{}"', "x={},", "key\\n{}", "[{}]", "\t{}\n", "Bearer {}", "a: '{}'"]


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_secret_of_a_known_shape_is_hidden_anywhere(shape: str, around: str) -> None:
    value = SHAPES[shape]
    shown = redact_text(around.format(value))
    assert value.rstrip(".") not in shown
    assert re.search(PATTERN, shown)
    assert redact_text(shown) == shown


NAMED = [
    "password={}", "password = {}", "password: {}", "PASSWORD:{}", '"password": "{}"',
    '"password":"{}"}}', '\\"password\\": \\"{}\\"', "'password': '{}'", "db.password={}\nx=1",
    "?token={}&user=x", "--password {}", "--password={} --v=2", '["--password", "{}"]',
    "Authorization: Bearer {}", "Authorization: Basic {}", '"Authorization": ["Bearer {}"]',
    "curl -H 'Authorization: token {}'", "Proxy-Authorization: {}", "X-Api-Key: {}",
    "Server=db;Password={};User=app", "postgres://app:{}@db/x", "redis://:{}@cache:6379/0",
    "https://oauth2:{}@git.example.com/a.git", "root:{}@tcp(db:3306)/x", "api key: {}",
    "{{Name:DB_PASSWORD,Value:{}}}", '"name":"DB_PASSWORD","value":"{}"',
    "- name: DB_PASSWORD\n  value: {}", 'spec.password: Invalid value: "{}": too short',
    "<password>{}</password>", "Set-Cookie: sid={}; Path=/", 'data["password"]={}',
    "password: [{}]", "a=1 secret=>{}",
]  # fmt: skip


@pytest.mark.parametrize("text", NAMED)
@given(core=st.text("abcXYZ0189", min_size=6, max_size=20), tail=st.text("._+/!#%", max_size=2))
def test_a_value_with_a_secrets_name_is_hidden_however_it_is_written(
    text: str, core: str, tail: str
) -> None:
    value = f"cnry{core}{tail}{core[:2]}"
    shown = redact_text(text.format(value))
    assert "cnry" not in shown
    assert core not in shown
    assert redact_text(shown) == shown


def test_a_registrys_credentials_are_hidden_in_a_docker_configuration() -> None:
    shown = redact_text('{"auths": {"r.example": {"auth": "dXNlcjpwYXNzd29yZA=="}}}')
    assert (
        shown
        == f'{{"auths": {{"r.example": {{"auth": "{placeholder("dXNlcjpwYXNzd29yZA==")}"}}}}}}'
    )


def test_equal_values_have_equal_placeholders_in_every_form() -> None:
    hidden = placeholder("hunter2-47")
    for text in NAMED[:9]:
        assert hidden in redact_text(text.format("hunter2-47"))
    assert hidden not in redact_text("password=hunter2-48")
    assert placeholder(hidden) == hidden


FACTS = [
    "invalid token: unexpected end of JSON input",
    'MountVolume.SetUp failed for volume "creds" : secret "db-password" not found',
    "error: couldn't find key password in Secret shop/db",
    'User "system:serviceaccount:shop:token-cleaner" cannot list resource "secrets"',
    "Failed to pull image registry.example.com/vault/token:1.2: not found",
    "password: required, token: <none>, secret: ''",
    "basic authentication failed; bearer authentication-required",
    "http://my-api:8080/users/@me?x=1 http://[::1]:80/a@b",
    "tokens: 4096, total_tokens=12",
    "disk-usage-monitor-pod-5d4f-abcdefghij sk-usage-monitor-pod-5d4f-abcdef",
    "secretName: db\nsecretKeyRef: {name: db, key: password}\nmountPath: /run/secrets",
    "image: nginx:1.20@sha256:" + "0123456789abcdef" * 4,
    "NAME   TYPE     DATA   AGE\ndb     Opaque   1      3d",
    "password=$(DB_PASSWORD) token=${TOKEN} secret={{ .Values.secret }} password=****",
    "uid: 20234fa4-4c3c-410d-9f2e-3d3c643f26ef resourceVersion: 324",
    "-----BEGIN CERTIFICATE-----\nMIIEowIBAAKCAQEA1234567890\n-----END CERTIFICATE-----",
    "step 1: kubectl annotate deployments.apps/my-api token-ttl=5m --overwrite",
]


@pytest.mark.parametrize("text", FACTS)
def test_a_text_without_secrets_is_unchanged(text: str) -> None:
    assert redact_text(text) == text


@given(st.text())
def test_any_text_is_redacted_once_and_for_all(text: str) -> None:
    shown = redact_text(text)
    assert redact_text(shown) == shown


_pieces = st.lists(
    st.sampled_from([
        "password", "token", "secret", "=", ": ", ":", '"', "'", "\\", "\\n", "\n", " ", "--", ",",
        "&", ";", "://", "@", "/", "{", "}", "[", "]", "(", ")", "Bearer ", "eyJhbGciOiJub25lIn0.",
        "abcd", "Authorization", "name", "value", "<password>", "</", "x1", "«left out»", ".",
        "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "«redacted 0123456789ab»",
    ]),
    max_size=14,
).map("".join)  # fmt: skip


@given(_pieces)
def test_text_of_all_that_matters_is_redacted_once_and_for_all(text: str) -> None:
    shown = redact_text(text)
    assert redact_text(shown) == shown


def test_a_private_key_is_hidden_when_either_end_of_it_was_cut_off() -> None:
    lines = PEM.split("\n")
    without_end = redact_text("\n".join([*lines[:1], *lines[3:-2]]) + "\nGET / 200")
    assert "MIIE" not in without_end
    assert "GET / 200" in without_end
    without_begin = redact_text("GET / 200\n" + "\n".join(lines[3:]) + " ok")
    assert "MIIE" not in without_begin
    assert without_begin.startswith("GET / 200\n«redacted ")
    assert without_begin.endswith("» ok")


HOSTILE = [
    "a", "a.", "a-", "eyJ", "eyJ.", "ghp_", "sk-", "SG.", "password", "password=", "password:'",
    '"password":"', '\\"password\\":\\"',
    "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\nMIIEowIBAAKCAQEA1234567890", "MIIEowIBAAKCAQEA1234567890\n",
    "://", "://a:", "://a:b@", "@tcp(", "a:b@", "Bearer ", "<a>", "--a ", "\\", "\\n", " ", "[",
    "{", "name:a,", "a,a=", "«redacted ", "H4sIA", "=", "password: a,", 'a",',
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_long_hostile_text_comes_to_an_end(piece: str) -> None:
    """A quadratic expression would take an hour for it."""
    redact_text(piece * (400_000 // len(piece)))

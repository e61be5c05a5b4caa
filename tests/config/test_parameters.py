from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.api import ParameterDefinition, QueueError
from headgate.config.parameters import MAX_BYTES, define, validate
from headgate.config.reserved import is_reserved

TARGET = ParameterDefinition(name="TARGET", type="choice", choices=("staging", "production"), default="staging")
COUNT = ParameterDefinition(name="COUNT", type="number", minimum=1, maximum=9)
DRY = ParameterDefinition(name="DRY", type="boolean", default="false")
VERSION = ParameterDefinition(name="VERSION", pattern=r"v\d+", default="v1")
NOTES = ParameterDefinition(name="NOTES", type="text", default="")
TOKEN = ParameterDefinition(name="TOKEN", type="password")
ALL = (TARGET, COUNT, DRY, VERSION, NOTES, TOKEN)


def faults(definitions, **given) -> list[str]:
    with pytest.raises(QueueError) as caught:
        validate(definitions, given)
    return str(caught.value).split("; ")


def test_defaults_are_filled_in_and_passwords_stand_apart():
    values, secrets = validate(ALL, {"COUNT": "3", "TOKEN": "hunter2", "DRY": "TRUE", "NOTES": "a\nb\t"})
    assert values == {"TARGET": "staging", "COUNT": "3", "DRY": "true", "VERSION": "v1", "NOTES": "a\nb\t"}
    assert secrets == {"TOKEN": "hunter2"}


def test_every_fault_is_told():
    assert faults(ALL, TARGT="x", COUNT="10", DRY="maybe", VERSION="v1x", TOKEN="a\0") == [
        "there is no parameter `TARGT` (did you mean `TARGET`?)",
        "COUNT: expected at most 9, found 10",
        "DRY: expected true or false, found `maybe`",
        r"VERSION: `v1x` does not match the pattern `v\d+`",
        "TOKEN: a NUL character cannot be passed on",
    ]


@pytest.mark.parametrize(
    ("definition", "value", "fault"),
    [
        (TARGET, "stagin", "TARGET: expected one of staging, production, found `stagin` (did you mean `staging`?)"),
        (TARGET, "", "TARGET: expected one of staging, production, found an empty text"),
        (COUNT, "0", "COUNT: expected at least 1, found 0"),
        (COUNT, "nan", "COUNT: expected a number, found `nan`"),
        (COUNT, "0x5", "COUNT: expected a number, found `0x5`"),
        (COUNT, "1 ", "COUNT: expected a number, found `1 `"),
        (COUNT, "٣", "COUNT: expected a number, found `٣`"),
        (DRY, "yes", "DRY: expected true or false, found `yes`"),
        (VERSION, "v1\n", "VERSION: only a parameter of type text may have several lines"),
        (NOTES, "\ud800", "NOTES: half of a surrogate pair is no character"),
        (NOTES, "x" * (MAX_BYTES + 1), f"NOTES: longer than {MAX_BYTES} bytes"),
    ],
)
def test_faults_say_what_was_expected(definition, value, fault):
    assert faults([definition], **{definition.name: value}) == [fault]


def test_a_missing_value_is_a_fault():
    assert faults([COUNT, TOKEN]) == ["COUNT needs a value", "TOKEN needs a value"]
    assert faults([], ANY="x") == ["there is no parameter `ANY` (there are no parameters)"]


@given(st.text(min_size=4) | st.text(min_size=4).map(lambda text: f"{text}\0"))
def test_no_fault_repeats_a_password(secret):
    told = ""
    try:
        validate([TOKEN], {"TOKEN": secret})
    except QueueError as error:
        told = str(error)
    assert secret not in told


@given(st.dictionaries(st.sampled_from([*(d.name for d in ALL), "PATH", "x"]), st.text()))
def test_nothing_undeclared_or_invalid_ever_passes(given_values):
    try:
        values, secrets = validate(ALL, given_values)
    except QueueError:
        return
    assert values.keys() | secrets.keys() == {definition.name for definition in ALL}
    assert values["TARGET"] in TARGET.choices
    assert values["DRY"] in {"true", "false"}
    assert 1 <= float(values["COUNT"]) <= 9
    assert "\n" not in values["VERSION"]
    assert not any("\0" in value for value in [*values.values(), *secrets.values()])


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "LD_PRELOAD",
        "GIT_DIR",
        "BASH_ENV",
        "ENV",
        "IFS",
        "SHELLOPTS",
        "PYTHONPATH",
        "HEADGATE_X",
        "CI",
        "BUILD_NUMBER",
        "HTTPS_PROXY",
        "NODE_OPTIONS",
        "DYLD_INSERT_LIBRARIES",
        "PERL5OPT",
        "RUBYOPT",
        "PS4",
        "MAKEFLAGS",
        "LESSOPEN",
        "TAR_OPTIONS",
        "OPENSSL_CONF",
        "SSLKEYLOGFILE",
    ],
)
def test_names_that_programs_obey_are_no_parameters(name):
    assert is_reserved(name)
    assert define(name, {}, default="x", choices=())[1]


@pytest.mark.parametrize("name", ["TARGET", "LDAP_HOST", "GITHUB_TOKEN", "PATHS", "ENVIRONMENT", "MY_PATH"])
def test_other_names_are_free(name):
    assert define(name, {}, default="x", choices=())[1] == []

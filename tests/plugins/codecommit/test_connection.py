"""What SNS's signature proves, and what a connection asks SNS itself: the contract, and CodeCommit's own rules."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import json
import uuid
from datetime import timedelta
from pathlib import Path

import jsonschema
import msgspec
import pytest
import sns_player
from sns_player import ADDRESS, OTHER_TOPIC, TOPIC, PlayedSns, as_body, confirmation, headers_of, notification, signed

from headgate import api
from headgate.api.client import BaseUrl
from headgate.api.testing import NOW, ContractHost, ProviderContract
from headgate.api.testing.calls import Answer, CallingHost, GitHost, calling
from headgate_plugins import codecommit
from headgate_plugins.codecommit.certificates import read_certificate
from headgate_plugins.codecommit.connection import open_connection
from headgate_plugins.codecommit.subscriptions import SnsItself

KIND = next(iter(codecommit.headgate_providers()))
TOPICS = {"first": TOPIC, "second": OTHER_TOPIC}
OPTIONS = {"region": "eu-central-1", "topic_arns": [TOPIC, OTHER_TOPIC]}
PUSH = json.dumps(
    {
        "detail-type": "CodeCommit Repository State Change",
        "source": "aws.codecommit",
        "region": "eu-central-1",
        "resources": ["arn:aws:codecommit:eu-central-1:123456789012:web"],
        "detail": {
            "event": "referenceUpdated",
            "repositoryName": "web",
            "referenceFullName": "refs/heads/main",
            "commitId": "b2" * 20,
            "oldCommitId": "a1" * 20,
        },
    }
).encode()


LOGIN = api.Credential(
    type="user_password", fields={"username": api.Secret("ada"), "password": api.Secret("pw")}, hosts=("*",)
)


@contextlib.asynccontextmanager
async def knowing(options, host):
    """The connection with SNS's certificate known already."""
    async with open_connection(options, host, sns=PlayedSns()) as provider:
        provider.certificates.keep(ADDRESS, sns_player.pem())
        yield provider


class TestContract(ProviderContract):
    kind = dataclasses.replace(KIND, open=knowing)
    body = PUSH
    signature_headers = ("x-amz-sns-message-type",)
    proof_fields = (
        "Type",
        "MessageId",
        "TopicArn",
        "Message",
        "Timestamp",
        "SignatureVersion",
        "Signature",
        "SigningCertURL",
    )
    covers_meaning = True
    refusals = (api.Unauthenticated, api.CannotCheckYet)
    options = {**OPTIONS, "git_credential": "secret://contract/git"}  # noqa: RUF012
    secrets = TOPICS
    credentials = {"secret://contract/git": LOGIN}  # noqa: RUF012
    clones_from = "https://git-codecommit.eu-central-1.amazonaws.com"
    repository = "web"
    polled = {"refs/heads/main": "b2" * 20}  # noqa: RUF012
    goldens = Path(__file__).with_name("goldens")
    no_such = {"from_fork": "CodeCommit has no forks"}  # noqa: RUF012
    same_repository = (
        "web",
        "web.git",
        "/web/",
        "v1/repos/web",
        "https://git-codecommit.eu-central-1.amazonaws.com/v1/repos/web",
        "ssh://APKA@git-codecommit.eu-central-1.amazonaws.com/v1/repos/web",
        "codecommit::eu-central-1://profile@web",
        "codecommit://web",
        "arn:aws:codecommit:eu-central-1:123456789012:web",
    )
    no_repository = ("", "/", "..", "acme/web", "-web", "we b", "w\nb", "w\0b", "x" * 101, "arn:aws:s3:::web")
    mutants = 10_000

    def headers(self, body, secret, at):
        return self.sealed(body, secret, at)[1]

    def sealed(self, body, secret, at):
        message_id = str(uuid.uuid5(uuid.NAMESPACE_OID, body.decode()))
        message = signed(notification(body.decode(), at, topic=secret, Subject="CodeCommit", MessageId=message_id))
        return as_body(message), headers_of(message)

    def another(self):
        return PUSH + b" ", {}

    def unknown(self):
        return b'{"source": "aws.codecommit", "detail-type": "CodeCommit Teleport", "detail": {}}', {}


def test_letter_case_of_a_repository_counts():
    assert KIND.normalise("MyDemoRepo") == "MyDemoRepo"


def delivery(message, *, at=NOW, **changes):
    headers = {**headers_of(message), **changes}
    return api.Delivery(
        id="d",
        connection="c",
        received_at=at,
        headers=tuple((name, value) for name, value in headers.items() if value is not None),
        body=as_body(message),
    )


@pytest.fixture
async def opened():
    """`opened(sns, **options)`: a connection that knows no certificate yet."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(sns, **options):
            return await stack.enter_async_context(open_connection({**OPTIONS, **options}, ContractHost({}), sns=sns))

        yield start


async def until(seen):
    """Some turns of the loop, for the tasks of a connection."""
    for _ in range(100):
        if seen():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not happen")


async def settled():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_an_unknown_certificate_is_fetched_once_and_the_message_taken_when_it_comes_again(opened):
    sns = PlayedSns()
    provider = await opened(sns)
    good = delivery(signed(notification("{}", NOW)))
    for _ in range(3):
        with pytest.raises(api.CannotCheckYet):
            provider.authenticate(good)
    await until(lambda: sns.asked)
    await settled()
    assert provider.authenticate(good) == api.Seal(key=sns_player.MESSAGE_ID, secret=0)
    assert sns.asked == [ADDRESS]


@pytest.mark.parametrize("version", ["1", "2"])
async def test_both_versions_of_the_signature_are_checked(version):
    async with knowing(OPTIONS, ContractHost({})) as provider:
        good = signed(notification("{}", NOW), version=version)
        assert provider.authenticate(delivery(good))
        other = {**good, "SignatureVersion": {"1": "2", "2": "1"}[version]}
        for spoilt in (other, {**good, "SignatureVersion": "3"}, signed(notification("{}", NOW), by="mallory")):
            with pytest.raises(api.Unauthenticated):
                provider.authenticate(delivery(spoilt))


@pytest.mark.parametrize(
    "address",
    [
        "http://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "https://sns.eu-central-1.amazonaws.com.cn/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "https://sns.eu-central-1.amazonaws.com.evil.org/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "https://sns.eu-central-1.amazonaws.com@evil.org/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "https://evil.org/sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "https://s3.eu-central-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "https://sns.eu-central-1.amazonaws.com/evil/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem?x",
        "https://sns.eu-central-1.amazonaws.com:444/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "https://sns.eu-central-1.amazonaws.com/?Action=GetTopicAttributes#.pem",
        "",
    ],
)
async def test_no_certificate_is_fetched_from_elsewhere(opened, address):
    sns = PlayedSns({address: sns_player.pem("mallory")})
    provider = await opened(sns)
    with pytest.raises(api.Unauthenticated):
        provider.authenticate(delivery(signed(notification("{}", NOW), by="mallory", address=address)))
    await settled()
    assert sns.asked == []


async def test_control_a_certificate_from_the_pinned_address_lets_its_messages_in(opened):
    sns = PlayedSns({ADDRESS: sns_player.pem("mallory")})
    provider = await opened(sns)
    message = delivery(signed(notification("{}", NOW), by="mallory"))
    with pytest.raises(api.CannotCheckYet):
        provider.authenticate(message)
    await until(lambda: sns.asked)
    await settled()
    assert provider.authenticate(message)


async def test_a_topic_that_is_not_configured_is_refused_before_anything_is_fetched(opened):
    sns = PlayedSns()
    provider = await opened(sns, topic_arns=[OTHER_TOPIC])
    with pytest.raises(api.Unauthenticated, match="topic"):
        provider.authenticate(delivery(signed(notification("{}", NOW))))
    await settled()
    assert sns.asked == []


async def test_an_hour_is_the_oldest_and_the_future_is_not_now():
    async with knowing(OPTIONS, ContractHost({})) as provider:
        message = signed(notification("{}", NOW))
        for late in (timedelta(0), timedelta(minutes=59)):
            assert provider.authenticate(delivery(message, at=NOW + late))
        for late in (timedelta(hours=1), timedelta(minutes=-6)):
            with pytest.raises(api.Unauthenticated, match="Timestamp"):
                provider.authenticate(delivery(message, at=NOW + late))


async def test_a_message_cannot_be_cut_into_another_with_the_same_signed_text():
    """The signature is over lines: a subject could else be moved into the id, and the message come under a new one."""
    async with knowing(OPTIONS, ContractHost({})) as provider:
        good = signed(notification("{}", NOW, Subject="hello"))
        assert provider.authenticate(delivery(good))
        cut = {name: value for name, value in good.items() if name != "Subject"}
        cut["MessageId"] = f"{good['MessageId']}\nSubject\nhello"
        with pytest.raises(api.Unauthenticated):
            provider.authenticate(delivery(cut, **{"x-amz-sns-message-id": "x"}))


async def test_base64_that_says_the_same_in_other_letters_is_refused():
    async with knowing(OPTIONS, ContractHost({})) as provider:
        good = signed(notification("{}", NOW))
        letter = {"A": "B", "Q": "R", "g": "h", "w": "x"}[good["Signature"][-3]]
        other = good["Signature"][:-3] + letter + "=="
        assert base64.b64decode(other) == base64.b64decode(good["Signature"])
        with pytest.raises(api.Unauthenticated):
            provider.authenticate(delivery({**good, "Signature": other}))


async def test_raw_message_delivery_is_refused_and_says_why():
    async with knowing(OPTIONS, ContractHost({})) as provider:
        raw = delivery(signed(notification("{}", NOW)), **{"x-amz-sns-rawdelivery": "true"})
        with pytest.raises(api.Unauthenticated, match="raw"):
            provider.authenticate(raw)


async def test_an_open_door_takes_raw_messages(opened):
    async with open_connection(
        {"region": "eu-central-1", "accept_unsigned": api.ACCEPT_UNSIGNED}, ContractHost({})
    ) as provider:
        raw = api.Delivery(
            id="d", connection="c", received_at=NOW, headers=(("x-amz-sns-message-id", "m1"),), body=PUSH
        )
        assert provider.authenticate(raw) == api.Seal(key="m1")
        assert isinstance(provider.parse(raw), api.Parsed)


@pytest.mark.parametrize(
    "options",
    [
        {"region": "eu-central-1"},
        {"topic_arns": [TOPIC]},
        {**OPTIONS, "accept_unsigned": api.ACCEPT_UNSIGNED},
        {**OPTIONS, "topic_arns": ["*"]},
        {**OPTIONS, "topic_arns": ["arn:aws:sns:evil.org/:123456789012:x"]},
        {**OPTIONS, "region": "evil.org"},
        {**OPTIONS, "base_url": "http://codecommit.example.org"},
    ],
)
def test_what_the_schema_refuses(options):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(options, KIND.schema)


# Certificates


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        sns_player.pem(made_out_to="sns.example.org"),
        sns_player.pem(made_out_to="amazonaws.com.example.org"),
        sns_player.pem("weak", bits=1024),
        sns_player.pem(curve=True),
        sns_player.pem() + sns_player.pem("mallory"),
    ],
    ids=["nothing", "broken", "another", "like it", "short key", "no RSA", "no chain"],
)
async def test_what_is_no_certificate_of_sns_is_refused_and_not_asked_for_again(opened, pem):
    with pytest.raises(ValueError):
        read_certificate(pem)
    sns = PlayedSns({ADDRESS: pem})
    provider = await opened(sns)
    message = delivery(signed(notification("{}", NOW)))
    with pytest.raises(api.CannotCheckYet):
        provider.authenticate(message)
    await until(lambda: sns.asked)
    await settled()
    with pytest.raises(api.Unauthenticated):
        provider.authenticate(message)
    later = msgspec.structs.replace(message, received_at=NOW + timedelta(minutes=11))
    with pytest.raises(api.CannotCheckYet):
        provider.authenticate(later)


async def test_a_certificate_counts_only_while_it_is_valid(opened):
    sns = PlayedSns({ADDRESS: sns_player.pem(end=NOW - timedelta(minutes=1))})
    provider = await opened(sns)
    message = signed(notification("{}", NOW))
    with pytest.raises(api.CannotCheckYet):
        provider.authenticate(delivery(message))
    await until(lambda: sns.asked)
    await settled()
    with pytest.raises(api.Unauthenticated, match="not valid at this time"):
        provider.authenticate(delivery(message))
    before = NOW - timedelta(minutes=2)
    assert provider.authenticate(delivery(signed(notification("{}", before)), at=before))


async def test_what_could_not_be_fetched_is_fetched_again(opened):
    sns = PlayedSns({ADDRESS: api.Unavailable("down")})
    provider = await opened(sns)
    message = delivery(signed(notification("{}", NOW)))
    for times in (1, 2):
        with pytest.raises(api.CannotCheckYet):
            provider.authenticate(message)
        await until(lambda times=times: len(sns.asked) == times)
        await settled()
    sns.answers[ADDRESS] = KeyError("a fault of ours")
    with pytest.raises(api.CannotCheckYet):
        provider.authenticate(message)
    await settled()
    sns.answers[ADDRESS] = sns_player.pem()
    with pytest.raises(api.CannotCheckYet):
        provider.authenticate(message)
    await settled()
    assert provider.authenticate(message)


async def test_a_stranger_who_knows_the_topic_makes_us_note_a_few_addresses_only(opened):
    sns = PlayedSns({})
    provider = await opened(sns)
    for number in range(50):
        address = ADDRESS.replace("0123456789abcdef", f"{number:016x}", 1)
        with pytest.raises(api.CannotCheckYet):
            provider.authenticate(delivery(signed(notification("{}", NOW), by="mallory", address=address)))
    await settled()
    assert len(sns.asked) == 4


# Subscriptions


@pytest.mark.parametrize(("wanted", "confirmed"), [(True, [(TOPIC, "2336412f37")]), (False, [])])
async def test_a_topic_is_confirmed_only_when_the_admin_asked_for_it(opened, wanted, confirmed):
    sns = PlayedSns()
    provider = await opened(sns, confirm_subscriptions=wanted)
    provider.certificates.keep(ADDRESS, sns_player.pem())
    asking = delivery(signed(confirmation(NOW)))
    provider.authenticate(asking)
    reading = provider.parse(asking)
    await settled()
    assert isinstance(reading, api.Ignored)
    assert sns.confirmed == confirmed


async def test_an_unproven_question_is_not_confirmed_nor_is_the_end_of_a_subscription(opened):
    sns = PlayedSns()
    provider = await opened(sns, confirm_subscriptions=True)
    provider.certificates.keep(ADDRESS, sns_player.pem())
    for forged in (signed(confirmation(NOW), by="mallory"), {**signed(confirmation(NOW)), "Token": "other"}):
        with pytest.raises(api.Unauthenticated):
            provider.authenticate(delivery(forged))
    provider.authenticate(delivery(signed(confirmation(NOW, kind="UnsubscribeConfirmation"))))
    await settled()
    assert sns.confirmed == []


async def test_a_confirmation_that_fails_does_not_keep_the_next_from_being_tried(opened):
    sns = PlayedSns()
    sns.refusal = api.Unavailable("down")
    provider = await opened(sns, confirm_subscriptions=True)
    provider.certificates.keep(ADDRESS, sns_player.pem())
    for token in ("one", "two"):
        provider.authenticate(delivery(signed(confirmation(NOW, token=token))))
    await settled()
    assert [token for _, token in sns.confirmed] == ["one", "two"]


@pytest.fixture
async def amazon():
    """What asks Amazon, asking a host on loopback instead; and that host."""
    host, sites = GitHost(), []

    @contextlib.asynccontextmanager
    async def nothing(options, ours):
        def base(url):
            sites.append(url)
            return BaseUrl.read(host.url, configured=True)

        yield SnsItself(ours, base=base)

    async with calling(dataclasses.replace(KIND, open=nothing), lambda url: {}, host=host) as (asks, _):
        asks.sites = sites
        yield asks, host


async def test_a_certificate_is_asked_for_without_anything_of_ours(amazon):
    asks, host = amazon
    path = ADDRESS.rpartition("/")[2]
    host.on("GET", f"/{path}", Answer(body=sns_player.pem()))
    assert await asks.certificate(ADDRESS) == sns_player.pem()
    (asked,) = host.asked
    assert not {"authorization", "cookie"} & {name.lower() for name in asked.headers}
    assert asks.sites == ["https://sns.eu-central-1.amazonaws.com"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(302, b"", {"Location": "/elsewhere"}), api.NotFound),
        (Answer(403, b"<Error/>"), api.Refused),
        (Answer(200, b"x" * 70_000), api.Unavailable),
    ],
)
async def test_redirects_and_long_answers_are_no_certificate(amazon, answer, error):
    asks, host = amazon
    host.otherwise(answer)
    with pytest.raises(error):
        await asks.certificate(ADDRESS)
    assert "/elsewhere" not in [one.path for one in host.asked]


async def test_a_confirmation_goes_to_the_topics_region_whatever_the_message_says(amazon):
    asks, host = amazon
    host.on("POST", "/", Answer(body=b"<ConfirmSubscriptionResponse/>"))
    await asks.confirm("arn:aws-cn:sns:cn-north-1:123456789012:x", "a&b")
    (asked,) = host.asked
    assert asks.sites == ["https://sns.cn-north-1.amazonaws.com.cn"]
    assert asked.body.decode() == (
        "Action=ConfirmSubscription&TopicArn=arn%3Aaws-cn%3Asns%3Acn-north-1%3A123456789012%3Ax"
        "&Token=a%26b&Version=2010-03-31"
    )


async def test_amazon_itself_is_asked_at_public_addresses_only():
    """Nothing is sent: the base URL is of the provider, and the guard judges what its name resolves to."""
    import aiohttp

    host = CallingHost({})
    async with aiohttp.ClientSession() as session:
        host.http = session
        asks = SnsItself(host)
        client = asks._client("https://sns.eu-central-1.amazonaws.com")
        assert client.base == BaseUrl(url="https://sns.eu-central-1.amazonaws.com", configured=False)

"""The fault proxy in front of a real moto, called by the real boto3 and by plain sockets."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import demo
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from faultproxy import REQUEST_ID_HEADERS, Answer, FaultProxy
from faultrules import Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

REPOSITORY = Path(__file__).parent.parent
DEADLINE_SECONDS = 60.0
pytestmark = pytest.mark.usefixtures("aws_settings_of_our_own")
SESSION_TOKEN = "token-that-must-not-be-logged"


@pytest.fixture(scope="module")
def moto_port() -> Iterator[int]:
    """Run one moto for all of these tests."""
    with demo.moto_server() as port:
        yield port


@pytest.fixture
def aws_settings_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the user's AWS settings from boto3."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in demo.environment_for(1, {}).items():
        monkeypatch.setenv(name, value)


@cache
def session() -> boto3.Session:
    """Return the session of all clients, which loads the model of each service once."""
    return boto3.Session(aws_session_token=SESSION_TOKEN, aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
                         aws_secret_access_key="not-a-secret", region_name="us-east-1")  # fmt: skip


@contextlib.contextmanager
def client_of(proxy: FaultProxy, service: str, *, attempts: int = 1, **settings: Any) -> Generator[Any]:
    """Create a boto3 client that sends to the proxy, and close its connections at the end."""
    config = Config(retries={"total_max_attempts": attempts, "mode": "legacy"}, proxies={}, **settings)
    client = session().client(service, endpoint_url=f"http://127.0.0.1:{proxy.port}", config=config)
    try:
        yield client
    finally:
        client.close()


def exchange(port: int, *parts: bytes) -> bytes:
    """Send the parts over one plain connection and return everything received until the other side closes it."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS) as connection:
        for part in parts:
            connection.sendall(part)
        received = b""
        while data := connection.recv(65_536):
            received += data
        return received


@pytest.mark.parametrize(
    ("service", "call", "rule", "status", "code", "operation"),
    [
        pytest.param("dynamodb", lambda c: c.list_tables(), Rule(kind="throttle"), 400,
                     "ProvisionedThroughputExceededException", "ListTables", id="dynamodb-throttle"),
        pytest.param("s3", lambda c: c.list_buckets(), Rule(kind="throttle"), 503, "SlowDown", "ListBuckets",
                     id="s3-throttle"),
        pytest.param("sqs", lambda c: c.list_queues(), Rule(kind="throttle"), 400, "ThrottlingException",
                     "ListQueues", id="json-throttle"),
        pytest.param("sts", lambda c: c.get_caller_identity(), Rule(kind="throttle"), 400, "Throttling",
                     "GetCallerIdentity", id="query-throttle"),
        pytest.param("s3", lambda c: c.get_object(Bucket="b", Key="k/l"), Rule(kind="denied"), 403, "AccessDenied",
                     "GetObject", id="s3-denied"),
        pytest.param("sts", lambda c: c.get_caller_identity(), Rule(kind="denied"), 403, "AccessDenied",
                     "GetCallerIdentity", id="query-denied"),
        pytest.param("dynamodb", lambda c: c.list_tables(), Rule(kind="denied"), 400, "AccessDeniedException",
                     "ListTables", id="json-denied"),
        pytest.param("lambda", lambda c: c.list_functions(), Rule(kind="denied"), 400, "AccessDeniedException",
                     "GET /2015-03-31/functions", id="rest-json-denied"),
        pytest.param("s3", lambda c: c.get_object(Bucket="b", Key="k"), Rule(kind="missing"), 404, "NoSuchKey",
                     "GetObject", id="s3-missing"),
        pytest.param("s3", lambda c: c.head_object(Bucket="b", Key="k"), Rule(kind="missing"), 404, "404",
                     "HeadObject", id="head-missing"),
        pytest.param("dynamodb", lambda c: c.describe_table(TableName="t" * 3), Rule(kind="missing"), 404,
                     "ResourceNotFoundException", "DescribeTable", id="json-missing"),
    ],
)  # fmt: skip
def test_errors_of_each_service(
    moto_port: int, service: str, call: Callable[[Any], object], rule: Rule, status: int, code: str, operation: str
) -> None:
    """boto3 raises the service's own error, with the request id of the answer log."""
    with FaultProxy(moto_port, [rule]) as proxy, client_of(proxy, service) as client:
        with pytest.raises(ClientError) as raised:
            call(client)
        (answer,) = proxy.answers

    response = raised.value.response
    assert (response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]) == (status, code)
    assert response["ResponseMetadata"]["RequestId"] == answer.request_id
    assert (answer.status, answer.fault) == (status, rule.kind)
    assert (answer.service, answer.operation) == (service, operation)


@pytest.mark.parametrize("service", ["s3", "sts", "sqs"])
def test_any_error_can_be_requested(moto_port: int, service: str) -> None:
    """Status, code and message of an ``error`` rule arrive as given, markup and other alphabets included."""
    rule = Rule(kind="error", status=418, code="Made.Up", message='<b>&amp; "ünï"')
    call = {"s3": "list_buckets", "sts": "get_caller_identity", "sqs": "list_queues"}
    with (
        FaultProxy(moto_port, [rule]) as proxy,
        client_of(proxy, service) as client,
        pytest.raises(ClientError) as raised,
    ):
        getattr(client, call[service])()

    error = raised.value.response["Error"]
    assert (error["Code"], error["Message"]) == ("Made.Up", '<b>&amp; "ünï"')
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 418


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        pytest.param(Rule(kind="reset"), ConnectionClosedError, id="reset"),
        pytest.param(Rule(kind="close"), ConnectionClosedError, id="close"),
        pytest.param(Rule(kind="hold", seconds=0.01), ConnectionClosedError, id="hold-that-ends"),
        pytest.param(Rule(kind="hold"), ReadTimeoutError, id="hold"),
    ],
)
def test_a_connection_fails(moto_port: int, rule: Rule, expected: type[Exception]) -> None:
    """boto3 raises its error for such a network failure, and the log has a record without a status."""
    read_timeout = 0.2 if expected is ReadTimeoutError else DEADLINE_SECONDS
    with FaultProxy(moto_port, [rule]) as proxy:
        with client_of(proxy, "s3", read_timeout=read_timeout) as client, pytest.raises(expected):
            client.list_buckets()
        (answer,) = proxy.answers

    assert (answer.operation, answer.status, answer.fault) == ("ListBuckets", None, rule.kind)


def test_reset_is_a_reset_and_close_is_not(moto_port: int) -> None:
    """A plain socket sees a connection reset for ``reset`` and an orderly end for ``close``."""
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with FaultProxy(moto_port, [Rule(kind="close"), Rule(kind="reset")]) as proxy:
        assert exchange(proxy.port, request) == b""
        with pytest.raises(ConnectionResetError):
            exchange(proxy.port, request)


def test_a_delayed_request(moto_port: int) -> None:
    """A ``delay`` waits and then forwards the request."""
    with FaultProxy(moto_port, [Rule(kind="delay", seconds=0.2)]) as proxy, client_of(proxy, "s3") as client:
        started = time.monotonic()
        client.list_buckets()
        assert time.monotonic() - started >= 0.2
        assert [(answer.status, answer.fault) for answer in proxy.answers] == [(200, "delay")]


def test_held_requests_can_be_released(moto_port: int) -> None:
    """A request is held without a limit until ``release``, with its record there from the start."""
    with (
        FaultProxy(moto_port, [Rule(kind="hold")]) as proxy,
        client_of(proxy, "s3", read_timeout=DEADLINE_SECONDS) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        held = pool.submit(client.list_buckets)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not proxy.answers and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        assert [answer.fault for answer in proxy.answers] == ["hold"]
        assert not held.done()
        proxy.release()
        with pytest.raises(ConnectionClosedError):
            held.result(DEADLINE_SECONDS)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param([Rule(kind="denied", times=1)], [403, 200, 200, 200], id="once"),
        pytest.param([Rule(kind="denied", after=1, times=2)], [200, 403, 403, 200], id="after-and-times"),
        pytest.param([Rule(kind="denied", times=None)], [403, 403, 403, 403], id="always"),
        pytest.param([Rule(kind="denied"), Rule(kind="throttle", after=1)], [403, 200, 503, 200], id="in-order"),
        pytest.param([Rule(kind="denied", operation="List*s", method="G?T", path="/")], [403, 200, 200, 200],
                     id="all-three-fit"),
        pytest.param([Rule(kind="denied", operation="ListBuckets", path="/b*")], [200] * 4, id="path-does-not-fit"),
        pytest.param([Rule(kind="denied", method="PUT")], [200] * 4, id="method-does-not-fit"),
        pytest.param([Rule(kind="denied", operation="PutItem")], [200] * 4, id="operation-does-not-fit"),
    ],
)  # fmt: skip
def test_rules_select_requests(moto_port: int, rules: list[Rule], expected: list[int]) -> None:
    """Of four equal calls those fail that the rule selects."""
    with FaultProxy(moto_port, rules) as proxy, client_of(proxy, "s3") as client:
        for _ in range(4):
            with contextlib.suppress(ClientError):
                client.list_buckets()
        assert [answer.status for answer in proxy.answers] == expected


def test_boto3_retries_until_it_is_served(moto_port: int) -> None:
    """A call that is throttled twice takes three attempts and succeeds."""
    rule = Rule(kind="throttle", operation="ListTables", times=2)
    with FaultProxy(moto_port, [rule]) as proxy, client_of(proxy, "dynamodb", attempts=5) as client:
        response = client.list_tables()
        assert [answer.status for answer in proxy.answers] == [400, 400, 200]
        assert response["ResponseMetadata"]["RetryAttempts"] == 2
        assert response["ResponseMetadata"]["RequestId"] == proxy.answers[-1].request_id


def test_the_call_of_a_request(moto_port: int) -> None:
    """Each answer names the call that ``call_of`` found in its request, a retried one several times."""
    with (
        FaultProxy(moto_port, [Rule(kind="throttle")], call_of=lambda request: request.body.decode()[-6:-2]) as proxy,
        client_of(proxy, "dynamodb", attempts=2) as client,
    ):
        for table in ("a-one", "b-two"):
            with pytest.raises(ClientError):
                client.describe_table(TableName=table)

        assert ["-one", "-one", "-two"] == [answer.call for answer in proxy.answers]


def test_an_unknown_kind_is_refused() -> None:
    """A rule with a misspelt kind is rejected instead of becoming another fault."""
    with pytest.raises(ValueError, match="no such kind of fault: trottle"):
        Rule(kind="trottle")  # type: ignore[arg-type]


def test_every_s3_request_is_recognised(moto_port: int) -> None:
    """The log names each S3 call as boto3 does."""
    at, whole = {"Bucket": "every", "Key": "dir/a"}, {"Bucket": "every"}
    with FaultProxy(moto_port) as proxy, client_of(proxy, "s3") as client:
        made: list[str] = []
        client.meta.events.register("before-call.s3", lambda model, **_: made.append(model.name))
        client.create_bucket(**whole)
        client.head_bucket(**whole)
        client.put_object(**at, Body=b"1")
        client.copy_object(**whole, Key="copy", CopySource=at)
        client.get_object(**at)["Body"].read()
        client.head_object(**at)
        client.list_buckets()
        client.list_objects(**whole)
        client.list_objects_v2(**whole, MaxKeys=1)
        client.list_object_versions(**whole)
        client.get_bucket_location(**whole)
        upload = client.create_multipart_upload(**at)["UploadId"]
        client.list_multipart_uploads(**whole)
        part = client.upload_part(**at, UploadId=upload, PartNumber=1, Body=b"2")["ETag"]
        client.list_parts(**at, UploadId=upload)
        client.complete_multipart_upload(
            **at, UploadId=upload, MultipartUpload={"Parts": [{"ETag": part, "PartNumber": 1}]}
        )
        client.abort_multipart_upload(**at, UploadId=client.create_multipart_upload(**at)["UploadId"])
        client.delete_object(**at)
        client.delete_objects(**whole, Delete={"Objects": [{"Key": "copy"}]})
        client.delete_bucket(**whole)

        assert len(set(made)) == 20
        assert [answer.operation for answer in proxy.answers] == made
        assert {answer.service for answer in proxy.answers} == {"s3"}


def test_an_unknown_s3_request(moto_port: int) -> None:
    """An unknown S3 request is named by its method and path."""
    with FaultProxy(moto_port) as proxy:
        exchange(proxy.port, b"OPTIONS /bucket/key?x=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert [answer.operation for answer in proxy.answers] == ["OPTIONS /bucket/key"]


@pytest.mark.parametrize(
    ("method", "path", "rules", "status"),
    [
        pytest.param("GET", "/", [], 200, id="passed-on"),
        pytest.param("GET", "/no-such-bucket", [], 404, id="error-of-moto"),
        pytest.param("HEAD", "/no-such-bucket", [], 404, id="head"),
        pytest.param("GET", "/", [Rule(kind="throttle")], 503, id="fault"),
        pytest.param("HEAD", "/b", [Rule(kind="denied")], 403, id="fault-on-head"),
        pytest.param("BREW", "/", [], 501, id="unknown-method"),
    ],
)
def test_each_answer_has_one_request_id(moto_port: int, method: str, path: str, rules: list[Rule], status: int) -> None:
    """All three headers have the id of the answer log, once each, and an error's body has no other one."""
    with (
        FaultProxy(moto_port, rules) as proxy,
        contextlib.closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=DEADLINE_SECONDS)) as connection,
    ):
        connection.request(method, path)
        response = connection.getresponse()
        body = response.read().decode()
        (answer,) = proxy.answers

    assert (response.status, answer.status) == (status, status)
    assert [response.headers.get_all(name) for name in REQUEST_ID_HEADERS] == [[answer.request_id]] * 3
    if "<RequestId>" in body:
        assert f"<RequestId>{answer.request_id}</RequestId>" in body
        assert body.count("<RequestId>") == 1


def test_request_ids_are_unique_among_threads(moto_port: int) -> None:
    """Each of many concurrent calls gets its own id, the one in the log."""
    with (
        FaultProxy(moto_port) as proxy,
        client_of(proxy, "sts", max_pool_connections=8) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        responses = [pool.submit(client.get_caller_identity) for _ in range(40)]
        seen = [response.result(DEADLINE_SECONDS)["ResponseMetadata"]["RequestId"] for response in responses]

    assert len(set(seen)) == 40
    assert {answer.request_id for answer in proxy.answers} == set(seen)


@pytest.mark.parametrize("rules", [[], [Rule(kind="denied")]], ids=["passed-on", "fault"])
def test_an_answer_to_head_has_no_body(moto_port: int, rules: list[Rule]) -> None:
    """HEAD gets headers only, or the next answer on the connection would be misread."""
    with FaultProxy(moto_port, rules) as proxy:
        received = exchange(proxy.port, b"HEAD /b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert received.partition(b"\r\n\r\n")[2] == b""


def test_an_unsigned_request_is_recognised(moto_port: int) -> None:
    """Without a signature the service is unknown, but the operation and its protocol are known."""
    with FaultProxy(moto_port, [Rule(kind="throttle")]) as proxy:
        with (
            client_of(proxy, "dynamodb", signature_version=UNSIGNED) as client,
            pytest.raises(ClientError, match="ThrottlingException"),
        ):
            client.list_tables()
        assert [(answer.service, answer.operation) for answer in proxy.answers] == [("", "ListTables")]


def test_an_object_is_not_touched(moto_port: int) -> None:
    """An object that is XML with a request id in it comes back unchanged."""
    stored = b"<Log><RequestId>as it was</RequestId></Log>"
    with FaultProxy(moto_port) as proxy, client_of(proxy, "s3") as client:
        client.create_bucket(Bucket="untouched")
        client.put_object(Bucket="untouched", Key="log", Body=stored, ContentType="application/xml")
        with client.get_object(Bucket="untouched", Key="log")["Body"] as body:
            assert body.read() == stored
        assert client.head_object(Bucket="untouched", Key="log")["ContentLength"] == len(stored)


def test_large_bodies_pass(moto_port: int) -> None:
    """An upload of 20 MiB, in parts and with boto3's checksums, comes back unchanged."""
    content = random.Random(1).randbytes(20 * 1024 * 1024)
    with FaultProxy(moto_port) as proxy, client_of(proxy, "s3", max_pool_connections=10) as client:
        client.create_bucket(Bucket="large")
        client.upload_fileobj(io.BytesIO(content), "large", "parts")
        client.put_object(Bucket="large", Key="whole", Body=content, ChecksumAlgorithm="SHA256")
        for key in ("parts", "whole"):
            with client.get_object(Bucket="large", Key=key)["Body"] as body:
                assert body.read() == content
        assert [answer.operation for answer in proxy.answers].count("UploadPart") == 3


def test_a_chunked_body_passes(moto_port: int) -> None:
    """A body in chunks, with extensions and a trailer, is stored whole, with aws-chunked encoding inside it decoded."""
    head = (
        b"PUT /chunked/key HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
        b"Content-Encoding: aws-chunked\r\nX-Amz-Decoded-Content-Length: 11\r\n"
        b"X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\nX-Amz-Trailer: x-amz-checksum-crc32\r\n\r\n"
    )
    inner = b"b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n"
    halves = inner[:9], inner[9:]
    chunks = [b"%x;name=value\r\n%b\r\n" % (len(half), half) for half in halves]
    with FaultProxy(moto_port) as proxy, client_of(proxy, "s3") as client:
        client.create_bucket(Bucket="chunked")
        response = exchange(proxy.port, head, *chunks, b"0\r\nTrailer: x\r\n\r\n")
        assert response.startswith(b"HTTP/1.1 200 ")
        with client.get_object(Bucket="chunked", Key="key")["Body"] as body:
            assert body.read() == b"hello world"


def test_a_client_that_expects_100_gets_it(moto_port: int) -> None:
    """A client that waits for ``100 Continue`` gets it before it has sent its body, and its answer after it."""
    head = (
        b"PUT /expecting HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n"
        b"Connection: close\r\n\r\n"
    )
    with (
        FaultProxy(moto_port, [Rule(kind="denied")]) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port), timeout=DEADLINE_SECONDS) as connection,
        connection.makefile("rb") as received,
    ):
        connection.sendall(head)
        assert received.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert received.readline() == b"\r\n"
        assert proxy.answers == []
        connection.sendall(b"hello")
        assert received.readline() == b"HTTP/1.1 403 Forbidden\r\n"


def test_connections_are_kept_alive_and_closed_at_the_end(moto_port: int) -> None:
    """Requests with any answer share a connection; leaving the context ends it, and the threads with it."""
    threads_before = set(threading.enumerate())
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", 1, timeout=DEADLINE_SECONDS)) as connection:
        with FaultProxy(moto_port, [Rule(kind="denied", method="HEAD")]) as proxy:
            connection.port = proxy.port
            connection.connect()
            kept = connection.sock
            for method, path in [("GET", "/"), ("GET", "/"), ("HEAD", "/b"), ("PUT", "/b"), ("GET", "/")]:
                connection.request(method, path)
                connection.getresponse().read()
                assert connection.sock is kept
        assert kept.recv(1) == b""
    assert set(threading.enumerate()) <= threads_before


def test_without_an_upstream_there_is_a_502() -> None:
    """A stand-in that does not answer is distinguished from the requested faults."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # but does not listen: refused
        with FaultProxy(bound.getsockname()[1]) as proxy, client_of(proxy, "s3") as client:
            with pytest.raises(ClientError, match="BadGateway"):
                client.list_buckets()
            assert [(answer.status, answer.fault) for answer in proxy.answers] == [(502, "upstream")]


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"NONSENSE\r\n\r\n", id="no-http"),
        pytest.param(b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", id="length-not-a-number"),
        pytest.param(b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", id="negative-length"),
        pytest.param(b"PUT /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", id="chunk-without-size"),
        pytest.param(b"PUT /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", id="negative-chunk"),
    ],
)
def test_a_malformed_request_is_answered(moto_port: int, sent: bytes) -> None:
    """A malformed request gets a 400 with a request id, and the connection is closed."""
    with FaultProxy(moto_port) as proxy:
        received = exchange(proxy.port, sent)
        (answer,) = proxy.answers

    assert received.startswith(b"HTTP/1.1 400 ")
    assert received.lower().count(answer.request_id.encode()) == 3
    assert (answer.status, answer.fault) == (400, "malformed")


def test_the_log_holds_the_answers_and_no_secret(moto_port: int) -> None:
    """Each line is one answer as JSON; keys, tokens, signatures and query strings are not in it."""
    log = io.StringIO()
    with FaultProxy(moto_port, [Rule(kind="denied", after=1)], log=log) as proxy, client_of(proxy, "s3") as client:
        client.list_buckets()
        with pytest.raises(ClientError):
            client.list_objects_v2(Bucket="b", Prefix="query-string")
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=DEADLINE_SECONDS)) as plain:
            presigned = client.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"})
            plain.request("GET", presigned.partition(str(proxy.port))[2])
            plain.getresponse().read()
        answers = proxy.answers

    assert [Answer(**json.loads(line)) for line in log.getvalue().splitlines()] == answers
    assert [answer.operation for answer in answers] == ["ListBuckets", "ListObjectsV2", "GetObject"]
    for secret in ("AKIAIOSFODNN7EXAMPLE", SESSION_TOKEN, "Signature", "query-string"):
        assert secret not in log.getvalue()


def test_as_a_command(moto_port: int, tmp_path: Path) -> None:
    """The command prints its port, follows its rules, writes its log and exits cleanly on request."""
    rules, log = tmp_path / "rules.json", tmp_path / "answers.jsonl"
    rules.write_text(json.dumps([{"kind": "throttle", "operation": "ListBuckets", "times": 1}]))
    command = [sys.executable, str(REPOSITORY / "examples" / "faultproxy.py"), "--upstream", str(moto_port)]
    with subprocess.Popen(
        [*command, "--rules", str(rules), "--log", str(log)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            for status in (503, 200):
                request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                assert exchange(port, request).startswith(b"HTTP/1.1 %d " % status)
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_SECONDS) == 0
        finally:
            process.kill()

    answers = [Answer(**json.loads(line)) for line in log.read_text().splitlines()]
    assert [(answer.status, answer.fault) for answer in answers] == [(503, "throttle"), (200, None)]


@pytest.mark.parametrize(
    ("rules", "complaint"),
    [
        pytest.param('[{"kind": "trottle"}]', "no such kind of fault: trottle", id="kind"),
        pytest.param('[{"kind": "reset", "often": 1}]', "often", id="field"),
        pytest.param("[", "--rules: ", id="no-json"),
    ],
)
def test_bad_rules_stop_the_command(tmp_path: Path, rules: str, complaint: str) -> None:
    """Invalid rules are reported on stderr, with exit code 2."""
    path = tmp_path / "rules.json"
    path.write_text(rules)
    ended = subprocess.run(
        [sys.executable, REPOSITORY / "examples" / "faultproxy.py", "--upstream", "1", "--rules", path],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert "Traceback" not in ended.stderr

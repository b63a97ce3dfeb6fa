"""How an event ended."""

from __future__ import annotations

import pytest

from csm_otel.csm.events import ApiCallAttempt, Dialect, Failure
from csm_otel.spans.span_status import UNNAMED_ERROR, Result, result_of

AWS, SDK = Failure("SlowDown", "slow"), Failure("ConnectTimeoutError", "timed out")
EMPTY, WORDS, SAME_WORDS = Failure("", ""), Failure("", "No response body."), Failure("", "slow")


@pytest.mark.parametrize(
    ("status", "aws", "sdk", "error_type", "failure"),
    [
        pytest.param(200, None, None, "", None, id="success"),
        pytest.param(204, None, None, "", None, id="no-content"),
        pytest.param(None, None, None, "", None, id="nothing-known"),
        pytest.param(304, None, None, "", None, id="not-modified"),
        pytest.param(304, Failure("304", "Not Modified"), None, "", None, id="not-modified-named"),
        pytest.param(301, Failure("PermanentRedirect", "there"), None, "", None, id="redirect-named"),
        pytest.param(307, None, SDK, "ConnectTimeoutError", SDK, id="redirect-and-sdk"),
        pytest.param(307, AWS, SDK, "ConnectTimeoutError", SDK, id="redirect-and-both"),
        pytest.param(307, EMPTY, None, "", None, id="redirect-unnamed"),
        pytest.param(400, AWS, None, "SlowDown", AWS, id="refused"),
        pytest.param(599, AWS, None, "SlowDown", AWS, id="server-error"),
        pytest.param(503, AWS, SDK, "SlowDown", AWS, id="refused-both"),
        pytest.param(503, None, SDK, "ConnectTimeoutError", SDK, id="refused-sdk"),
        pytest.param(503, None, None, "503", None, id="status-alone"),
        pytest.param(404, Failure("404", "Not Found"), None, "404", Failure("404", "Not Found"), id="head-404"),
        pytest.param(None, AWS, None, "SlowDown", AWS, id="ruby-network"),
        pytest.param(None, None, SDK, "ConnectTimeoutError", SDK, id="no-response"),
        pytest.param(None, AWS, SDK, "SlowDown", AWS, id="no-response-both"),
        pytest.param(200, AWS, None, "SlowDown", AWS, id="error-body-in-200"),
        pytest.param(200, None, SDK, "ConnectTimeoutError", SDK, id="parse-error-in-200"),
        pytest.param(200, AWS, SDK, "ConnectTimeoutError", SDK, id="both-in-200"),
        pytest.param(None, EMPTY, None, UNNAMED_ERROR, EMPTY, id="php-network"),
        pytest.param(None, None, WORDS, UNNAMED_ERROR, WORDS, id="cpp-message-alone"),
        pytest.param(403, None, WORDS, UNNAMED_ERROR, WORDS, id="cpp-message-alone-refused"),
        pytest.param(502, EMPTY, None, UNNAMED_ERROR, EMPTY, id="unnamed-server-error"),
        pytest.param(None, SAME_WORDS, WORDS, UNNAMED_ERROR, SAME_WORDS, id="two-messages"),
        pytest.param(None, EMPTY, WORDS, UNNAMED_ERROR, WORDS, id="the-one-that-says-something"),
        pytest.param(None, EMPTY, SDK, "ConnectTimeoutError", SDK, id="a-name-beats-none"),
        pytest.param(200, EMPTY, None, "", None, id="success-in-spite-of-empty-fields"),
        pytest.param(200, None, WORDS, "", None, id="success-in-spite-of-a-message"),
    ],
)
def test_result(
    status: int | None, aws: Failure | None, sdk: Failure | None, error_type: str, failure: Failure | None
) -> None:
    """The table of the specification: a name where there is one, a status where there is none, no failure else."""
    event = ApiCallAttempt(
        dialect=Dialect.BOTOCORE, service="S3", api="A", status=status, aws_exception=aws, sdk_exception=sdk
    )

    result = result_of(event)

    assert result == Result(error_type, failure)
    assert result.is_error is bool(error_type)

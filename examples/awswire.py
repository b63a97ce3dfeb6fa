"""The operation of an AWS request, and the errors of each AWS protocol.

In: a `Request`. Out: its service, protocol and operation; headers and body of an error for it. No I/O.
"""

from __future__ import annotations

import dataclasses
import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from email.message import Message

Protocol = Literal["json", "query", "s3"]

# S3 is the one protocol whose requests do not name their operation: (method, is for an object, query key or "").
# The first entry that fits applies, so the one without a query key is last.
S3_OPERATIONS = {
    ("GET", False, "list-type"): "ListObjectsV2",
    ("GET", False, "location"): "GetBucketLocation",
    ("GET", False, "session"): "CreateSession",
    ("GET", False, "uploads"): "ListMultipartUploads",
    ("GET", False, "versions"): "ListObjectVersions",
    ("GET", False, ""): "ListObjects",
    ("HEAD", False, ""): "HeadBucket",
    ("PUT", False, ""): "CreateBucket",
    ("DELETE", False, ""): "DeleteBucket",
    ("POST", False, "delete"): "DeleteObjects",
    ("GET", True, "uploadId"): "ListParts",
    ("GET", True, ""): "GetObject",
    ("HEAD", True, ""): "HeadObject",
    ("PUT", True, "partNumber"): "UploadPart",
    ("PUT", True, ""): "PutObject",
    ("DELETE", True, "uploadId"): "AbortMultipartUpload",
    ("DELETE", True, ""): "DeleteObject",
    ("POST", True, "uploads"): "CreateMultipartUpload",
    ("POST", True, "uploadId"): "CompleteMultipartUpload",
}
CREDENTIAL_SCOPE = re.compile(r"Credential=[^/,]+/[^/,]+/[^/,]+/([^/,]+)/")  # key/date/region/(service)/aws4_request


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An HTTP request as received, its body decoded from chunks."""

    method: str
    target: str
    """Path and query string; the query string may contain a signature."""
    headers: Message
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query string."""
        return urlsplit(self.target).path

    @property
    def service(self) -> str:
        """The signing name (``s3``, ``dynamodb``); empty for a request without a version 4 signature."""
        scope = CREDENTIAL_SCOPE.search(self.headers.get("Authorization", ""))
        return scope[1] if scope else ""

    @property
    def protocol(self) -> Protocol:
        """The protocol of the request; without any evidence (an anonymous GET) S3."""
        content_type = self.headers.get("Content-Type", "")
        if self.service == "s3":  # before the content type, which is that of the object
            return "s3"
        if content_type.startswith("application/x-www-form-urlencoded"):
            return "query"
        return "json" if self.service or "X-Amz-Target" in self.headers else "s3"

    @property
    def operation(self) -> str:
        """The API operation (``PutItem``), or method and path if the request does not name it."""
        unnamed = f"{self.method} {self.path}"
        match self.protocol:
            case "query":
                return parse_qs(self.body.decode("utf-8", "replace")).get("Action", [unnamed])[0]
            case "json":
                return self.headers.get("X-Amz-Target", unnamed).rpartition(".")[2]
            case "s3":
                return self._s3_operation() or unnamed

    def _s3_operation(self) -> str | None:
        if self.path == "/":
            return "ListBuckets"
        if "X-Amz-Copy-Source" in self.headers:
            return "CopyObject"
        of_object = bool(self.path.strip("/").partition("/")[2])
        query_keys = {"", *parse_qs(urlsplit(self.target).query, keep_blank_values=True)}
        fits = (
            name
            for (method, is_of_object, query_key), name in S3_OPERATIONS.items()
            if (method, is_of_object) == (self.method, of_object) and query_key in query_keys
        )
        return next(fits, None)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AwsError:
    """An error response of a service."""

    status: int
    code: str
    message: str

    @classmethod
    def throttling(cls, request: Request) -> AwsError:
        """Return the throttling error of the service."""
        if request.protocol == "s3":
            return cls(status=503, code="SlowDown", message="Please reduce your request rate.")
        if request.service == "dynamodb":
            message = "The level of configured provisioned throughput for the table was exceeded."
            return cls(status=400, code="ProvisionedThroughputExceededException", message=message)
        code = "Throttling" if request.protocol == "query" else "ThrottlingException"
        return cls(status=400, code=code, message="Rate exceeded")

    @classmethod
    def denied(cls, request: Request) -> AwsError:
        """Return the access-denied error of the service."""
        if request.protocol in {"s3", "query"}:
            return cls(status=403, code="AccessDenied", message="Access Denied")
        return cls(status=400, code="AccessDeniedException", message="User is not authorized to perform this action.")

    @classmethod
    def missing(cls, request: Request) -> AwsError:
        """Return the not-found error of the service."""
        code = "NoSuchKey" if request.protocol == "s3" else "ResourceNotFoundException"
        return cls(status=404, code=code, message="The specified resource does not exist.")

    def render(self, protocol: Protocol, request_id: str) -> tuple[dict[str, str], bytes]:
        """Return the headers (except length and request id) and the body of this error."""
        error = f"<Code>{escape(self.code)}</Code><Message>{escape(self.message)}</Message>"
        request_id_element = f"<RequestId>{escape(request_id)}</RequestId>"
        match protocol:
            case "json":
                body = json.dumps({"__type": self.code, "message": self.message}).encode()
                return {"Content-Type": "application/x-amz-json-1.0", "x-amzn-ErrorType": self.code}, body
            case "query":
                blame = "Sender" if self.status < HTTPStatus.INTERNAL_SERVER_ERROR else "Receiver"
                error = f"<Error><Type>{blame}</Type>{error}</Error>"
                body = f"<ErrorResponse>{error}{request_id_element}</ErrorResponse>".encode()
            case "s3":
                body = f"<Error>{error}{request_id_element}</Error>".encode()
        return {"Content-Type": "application/xml"}, b'<?xml version="1.0" encoding="UTF-8"?>\n' + body

"""Frequent errors to a sentence on what to check: `advice_on`."""

from __future__ import annotations

from csm_otel.csm.events import THROTTLING_ERRORS

_EXPIRED = "The credentials have expired; fetch new ones, or let the SDK refresh them."
_DENIED = "The credentials were accepted, but their policies do not allow this action."
_REJECTED = "AWS does not know these credentials; check the access key, and the account and partition it is for."
_NO_CREDENTIALS = "No request was sent, as no credentials were found; check profile, environment and role."
_SKEWED = "The clock of the machine is wrong, or the request was delayed for minutes; check NTP."
_SIGNATURE = "The secret key does not match the access key, or something, as a proxy may, changed the request."
_NO_BUCKET = "No bucket has this name, or it is in another partition; check the name."
_REDIRECTED = "The bucket is in another region than the client."
_THROTTLED = "The API's rate was exceeded; make fewer calls at once, or let the SDK retry with its adaptive mode."
_UNREACHABLE = "There was no connection; check the endpoint, DNS, the proxy and the network."
_TIMED_OUT = "The connection was slower than the client's timeout; check the network, or raise the timeout."
_CERTIFICATE = "The server's certificate is not trusted; a proxy that reads TLS may be in between."

_ADVICE = {
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "CredentialRetrievalError": _NO_CREDENTIALS,
    "CredentialsError": _NO_CREDENTIALS,
    "NoCredentialProviders": _NO_CREDENTIALS,
    "NoCredentialsError": _NO_CREDENTIALS,
    "PartialCredentialsError": _NO_CREDENTIALS,
    "AccessDenied": _DENIED,
    "AccessDeniedException": _DENIED,
    "AuthorizationError": _DENIED,
    "UnauthorizedOperation": _DENIED,
    "Client.UnauthorizedOperation": _DENIED,
    "AuthFailure": _REJECTED,
    "InvalidAccessKeyId": _REJECTED,
    "InvalidClientTokenId": _REJECTED,
    "UnrecognizedClientException": _REJECTED,
    "InvalidSignatureException": _SIGNATURE,
    "SignatureDoesNotMatch": _SIGNATURE,
    "RequestExpired": _SKEWED,
    "RequestInTheFuture": _SKEWED,
    "RequestTimeTooSkewed": _SKEWED,
    "NoSuchBucket": _NO_BUCKET,
    "AuthorizationHeaderMalformed": _REDIRECTED,
    "PermanentRedirect": _REDIRECTED,
    "ConnectionError": _UNREACHABLE,
    "ConnectTimeoutError": _UNREACHABLE,
    "EndpointConnectionError": _UNREACHABLE,
    "NetworkingError": _UNREACHABLE,
    "Seahorse::Client::NetworkingError": _UNREACHABLE,
    "UnknownEndpoint": _UNREACHABLE,
    "UnknownHostException": _UNREACHABLE,
    "ReadTimeoutError": _TIMED_OUT,
    "RequestTimeout": _TIMED_OUT,
    "SocketTimeoutException": _TIMED_OUT,
    "TimeoutError": _TIMED_OUT,
    "SSLError": _CERTIFICATE,
    "SSLHandshakeException": _CERTIFICATE,
}


def advice_on(error: str, *, is_throttling: bool = False) -> str:
    """Return a sentence on an ``error.type``, empty if there is none worth saying."""
    if is_throttling or error in THROTTLING_ERRORS:
        return _THROTTLED
    return _ADVICE.get(error, "")


def is_denial(error: str) -> bool:
    """Return whether an error says that a policy does not allow the call."""
    return _ADVICE.get(error) == _DENIED

"""AWS SDK Client Side Monitoring (CSM) to OpenTelemetry.

The pipeline, one type at each arrow::

    datagram --decode--> Event --Correlator--> Released --SpanMapper--> SpanData --encode--> bytes --deliver--> Outcome

``events``, ``decoding``, ``redaction``, ``correlator`` and ``spans`` are pure: no I/O, no clock, no threads.
``receiver``, ``export``, ``report``, ``agent``, ``serve``, ``exec`` and ``cli`` are the shell around them. Nothing is
imported here, because ``csm-otel exec`` starts its command before it loads any of it.
"""

__version__ = "0.1.0"

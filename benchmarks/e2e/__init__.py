"""csm-otel from end to end, beside a plain bridge and the limit: ``make bench``.

In: recordings of real SDKs, sent by processes of their own over real sockets (`workload`, `senders`). Out: rows of
figures (`table`), each with the baseline that was measured beside it.
"""

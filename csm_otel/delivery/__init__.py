"""Span data to a back end: encode, then deliver; nothing past encoding knows spans.

``list[SpanData] --encode--> bytes --DeliveryQueue--> Deliverer.deliver(bytes) --> Outcome``
"""

from csm_otel.delivery.deliverer import Deliverer, open_deliverer

__all__ = ["Deliverer", "open_deliverer"]

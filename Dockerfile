# csm-otel as an image:
#
#   docker build -t csm-otel .
#   docker run --network host csm-otel
#
# With the host's network, scripts on the host reach it at 127.0.0.1:31000 as they would without a container.
#
# With a network of its own, its loopback address is unreachable from outside. It then has to listen on all addresses,
# which needs a flag. Publish the port on the host's loopback address only: datagrams carry credentials in clear text, and
# anybody who reaches the port can forge calls.
#
#   docker run -p 127.0.0.1:31000:31000/udp csm-otel serve --host 0.0.0.0 --allow-remote
#
# Senders then appear as another host. Use --trust-remote-context to join the trace contexts in their client ids.

FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements.lock requirements-dev.lock ./
RUN python -m venv /opt/csm-otel \
    && /opt/csm-otel/bin/pip install --no-cache-dir --only-binary :all: --require-hashes --no-deps -r requirements.lock
# The build back end and its requirements, verified by hash; pip fails if one is missing here.
RUN awk '/^[a-z]/ { wanted = /^(hatchling|packaging|pathspec|pluggy|shtab|tomlkit|trove-classifiers)==/ } wanted' \
        requirements-dev.lock > requirements-build.lock \
    && pip install --no-cache-dir --only-binary :all: --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY csm_otel csm_otel
COPY scripts scripts
RUN pip wheel --no-deps --no-build-isolation --no-index --wheel-dir dist . \
    && /opt/csm-otel/bin/pip install --no-deps --no-index dist/*.whl

FROM python:3.13-slim
COPY --from=build /opt/csm-otel /opt/csm-otel
ENV PATH=/opt/csm-otel/bin:$PATH PYTHONDONTWRITEBYTECODE=1
# The spool outlives the container if this is a named volume:
#   docker run -v csm-otel-spool:/var/lib/csm-otel ...
RUN install -d -o 65532 -g 65532 -m 0700 /var/lib/csm-otel
VOLUME /var/lib/csm-otel
# Variables, so that they also apply with other arguments of `serve`. The port is on the container's loopback only.
ENV CSM_OTEL_SPOOL=/var/lib/csm-otel CSM_OTEL_HEALTH=31001
# An unprivileged user: ports are above 1023. Besides the spool only the control socket in /tmp is written, unless --file,
# --record or --output is given.
USER 65532:65532
EXPOSE 31000/udp
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["csm-otel", "health", "--timeout", "3"]
ENTRYPOINT ["csm-otel"]
CMD ["serve"]

# csm-otel as an image:
#
#   docker build -t csm-otel .
#   docker run --network host csm-otel
#
# docs/containers.md has the rest: networks of their own, compose, Kubernetes, ECS, service containers of CI.
#
# Where pip needs a configuration to reach packages, `--secret id=pip,src=PIP.CONF` passes it to the build and leaves
# nothing of it in the image; its certificates come with `--secret id=ca,src=FILE`, which it names as /run/secrets/ca.

FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements.lock requirements-dev.lock ./
# The build back end and its requirements, verified by hash like the rest; pip fails if one is missing here.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    awk '/^[a-z]/ { wanted = /^(hatchling|packaging|pathspec|pluggy|shtab|tomlkit|trove-classifiers)==/ } wanted' \
        requirements-dev.lock > requirements-build.lock \
    && python -m venv --without-pip /opt/csm-otel \
    && pip --python /opt/csm-otel/bin/python install --no-cache-dir --only-binary :all: --require-hashes --no-deps \
        -r requirements.lock \
    && pip install --no-cache-dir --only-binary :all: --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY csm_otel csm_otel
COPY scripts scripts
COPY docs/exit-codes.md docs/
RUN pip wheel --no-deps --no-build-isolation --no-index --wheel-dir dist . \
    && pip --python /opt/csm-otel/bin/python install --no-deps --no-index dist/*.whl

FROM python:3.13-slim
# Nothing is installed at run time. The spool outlives the container if this is a named volume:
#   docker run -v csm-otel-spool:/var/lib/csm-otel ...
RUN pip uninstall --yes --quiet --root-user-action ignore pip \
    && rm -r "$(python -c 'import ensurepip; print(*ensurepip.__path__)')" \
    && install -d -o 65532 -g 65532 -m 0700 /var/lib/csm-otel
COPY --from=build /opt/csm-otel /opt/csm-otel
ENV PATH=/opt/csm-otel/bin:$PATH PYTHONDONTWRITEBYTECODE=1
VOLUME /var/lib/csm-otel
# Variables, so that they also apply with other arguments of `serve`. The port is on the container's loopback only.
ENV CSM_OTEL_SPOOL=/var/lib/csm-otel CSM_OTEL_HEALTH=31001
# An unprivileged user: ports are above 1023. Besides the spool only the control socket in /tmp is written, unless --file,
# --record or --output is given, so the root may be read-only.
USER 65532:65532
# GitLab waits until a TCP port answers that the image exposes, which it does from outside with --health 0.0.0.0:31001.
EXPOSE 31000/udp 31001/tcp
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["csm-otel", "health", "--timeout", "3"]
ENTRYPOINT ["csm-otel"]
CMD ["serve"]
# Last, so that they leave the layers above as they are. A time as in RFC 3339, and the commit.
ARG CREATED= REVISION=
LABEL org.opencontainers.image.title=csm-otel \
    org.opencontainers.image.description="AWS SDK Client Side Monitoring (CSM) to OpenTelemetry" \
    org.opencontainers.image.licenses=Apache-2.0 \
    org.opencontainers.image.version=0.1.0 \
    org.opencontainers.image.created=$CREATED \
    org.opencontainers.image.revision=$REVISION

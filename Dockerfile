# The gateway and its locked packages in one virtual environment, run by a user without rights.
# docs/operating.md tells how to run the image.

FROM python:3.13-slim AS build
WORKDIR /src
# The tools stay here. /opt/venv is what goes on, and has no pip of its own.
RUN python -m venv /opt/tools && python -m venv --without-pip /opt/venv
COPY requirements-build.lock requirements.lock ./
RUN /opt/tools/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements-build.lock
RUN /opt/tools/bin/pip --python /opt/venv/bin/python install --no-cache-dir --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY adapters adapters
COPY gateway gateway
RUN /opt/tools/bin/pip wheel --no-cache-dir --no-index --no-deps --no-build-isolation --wheel-dir /dist .
RUN /opt/tools/bin/pip --python /opt/venv/bin/python install --no-cache-dir --no-index --no-deps /dist/*.whl

FROM python:3.13-slim
# Nothing is installed here, so the base's pip can go.
RUN python -m pip uninstall --yes --quiet --root-user-action=ignore pip \
 && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin gateway \
 && install --directory --owner 10001 --group 10001 --mode 700 /var/lib/gateway
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8000
# The configuration must keep port 8000 for this. A proxy in the environment is none for the container itself.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["python", "-c", "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["gateway"]
CMD ["serve", "--config", "/etc/gateway/gateway.yaml"]

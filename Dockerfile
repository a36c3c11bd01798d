# Accord in production: 'serve' and nothing of the demo. Built in two stages; runs as nobody in particular.
FROM python:3.13-slim-bookworm AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /accord
RUN pip install --no-cache-dir uv==0.13.9
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --frozen --no-default-groups --no-install-project
COPY openapi ./openapi
COPY audit ./audit
COPY consent ./consent
COPY providers ./providers
COPY exchange ./exchange
COPY sandbox ./sandbox
RUN uv sync --frozen --no-default-groups --no-editable

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/accord --create-home accord
COPY --from=build /accord/.venv /accord/.venv
ENV PATH=/accord/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ACCORD_HOST=0.0.0.0 \
    ACCORD_PORT=8000 \
    ACCORD_KEYS_DIR=/var/lib/accord/keys \
    ACCORD_DATABASE_URL=sqlite:////var/lib/accord/accord.sqlite
USER 10001
WORKDIR /var/lib/accord
VOLUME /var/lib/accord
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
    CMD ["python", "-c", "import sys, urllib.request as u; sys.exit(u.urlopen('http://127.0.0.1:8000/healthz', timeout=2).status != 200)"]
CMD ["accord", "serve"]

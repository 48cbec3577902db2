# The backend: `chroma-nb serve` on one directory, as a user without rights.
#
#   docker build -t chroma-nb .
#   docker run -e CHROMA_NB_TOKEN=... -p 127.0.0.1:8000:8000 -v chroma_nb_data:/data chroma-nb
#
# or docker-compose.yml beside it.

ARG PYTHON_IMAGE=python:3.12-slim

FROM ${PYTHON_IMAGE} AS build
# hnswlib comes as source: the compiler stays in this stage.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
# An image is built on one processor and run on others.
ENV HNSWLIB_NO_NATIVE=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/chroma_nb
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY chroma_nb chroma_nb
COPY widgets/chroma_nb_widgets widgets/chroma_nb_widgets
COPY notebooks notebooks
RUN /opt/chroma_nb/bin/python -m pip install ".[server]"

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/chroma_nb /opt/chroma_nb
# By number, so that a platform can see that it is not root. A new volume takes over the owner of /data.
RUN install -d -o 10001 -g 10001 -m 0700 /data
# HOME and numba's cache: the only places written to outside of /data, none of them needed to serve.
ENV PATH=/opt/chroma_nb/bin:$PATH \
    HOME=/tmp \
    NUMBA_CACHE_DIR=/tmp/numba \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# A large store loads its graph before it answers.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/api/v1/heartbeat', timeout=4)"]
# The token comes from CHROMA_NB_TOKEN; without it this address is refused. More options may follow: --allow-reset, ...
ENTRYPOINT ["chroma-nb", "serve", "/data", "--host", "0.0.0.0", "--port", "8000"]

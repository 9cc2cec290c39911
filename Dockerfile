# Two stages: one builds and fetches, the other runs as a user without rights. docker-compose.yml beside it keeps the data.
FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends python3 python3-pip python3-venv && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
ENV WELLSPRING_CACHE=/cache
RUN make setup && cargo build --release --locked --package wellspring-api

FROM debian:bookworm-slim
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates curl && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /data wellspring
COPY --from=build /src/target/release/wellspring /usr/local/bin/wellspring
COPY --from=build /cache /usr/share/wellspring
ENV WELLSPRING_CACHE=/usr/share/wellspring WELLSPRING_DATA=/data/wellspring WELLSPRING__AUTH__MODE=keys
USER wellspring
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["curl", "--fail", "--silent", "http://127.0.0.1:8080/health"]
ENTRYPOINT ["wellspring"]
CMD ["serve", "--listen", "0.0.0.0:8080"]

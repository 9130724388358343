# syntax=docker/dockerfile:1
# docker build -t hiroba . && docker run -p 8080:8080 -v hiroba-data:/var/lib/hiroba hiroba

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY crates crates
COPY xtask xtask
# The caches live with the builder, so a changed line does not build every dependency again.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked --package hiroba --bin hiroba \
    && install -D --strip target/dist/hiroba /out/hiroba

FROM debian:bookworm-slim
# The script engine is C++; the slim image lacks its run-time library.
RUN apt-get update && apt-get install -y --no-install-recommends libstdc++6 && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --home-dir /var/lib/hiroba --shell /usr/sbin/nologin hiroba \
    && install -d -o hiroba -g hiroba -m 0700 /var/lib/hiroba
COPY --from=build /out/hiroba /usr/local/bin/hiroba
USER hiroba
VOLUME /var/lib/hiroba
EXPOSE 8080
# The image holds no HTTP client, and bash can ask as well.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/8080; printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3; read -r -u 3 -t 2 line; [[ $line == *' 200 '* ]]"]
# SIGTERM, the default, finishes what runs and then exits 0. Settings may also come as HIROBA_… variables.
ENTRYPOINT ["/usr/local/bin/hiroba"]
CMD ["serve", "--listen", "0.0.0.0:8080", "--data-dir", "/var/lib/hiroba"]

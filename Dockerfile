# hublab in a small image, for the recipes of docs/campaigns.md:
#
#   docker build --tag registry.example.org/hublab .
#   docker run --rm registry.example.org/hublab fuzz --seeds 0..1000

FROM rust:1.95.0-bookworm AS build
# The toolchain of the image is the one of rust-toolchain.toml: no other is fetched.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --profile campaign --locked --bin hublab \
    && install -D target/campaign/hublab /out/hublab

# The same glibc: the program does not run on another libc (README.md, "Limits").
FROM debian:bookworm-slim
COPY --from=build /out/hublab /usr/local/bin/hublab
RUN useradd --uid 10001 --create-home hublab
USER 10001:10001
WORKDIR /home/hublab
ENTRYPOINT ["hublab"]
CMD ["--help"]

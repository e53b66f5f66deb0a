# syntax=docker/dockerfile:1

# docker build --target control-plane -t portcullis-control-plane .
# docker build --target authz         -t portcullis-authz .

FROM rust:1.95.0-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p portcullis-control-plane -p portcullis-authz \
 && install -D --target-directory=/out target/release/portcullis-control-plane target/release/portcullis-authz

# bash and grep come with it: the health checks of docker-compose.yml need no more. The directories are there because
# a new named volume takes over the owner and mode of the directory that it covers.
FROM debian:bookworm-slim AS runtime
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 portcullis \
 && useradd --uid 10001 --gid portcullis --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin portcullis \
 && install -d --owner portcullis --group portcullis --mode 0700 \
        /var/lib/portcullis /var/lib/portcullis/data /var/lib/portcullis/keys \
        /var/lib/portcullis/mesh /var/lib/portcullis/admin \
        /var/lib/portcullis/certificates /var/lib/portcullis/certificates/ca \
        /var/lib/portcullis/certificates/edge /var/lib/portcullis/certificates/authz \
        /var/lib/portcullis/certificates/control-plane /var/lib/portcullis/certificates/admin \
 && install -d --owner portcullis --group portcullis --mode 0755 /var/lib/portcullis-rendered
USER 10001:10001

FROM runtime AS authz
COPY --from=build /out/portcullis-authz /usr/local/bin/
ENTRYPOINT ["portcullis-authz"]
CMD ["--config", "/etc/portcullis/authz.yaml"]

FROM runtime AS control-plane
COPY --from=build /out/portcullis-control-plane /usr/local/bin/
ENTRYPOINT ["portcullis-control-plane"]
CMD ["serve", "--config", "/etc/portcullis/portcullis.yaml"]

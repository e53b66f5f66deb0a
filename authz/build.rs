//! Generates the server of `envoy.service.auth.v3.Authorization`, with messages of our own (`src/ext_authz`).

fn main() {
    let check = tonic_build::manual::Method::builder()
        .name("check")
        .route_name("Check")
        .input_type("crate::ext_authz::CheckRequest")
        .output_type("crate::ext_authz::CheckResponse")
        .codec_path("crate::ext_authz::codec::Codec")
        .build();
    let service = tonic_build::manual::Service::builder()
        .name("Authorization")
        .package("envoy.service.auth.v3")
        .method(check)
        .build();
    tonic_build::manual::Builder::new().build_client(false).compile(&[service]);
}

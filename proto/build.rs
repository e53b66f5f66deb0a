//! Compiles the protobuf definitions with protox, so that nobody has to install protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=portcullis");
    let files = protox::compile(["portcullis/v1/replica.proto", "portcullis/v1/admin.proto"], ["."])?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}

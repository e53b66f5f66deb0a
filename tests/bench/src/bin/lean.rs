//! Allows everything, as cheaply as a server of tonic's can: `lean [full] ADDRESS`.

#![allow(clippy::unwrap_used, reason = "a measurement")]

use mimalloc::MiMalloc;
use portcullis_bench::allow::lean;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (address, full) = (arguments.last().unwrap(), arguments[0] == "full");
    lean(address.parse().unwrap(), full).await;
}

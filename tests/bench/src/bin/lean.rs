//! Allows everything, as cheaply as Portcullis answers at all.

#![allow(clippy::unwrap_used, reason = "a measurement")]

use mimalloc::MiMalloc;
use portcullis_bench::allow::lean;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let address = std::env::args().nth(1).unwrap();
    lean(address.parse().unwrap()).await;
}

//! The pieces of the request path: `cargo bench -p portcullis-bench`.

#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{Criterion, criterion_group, criterion_main};
use portcullis_bench::pieces::Pieces;

fn pieces(criterion: &mut Criterion) {
    let pieces = Pieces::new(0);
    criterion.bench_function("read the question", |bencher| bencher.iter(|| pieces.read()));
    criterion.bench_function("decide, nothing revoked", |bencher| bencher.iter(|| pieces.decide()));
    let revoked = Pieces::new(100_000);
    criterion.bench_function("decide, 100,000 revocations", |bencher| bencher.iter(|| revoked.decide()));
    criterion.bench_function("open the credential", |bencher| bencher.iter(|| pieces.open()));
    criterion.bench_function("decide, open and answer", |bencher| bencher.iter(|| pieces.answer()));
}

criterion_group!(benches, pieces);
criterion_main!(benches);

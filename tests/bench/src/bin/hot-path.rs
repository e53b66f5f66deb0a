//! Does one piece of the request path as often as it is told: for a profiler, and for
//! `tests/bench/tests/instructions.rs`.

#![allow(clippy::unwrap_used, reason = "a measurement")]

use std::hint::black_box;

use portcullis_bench::pieces::Pieces;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (piece, times) = (arguments.next().unwrap(), arguments.next().unwrap());
    let pieces = Pieces::new(1_000);
    for _ in 0..times.parse().unwrap() {
        match piece.as_str() {
            "read" => drop(black_box(black_box(&pieces).read())),
            "answer" => drop(black_box(black_box(&pieces).answer())),
            _ => panic!("no such piece"),
        }
    }
}

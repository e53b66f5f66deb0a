//! Faults that the tests bring about below the programs: power cuts, full disks, clocks that jump.

pub mod disk;
pub mod image;
pub mod journal;
pub mod seeded;
pub mod shim;

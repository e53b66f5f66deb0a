//! Faults that the tests bring about below the programs: power cuts, full disks, clocks that jump.

pub mod dice;
pub mod disk;
pub mod image;
pub mod journal;
pub mod shim;
pub mod small_disk;

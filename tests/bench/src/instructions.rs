//! What was counted in instructions, beside what was accepted.

use std::fs;
use std::path::Path;

/// Panics where `counted` differs by more than `tolerance` percent from what was accepted under this name. With UPDATE in
/// the environment, `counted` is what is accepted from now on.
pub fn judge(name: &str, counted: u64, tolerance: u64) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions").join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, format!("{counted}\n")).unwrap();
    }
    let accepted: u64 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    let (low, high) = (accepted * (100 - tolerance) / 100, accepted * (100 + tolerance) / 100);
    assert!(
        (low..=high).contains(&counted),
        "{name}: {counted} instructions, where {accepted} were accepted. Where that is meant, accept it with UPDATE=1"
    );
}

/// The count in what callgrind says at its end.
pub fn collected(said: &str) -> u64 {
    let count = said.lines().find_map(|line| line.split_once("Collected :")).unwrap().1;
    count.trim().parse().unwrap()
}

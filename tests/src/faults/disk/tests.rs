use super::*;

const FILE: u64 = 7;
const DIRECTORY: u64 = 1;

/// Every outcome of so many power cuts.
const SEEDS: std::ops::Range<u64> = 0..2000;

fn open(path: &str, inode: u64, created: bool) -> Record<'_> {
    Record::Open { path: Path::new(path), inode, created, emptied: false, directory: inode == DIRECTORY }
}

fn write(offset: usize, data: &[u8]) -> Record<'_> {
    Record::Write { inode: FILE, offset, data }
}

fn synced(inode: u64) -> Record<'static> {
    Record::Synced { inode }
}

fn directory() -> Image {
    Image([("/d".into(), None)].into())
}

fn with_file(contents: &[u8]) -> Image {
    let mut image = directory();
    image.0.insert("/d/f".into(), Some(contents.to_vec()));
    image
}

/// What the file holds after power cuts with many seeds; `None` where it is not there.
fn outcomes(before: &Image, journal: &[Record<'_>]) -> Vec<Option<Vec<u8>>> {
    let file = |image: &Image| image.0.get(Path::new("/d/f")).cloned().flatten();
    let mut outcomes: Vec<_> = SEEDS.map(|seed| file(&power_cut(before, journal, seed))).collect();
    outcomes.sort();
    outcomes.dedup();
    outcomes
}

#[test]
fn what_is_synced_is_there_with_its_name() {
    let journal = [open("/d/f", FILE, true), write(0, b"kept"), synced(FILE)];
    assert_eq!(outcomes(&directory(), &journal), [Some(b"kept".to_vec())]);
}

#[test]
fn without_a_sync_a_new_file_may_be_there_or_not_and_hold_its_bytes_or_not() {
    let journal = [open("/d/f", FILE, true), write(0, b"new")];
    assert_eq!(
        outcomes(&directory(), &journal),
        [None, Some(vec![]), Some(vec![0; 3]), Some(b"new".to_vec())]
    );
}

#[test]
fn a_sync_covers_what_came_before_it_and_nothing_after() {
    let journal = [open("/d/f", FILE, false), write(0, b"one"), synced(FILE), write(0, b"two")];
    assert_eq!(outcomes(&with_file(b"old"), &journal), [Some(b"one".to_vec()), Some(b"two".to_vec())]);
}

#[test]
fn a_write_is_torn_between_sectors_and_never_within_one() {
    let (old, new) = (vec![b'-'; 4 * SECTOR], vec![b'+'; 4 * SECTOR]);
    let journal = [open("/d/f", FILE, false), write(0, &new)];
    let outcomes = outcomes(&with_file(&old), &journal);
    assert_eq!(outcomes.len(), 16, "every combination");
    for outcome in outcomes.into_iter().flatten() {
        assert!(outcome.chunks(SECTOR).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
    }
}

#[test]
fn writes_are_reordered_but_a_sector_never_has_the_later_without_the_earlier() {
    let far = 2 * SECTOR;
    let journal = [open("/d/f", FILE, false), write(0, b"a"), write(1, b"b"), write(far, b"c")];
    let outcomes: Vec<_> = outcomes(&with_file(&vec![b'-'; 3 * SECTOR]), &journal)
        .into_iter()
        .flatten()
        .map(|file| [file[0], file[1], file[far]])
        .collect();
    assert_eq!(outcomes, [*b"---", *b"--c", *b"a--", *b"a-c", *b"ab-", *b"abc"]);
}

#[test]
fn names_survive_in_order() {
    let journal = [
        Record::MakeDirectory(Path::new("/d/e")),
        open("/d/f", FILE, true),
        Record::Rename { from: Path::new("/d/f"), to: Path::new("/d/g") },
        Record::Remove(Path::new("/d/g")),
    ];
    let mut seen: Vec<Vec<_>> =
        SEEDS.map(|seed| power_cut(&directory(), &journal, seed).0.into_keys().skip(1).collect()).collect();
    seen.sort();
    seen.dedup();
    let names = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
    assert_eq!(seen, [names(&[]), names(&["/d/e"]), names(&["/d/e", "/d/f"]), names(&["/d/e", "/d/g"])]);
}

#[test]
fn a_sync_of_the_directory_makes_a_rename_durable_and_a_sync_of_the_file_does_not() {
    let rename = Record::Rename { from: Path::new("/d/new"), to: Path::new("/d/f") };
    let new = [open("/d/new", FILE, true), write(0, b"new"), synced(FILE), rename];
    let old = with_file(b"old");
    let either = [Some(b"new".to_vec()), Some(b"old".to_vec())];
    assert_eq!(outcomes(&old, &new), either);
    let with = |more: &[Record<'static>]| [&new[..], more].concat();
    assert_eq!(outcomes(&old, &with(&[synced(FILE)])), either);
    let directory_synced = with(&[open("/d", DIRECTORY, false), synced(DIRECTORY)]);
    assert_eq!(outcomes(&old, &directory_synced), either[..1]);
}

#[test]
fn where_a_truncation_is_lost_what_was_written_over_it_is_too() {
    let truncate = Record::Truncate { inode: FILE, length: 0 };
    let journal = [open("/d/f", FILE, false), truncate, write(0, b"new")];
    let seen = outcomes(&with_file(b"older"), &journal);
    assert_eq!(seen, [Some(vec![]), Some(vec![0; 3]), Some(b"new".to_vec()), Some(b"older".to_vec())]);
    let journal = [&journal[..], &[synced(FILE)]].concat();
    assert_eq!(outcomes(&with_file(b"older"), &journal), [Some(b"new".to_vec())]);
}

#[test]
fn the_same_seed_gives_the_same_outcome() {
    let data = vec![1; 100 * SECTOR];
    let journal = [open("/d/f", FILE, true), write(0, &data), write(SECTOR, &data)];
    for seed in 0..100 {
        assert_eq!(power_cut(&directory(), &journal, seed), power_cut(&directory(), &journal, seed));
    }
}

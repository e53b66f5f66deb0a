//! A file that says that there is a store in the directory. sled takes a database that it can make nothing of for a
//! new one: without the mark, an emptied store would begin anew without a word, and everybody would be logged out.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::open::SEGMENT;

/// Its name.
const MARK: &str = "created";
/// For whoever looks into the directory.
const TEXT: &str =
    "A control plane's store has been created here. As long as this file is there, it is not begun anew.\n";

/// sled's segments begin with this: the CRC of the rest, two numbers.
const HEADER: usize = 20;

/// Whether a store has been created here.
pub(super) fn is_there(path: &Path) -> io::Result<bool> {
    path.join(MARK).try_exists()
}

/// Says so from now on, durably. The store must be durable before.
pub(super) fn leave(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path.join(MARK))?;
    file.write_all(TEXT.as_bytes())?;
    file.sync_all()?;
    File::open(path)?.sync_all()
}

/// What keeps sled from finding what was there; `None` where it finds something at least. Nothing is written: sled would write
/// a new database over what it cannot read.
pub(super) fn what_is_lost(path: &Path) -> io::Result<Option<&'static str>> {
    if !path.join("conf").is_file() {
        return Ok(Some("its file conf is not there"));
    }
    match File::open(path.join("db")) {
        Ok(data) if has_segment(&data)? => Ok(None),
        Ok(_) => Ok(Some("nothing in its file db can be read")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some("its file db is not there")),
        Err(error) => Err(error),
    }
}

fn has_segment(data: &File) -> io::Result<bool> {
    let length = data.metadata()?.len();
    for offset in (0..length).step_by(SEGMENT) {
        let mut header = [0; HEADER];
        match data.read_exact_at(&mut header, offset) {
            Ok(()) if is_header(&header) => return Ok(true),
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Whether sled (0.34, `SegmentHeader`) would read it.
fn is_header(header: &[u8; HEADER]) -> bool {
    let [a, b, c, d, rest @ ..] = header;
    !u32::from_le_bytes([*a, *b, *c, *d]) == crc32fast::hash(rest)
}

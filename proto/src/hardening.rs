//! What a service does before it holds secrets: nobody else gets at its memory or its files.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, setrlimit, umask};

/// No core dump of this process is written, no other process of the same user may look into its memory or its
/// environment (`PR_SET_DUMPABLE`, prctl(2)), and whatever it creates from now on is for its user alone, whatever the
/// umask was.
pub fn keep_to_ourselves() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    umask(Mode::RWXG | Mode::RWXO);
    Ok(())
}

/// Takes from everybody else what they may do with the files and directories in `directory`, one level deep.
///
/// The umask sees to what a process creates. This is for what an earlier version has left, in a directory that others
/// may be able to enter: a volume, or one that an operator has made.
pub fn close_to_others(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let mode = entry.metadata()?.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(entry.path(), Permissions::from_mode(mode & 0o700))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t18_nobody_else_gets_at_memory_or_files() {
        keep_to_ourselves().unwrap();
        assert_eq!(rustix::process::getrlimit(Resource::Core).maximum, Some(0));
        #[cfg(target_os = "linux")]
        assert_eq!(
            rustix::process::dumpable_behavior().unwrap(),
            rustix::process::DumpableBehavior::NotDumpable
        );
        assert_eq!(umask(Mode::RWXG | Mode::RWXO), Mode::RWXG | Mode::RWXO);
    }

    #[test]
    fn t18_what_was_open_to_others_is_closed() {
        let directory = std::env::temp_dir().join(format!("portcullis-hardening-{}", std::process::id()));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        let (file, below) = (directory.join("db"), directory.join("blobs"));
        fs::create_dir_all(&below).unwrap();
        fs::write(&file, "").unwrap();
        set(&file, 0o644);
        set(&below, 0o755);
        close_to_others(&directory).unwrap();
        assert_eq!((mode(&file), mode(&below)), (0o600, 0o700));
        fs::remove_dir_all(&directory).unwrap();
    }
}

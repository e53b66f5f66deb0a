//! `certificates`.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use portcullis_proto::mesh::issue::{Authority, are_made};
use portcullis_proto::mesh::{Names, Role};
use portcullis_proto::time::{Clock as _, SystemClock};

use super::{Certificates, Done};

pub(super) fn make(asked: &Certificates) -> Done {
    let mut output = std::io::stdout();
    if asked.unless_made && are_made(&asked.dir)? {
        writeln!(output, "{}: they have been made", asked.dir.display())?;
        return Ok(ExitCode::SUCCESS);
    }
    let now = SystemClock.now();
    let authority = if let Some(directory) = &asked.ca {
        Authority::read(directory)?
    } else {
        let authority = Authority::new(now)?;
        authority.write(&asked.dir)?;
        authority
    };
    let life = Duration::from_hours(24 * u64::from(asked.days));
    for role in Role::ALL {
        let files = authority.issue(role, &Names::default(), now, life, &asked.dir)?;
        writeln!(output, "{}", files.certificate.display())?;
    }
    Ok(ExitCode::SUCCESS)
}

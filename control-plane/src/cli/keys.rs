//! What operators ask about keys.

use std::io::{Write, stdout};
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use portcullis_proto::time::{Clock, SystemClock, Timestamp};
use portcullis_proto::v1;

use super::admin::{connect, line, words};
use super::{Done, Remote};

pub(super) async fn list(remote: &Remote) -> Done {
    let mut client = connect(remote).await?;
    let answer = client.list_keys(v1::ListKeysRequest {}).await.map_err(words)?.into_inner();
    let mut output = stdout().lock();
    writeln!(output, "KEY\tSTATE\tMADE\tAGE\tROWS")?;
    for key in answer.keys {
        let state = if key.current { "current" } else { "old" };
        let rows = key.rows.to_string();
        let fields: [&str; 5] = [&key.id, state, &date(key.made_at_ms), &age(key.made_at_ms), &rows];
        writeln!(output, "{}", line(fields))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn rotate(remote: &Remote, signing: bool) -> Done {
    let mut client = connect(remote).await?;
    let id = client.rotate_keys(v1::RotateKeysRequest { signing }).await.map_err(words)?.into_inner().id;
    let what = if signing { "signs from now on" } else { "is the master key from now on" };
    writeln!(stdout(), "{} {what}", line([&id]))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn forget(remote: &Remote, id: String) -> Done {
    let mut client = connect(remote).await?;
    client.forget_key(v1::ForgetKeyRequest { id: id.clone() }).await.map_err(words)?;
    writeln!(stdout(), "{} is forgotten", line([&id]))?;
    Ok(ExitCode::SUCCESS)
}

fn date(milliseconds: u64) -> String {
    match milliseconds {
        0 => "-".into(),
        made => humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(made)).to_string(),
    }
}

/// By this machine's clock.
fn age(milliseconds: u64) -> String {
    match milliseconds {
        0 => "-".into(),
        made => {
            let age = SystemClock.now().since(Timestamp::from_millis(made));
            humantime::format_duration(Duration::from_secs(age.as_secs())).to_string()
        }
    }
}

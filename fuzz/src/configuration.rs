//! The two files of the configuration. Operators write them, so what counts is that mistakes are told and not panicked
//! over; what is taken is what its rules say.

use std::path::Path;

use portcullis_control_plane::config;

use crate::text;

/// `portcullis.yaml`.
pub(crate) fn portcullis(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let environment = |name: &str| (name == "SECRET").then(|| "s3cr3t-value".to_owned());
    match config::parse(text, Path::new("portcullis.yaml"), &environment) {
        Ok(config) => {
            assert!(!config.servers.is_empty() && !config.providers.is_empty());
            let debug = format!("{config:?}");
            assert!(!debug.contains("s3cr3t-value"), "a secret is shown");
        }
        Err(problems) => {
            let told = problems.to_string();
            assert!(!told.is_empty() && !told.contains("s3cr3t-value"), "nothing is told, or too much");
        }
    }
}

/// `authz.yaml`.
pub(crate) fn authz(data: &[u8]) {
    let Some(text) = text(data) else { return };
    match portcullis_authz::config::parse(Path::new("authz.yaml"), text) {
        Ok(config) => {
            assert!(config.max_records > 0 && config.max_staleness.as_secs() >= 2);
            assert!(!config.store.as_os_str().is_empty());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

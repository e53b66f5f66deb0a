//! Who calls.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::redirect::Policy;

/// From where requests are made, and with how much patience.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The own address; the system chooses where it is `None`.
    pub address: Option<IpAddr>,
    /// How long one answer may take.
    pub patience: Duration,
}

// === impl Caller ===

impl Default for Caller {
    fn default() -> Self {
        Self { address: None, patience: Duration::from_secs(30) }
    }
}

impl Caller {
    /// What its HTTP clients have in common: none follows a redirect by itself, and each takes the certificates that
    /// tests make.
    pub(super) fn http(self) -> reqwest::ClientBuilder {
        let client = reqwest::Client::builder().redirect(Policy::none()).danger_accept_invalid_certs(true);
        client.timeout(self.patience).local_address(self.address)
    }
}

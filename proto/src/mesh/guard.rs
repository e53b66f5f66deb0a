//! Who may ask a service.

use std::sync::Arc;

use tonic::service::Interceptor;
use tonic::{Extensions, Request, Status};

use super::{Observer, Peer, Refusal, Role};
use crate::seldom::Seldom;

static REFUSED: Seldom = Seldom::new();

/// Lets through requests of one role, and answers others with `PERMISSION_DENIED`.
#[derive(Clone)]
pub struct Guard {
    /// `None` where connections are not TLS: then everybody may.
    role: Option<Role>,
    observer: Arc<dyn Observer>,
}

// === impl Guard ===

impl Guard {
    /// For requests of `role`, where connections are TLS.
    pub fn new(is_tls: bool, role: Role, observer: Arc<dyn Observer>) -> Self {
        Self { role: is_tls.then_some(role), observer }
    }

    /// Whether a request with these extensions may be answered.
    pub fn admit(&self, extensions: &Extensions) -> Result<(), Status> {
        let Some(role) = self.role else { return Ok(()) };
        // What says nothing of its peer has not come through a handshake.
        let peer = match extensions.get::<Peer>() {
            Some(Peer::Verified(roles)) if roles.has(role) => return Ok(()),
            peer => peer,
        };
        self.observer.refused(Refusal::Role);
        if REFUSED.now() {
            tracing::warn!(needed = %role, ?peer, "a request of another role was refused");
        }
        Err(Status::permission_denied(format!("this takes a certificate of the role {role}")))
    }
}

impl Interceptor for Guard {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        self.admit(request.extensions()).map(|()| request)
    }
}

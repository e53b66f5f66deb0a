//! What everybody in the suite works on: the system as it is reached from outside, and the memory of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_proto::v1::admin_client::AdminClient;
use tonic::transport::Channel;

use super::figures::Figures;
use super::model::Model;
use crate::client::{Caller, Client, Metadata};
use crate::stack::{Instance, Stack, admin};

/// How long anybody waits for an answer: shorter than some faults, so that answers get lost.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// The system and the memory.
#[derive(Debug)]
pub(super) struct Site {
    /// The MCP server's URL at the edge.
    pub url: String,
    /// The authorization server's endpoints.
    pub metadata: Metadata,
    /// The authz instances.
    pub instances: Vec<Instance>,
    /// The control plane, for operators.
    pub admin: AdminClient<Channel>,
    model: Mutex<Model>,
    figures: Mutex<Figures>,
}

// === impl Site ===

impl Site {
    /// The site of a stack that is up.
    pub(super) async fn new(stack: &Stack, model: Model) -> Self {
        let at = stack.addresses();
        // The way in which clients find the endpoints is not what is tested here.
        let scout = Client::register(stack.url(), "Scout").await;
        Self {
            url: stack.url().to_owned(),
            metadata: scout.metadata.clone(),
            instances: at.authz.iter().map(|listen| Instance::at(*listen, PATIENCE)).collect(),
            admin: admin(at.grpc, PATIENCE),
            model: Mutex::new(model),
            figures: Mutex::default(),
        }
    }

    /// A caller of its own address: the edge limits how often one address may register.
    pub(super) fn caller(number: u8) -> Caller {
        Caller { address: Some([127, 0, 1, number].into()), patience: PATIENCE }
    }

    /// The memory. Never held while waiting.
    pub(super) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counts.
    pub(super) fn figures(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

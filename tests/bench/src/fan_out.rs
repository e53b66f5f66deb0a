//! How long after an operator has asked for it the last of many instances knows of a revocation.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use portcullis_proto::random::{SystemRandom, bytes};
use portcullis_proto::v1;
use portcullis_proto::v1::admin_client::AdminClient;
use portcullis_proto::v1::scope::Kind;
use portcullis_tests::programs::{Place, free_addresses};
use portcullis_tests::stack::admin;
use tonic::transport::Channel;

use crate::START;
use crate::instance::Instance;
use crate::ladder::allow;
use crate::load::micros;
use crate::portcullis::control_plane;

/// How long a revocation may take. The control plane itself waits no longer than 30 s for instances.
const PATIENCE: Duration = Duration::from_secs(40);
const WAIT_MS: u32 = 30_000;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Instances, each on a connection of its own.
    pub instances: usize,
    /// Revocations.
    pub rounds: usize,
}

/// How long each revocation took until the last instance knew of it, in microseconds.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Of the control plane.
    pub portcullis: Vec<f64>,
    /// Of the bare fan-out.
    pub bare: Vec<f64>,
    /// Of the control plane, until the operator was told that all instances have it.
    pub barrier: Vec<f64>,
}

/// Starts both, with as many instances each, and measures them in turn.
pub async fn measure(place: &Place, extent: Extent) -> Series {
    let [http, grpc, ops] = free_addresses().unwrap();
    let mut control_plane = control_plane(place, http, grpc, ops);
    control_plane.ready(START).await.unwrap();
    let (_bare, bare) = allow(place, "bare-fan-out", "bench", &["bare-fan-out"]).await;
    let mut portcullis = Audience::start(grpc, extent.instances).await;
    let mut bare = Audience::start(bare, extent.instances).await;
    let mut series = Series::default();
    for round in 0..=extent.rounds {
        let (last, told) = portcullis.revoke().await;
        let (bare, _) = bare.revoke().await;
        if round > 0 {
            series.portcullis.push(last); // the first warms up
            series.bare.push(bare);
            series.barrier.push(told);
        }
    }
    eprintln!("{} revocations, {} instances: {series:.0?}", extent.rounds, extent.instances);
    series
}

/// Everyone who follows one log.
struct Audience {
    operator: AdminClient<Channel>,
    instances: Vec<Instance>,
}

// === impl Audience ===

impl Audience {
    async fn start(grpc: SocketAddr, instances: usize) -> Self {
        let mut started = Vec::with_capacity(instances);
        for number in 0..instances {
            started.push(Instance::start(format!("http://{grpc}"), number).await);
        }
        Self { operator: admin(grpc, PATIENCE), instances: started }
    }

    /// Revokes a token that nobody has. Until the last instance knew of it, and until the operator was told so.
    async fn revoke(&mut self) -> (f64, f64) {
        let kind = Some(Kind::TokenId(bytes::<32>(&SystemRandom).to_vec()));
        let request = v1::RevokeRequest { scope: Some(v1::Scope { kind }), wait_ms: WAIT_MS };
        let asked = Instant::now();
        let answer = self.operator.revoke(request).await.unwrap().into_inner();
        let told = asked.elapsed();
        assert!(answer.lagging.is_empty(), "{:?}", answer.lagging);
        let mut last = asked;
        for instance in &mut self.instances {
            last = last.max(instance.applied(answer.sequence).await);
        }
        (micros(last - asked), micros(told))
    }
}

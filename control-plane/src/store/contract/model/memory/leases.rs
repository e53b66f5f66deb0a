//! What the model does about leases.

use portcullis_proto::ids::GrantId;
use portcullis_proto::revocation::{Entry, Scope};
use portcullis_proto::time::Timestamp;

use super::Memory;
use crate::oauth::grant::Upstream;
use crate::oauth::renewal::Renewal;
use crate::store::lease::{Lease, Leasing};

impl Memory {
    pub(in super::super) fn lease(
        &mut self,
        id: &GrantId,
        version: u64,
        now: Timestamp,
        until: Timestamp,
    ) -> Leasing {
        let Some(grant) = self.live_grant(id) else {
            return Leasing::Gone;
        };
        if grant.upstream.version != version {
            return Leasing::Overtaken;
        }
        match grant.upstream.renewal.begin(now, until) {
            Ok(renewal) => {
                self.set_upstream(id, Upstream { renewal, ..grant.upstream });
                Leasing::Leased(Lease { grant: id.clone(), version, attempt: renewal.attempt() })
            }
            Err(busy) => Leasing::Busy(busy),
        }
    }

    pub(in super::super) fn update_upstream(&mut self, lease: &Lease, upstream: Upstream) -> bool {
        if self.live_grant(&lease.grant).is_none_or(|grant| grant.upstream.version != lease.version) {
            return false;
        }
        let upstream = Upstream { version: lease.version + 1, renewal: Renewal::default(), ..upstream };
        self.set_upstream(&lease.grant, upstream);
        true
    }

    pub(in super::super) fn keep_upstream(
        &mut self,
        lease: &Lease,
        upstream: Upstream,
        until: Timestamp,
    ) -> Option<Lease> {
        let stored = self.live_grant(&lease.grant).filter(|grant| grant.upstream.version == lease.version)?;
        let (version, renewal) = (lease.version + 1, stored.upstream.renewal.goes_on(until));
        self.set_upstream(&lease.grant, Upstream { version, renewal, ..upstream });
        Some(Lease { grant: lease.grant.clone(), version, attempt: renewal.attempt() })
    }

    pub(in super::super) fn defer(&mut self, lease: &Lease, until: Timestamp) -> bool {
        let Some(upstream) = self.leased(lease) else {
            return false;
        };
        let renewal = upstream.renewal.deferred(until);
        self.set_upstream(&lease.grant, Upstream { renewal, ..upstream });
        true
    }

    pub(in super::super) fn revoke_leased(&mut self, lease: Lease, now: Timestamp) -> Option<Entry> {
        self.leased(&lease)?;
        Some(self.revoke(Scope::Grant(lease.grant), now))
    }

    /// What is leased, where the lease is the latest.
    fn leased(&self, lease: &Lease) -> Option<Upstream> {
        let upstream = self.live_grant(&lease.grant)?.upstream;
        (upstream.version == lease.version && upstream.renewal.is_held_by(lease.attempt)).then_some(upstream)
    }

    fn set_upstream(&mut self, id: &GrantId, upstream: Upstream) {
        if let Some((grant, _)) = self.grants.get_mut(id) {
            grant.upstream = upstream;
        }
    }
}

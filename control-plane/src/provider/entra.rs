//! `kind: entra`: Microsoft Entra ID, its v2.0 endpoints.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::oidc::{Claims, Oidc, Rules, refused, require};
use super::{App, Http, Identity, OidcSettings, ProviderError, identity};

/// The tenant of personal Microsoft accounts.
const PERSONAL: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// What stands for the tenant in the metadata of the endpoints that are for several.
const ANY_TENANT: &str = "{tenantid}";

/// `kind: entra`.
#[derive(Clone, Debug)]
pub struct EntraSettings {
    /// `authority`: `https://login.microsoftonline.com` by default, without a trailing slash.
    pub authority: String,
    /// `tenant`.
    pub tenant: Tenant,
    /// `allowed_tenants`: the tenants whose users may log in, by their identifiers in lower case; empty: all that
    /// `tenant` says.
    pub allowed_tenants: Vec<String>,
    /// The app.
    pub app: App,
}

/// Whose users can log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tenant {
    /// Those of the tenant with this identifier, in lower case.
    Id(String),
    /// Those of the tenant that has this domain.
    Domain(String),
    /// `common`: those of any tenant, and personal accounts.
    Common,
    /// `organizations`: those of any tenant.
    Organizations,
    /// `consumers`: personal accounts.
    Consumers,
}

#[derive(Debug)]
struct Entra {
    authority: String,
    tenant: Tenant,
    allowed_tenants: Vec<String>,
}

// === impl EntraSettings ===

impl EntraSettings {
    /// OpenID Connect, with Entra's rules.
    pub(super) fn connect(self, http: Http) -> Oidc {
        let Self { authority, tenant, allowed_tenants, app } = self;
        let issuer = issuer(&authority, tenant.segment());
        let rules = Entra { authority, tenant, allowed_tenants };
        Oidc::with_rules(OidcSettings { issuer, app }, Box::new(rules), http)
    }
}

// === impl Tenant ===

impl Tenant {
    /// From what stands in Entra's URLs. `None` where it is neither an identifier, nor a domain, nor one of
    /// Entra's own words.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "common" => Self::Common,
            "organizations" => Self::Organizations,
            "consumers" => Self::Consumers,
            _ if is_id(text) => Self::Id(text.to_ascii_lowercase()),
            _ if identity::is_domain(text) => Self::Domain(text.to_owned()),
            _ => return None,
        })
    }

    /// Whether its users are those of several tenants.
    pub fn is_several(&self) -> bool {
        matches!(self, Self::Common | Self::Organizations)
    }

    fn segment(&self) -> &str {
        match self {
            Self::Id(id) => id,
            Self::Domain(domain) => domain,
            Self::Common => "common",
            Self::Organizations => "organizations",
            Self::Consumers => "consumers",
        }
    }

    /// Whether the tenant with this identifier can be meant.
    fn covers(&self, id: &str) -> bool {
        match self {
            Self::Id(own) => id == own,
            Self::Consumers => id == PERSONAL,
            Self::Organizations => id != PERSONAL,
            // Which tenant has the domain, the discovery document says.
            Self::Domain(_) | Self::Common => true,
        }
    }
}

/// Whether it is a tenant's or user's identifier: a GUID.
pub(crate) fn is_id(text: &str) -> bool {
    let hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && text.split('-').all(hex)
}

fn issuer(authority: &str, tenant: &str) -> String {
    format!("{authority}/{tenant}/v2.0")
}

// === impl Entra ===

impl Rules for Entra {
    /// `oid` comes with `profile` only, and a refresh token with `offline_access` only.
    fn scopes(&self) -> &'static [&'static str] {
        &["openid", "profile", "offline_access"]
    }

    /// The tenant is named by its identifier, or by what stands for any. Under the same authority in any case.
    fn is_issuer(&self, _: &str, said: &str) -> bool {
        let tenant = said.strip_prefix(&self.authority).and_then(|rest| rest.strip_prefix('/'));
        tenant.and_then(|rest| rest.strip_suffix("/v2.0")).is_some_and(|tenant| {
            (tenant == ANY_TENANT && self.tenant.is_several())
                || (is_id(tenant) && self.tenant.covers(tenant))
        })
    }

    /// The issuer is the user's own tenant: the one in `tid`, whose tokens the key signs.
    fn token_issuer<'a>(&self, discovered: &'a str, claims: &Claims) -> Result<Cow<'a, str>, ProviderError> {
        let tenant =
            claims.text("tid").filter(|tid| is_id(tid)).ok_or_else(|| refused("tid is no identifier"))?;
        let issuer = issuer(&self.authority, tenant);
        let names = |template: &str| template.replace(ANY_TENANT, tenant) == issuer;
        require(names(discovered) && self.tenant.covers(tenant), "tid is another tenant's")?;
        require(claims.key_issuer.as_deref().is_none_or(names), "its key is another tenant's")?;
        Ok(Cow::Owned(issuer))
    }

    /// The subject is the account, `oid.tid`, which is how Microsoft's own libraries write it: `sub` is another one
    /// for each app, and an e-mail address or a user name can be given to somebody else.
    ///
    /// A tenant's administrators write whatever address they like into an account. That the tenant owns the address's
    /// domain, `xms_edov` says alone (Microsoft's "Optional claims reference").
    fn admit(&self, claims: &Map<String, Value>, mut identity: Identity) -> Result<Identity, ProviderError> {
        let [object, tenant] =
            ["oid", "tid"].map(|claim| identity::text(claims, claim).filter(|id| is_id(id)));
        let (Some(object), Some(tenant)) = (object, tenant) else {
            return Err(refused("oid is no identifier"));
        };
        if !self.allowed_tenants.is_empty() && !self.allowed_tenants.iter().any(|id| id == tenant) {
            return Err(ProviderError::NotAllowed(format!(
                "the tenant {tenant} is not one of those allowed"
            )));
        }
        let subject = identity::subject(&format!("{object}.{tenant}"));
        identity.subject = subject.ok_or_else(|| refused("oid is no identifier"))?;
        identity.facts.email_verified = owns_domain(claims.get("xms_edov"));
        identity.facts.organizations.insert(tenant.to_ascii_lowercase());
        Ok(identity)
    }

    /// It is Microsoft Graph's, and the access token is for whatever the scopes name.
    fn has_userinfo(&self) -> bool {
        false
    }
}

/// `xms_edov` is a truth value by its documentation, and has been seen as a 1.
fn owns_domain(claim: Option<&Value>) -> bool {
    identity::is_true(claim) || claim.is_some_and(|value| *value == 1 || *value == "1")
}

#[cfg(test)]
mod tests;

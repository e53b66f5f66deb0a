//! What clients and operators do, each deed with its note in the memory: before it, what is asked for, and after
//! it, what was answered.

use std::fmt;
use std::sync::Arc;

use portcullis_proto::v1::scope::Kind as Scope;
use portcullis_proto::v1::{self, SubjectScope};
use tokio::time::Instant;
use tonic::Code;

use super::model::{Acknowledged, Held, Kind, Login, Said, SessionId, Target, token_id};
use super::site::Site;
use crate::client::{Caller, Client, Failure};

/// Who is asked about an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Envoy, which asks any instance.
    Edge,
    /// One instance.
    Instance(usize),
}

// === impl Asked ===

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edge => f.write_str("the edge"),
            Self::Instance(instance) => write!(f, "authz {instance}"),
        }
    }
}

// === impl Site ===

impl Site {
    /// Registers a client.
    pub(super) async fn register(&self, caller: Caller) {
        let registered = Client::attempt_register(caller, &self.url, &self.metadata, "Fault suite").await;
        self.figures().operation("register", registered.is_ok());
        match registered {
            Ok(client) => self.model().registered(client),
            Err(failure) if failure.is_outage() => {}
            Err(failure) => self.model().judge(Kind::Lost, format!("a registration was refused: {failure}")),
        }
    }

    /// Logs a user in.
    pub(super) async fn log_in(&self, client: Arc<Client>, user: &'static str) {
        let login = Login::new(client.clone(), user, Instant::now());
        let tokens = async {
            let (authorization, code) = client.attempt_authorize(user).await?;
            client.attempt_redeem(&authorization, &code).await
        };
        let tokens = tokens.await;
        self.figures().operation("log in", tokens.is_ok());
        match tokens {
            Ok(tokens) => self.model().logged_in(login, tokens, Instant::now()),
            Err(failure) => self.model().login_refused(&login, &failure, Instant::now()),
        }
    }

    /// Uses a session's refresh token. Tells whether there was an answer that says anything.
    pub(super) async fn refresh(&self, session: SessionId) -> bool {
        let Some(refreshing) = self.model().refresh(session, Instant::now()) else { return false };
        let answer = refreshing.client.attempt_refresh(&refreshing.refresh_token).await;
        let answered = !matches!(&answer, Err(failure) if failure.is_outage());
        self.figures().operation("refresh", answered);
        self.model().refreshed(&refreshing, answer, Instant::now());
        answered
    }

    /// Uses an access token. Tells whether it was decided upon.
    pub(super) async fn call(&self, held: &Held, asked: Asked) -> bool {
        let began = Instant::now();
        let said = match asked {
            Asked::Edge => held.client.attempt_status(&held.access_token).await.ok().map(Said::from),
            Asked::Instance(instance) => {
                let decision = self.instances[instance].check(&held.access_token).await.ok();
                decision.map(|decision| {
                    if let Some(grant) = decision.grant {
                        self.model().is_grant(held.session, grant);
                    }
                    Said::from(decision.status)
                })
            }
        };
        let said = said.unwrap_or(Said::Undecided);
        let now = Instant::now();
        let mut model = self.model();
        let kind = match (asked, model.is_dead(held)) {
            (Asked::Edge, false) => "call through the edge",
            (Asked::Edge, true) => "call, revoked",
            (Asked::Instance(_), false) => "check",
            (Asked::Instance(_), true) => "check, revoked",
        };
        model.said(held, &asked, said, began, now);
        drop(model);
        self.figures().operation(kind, said != Said::Undecided);
        said != Said::Undecided
    }

    /// A client revokes its access token. Tells whether that was acknowledged.
    pub(super) async fn revoke_token(&self, held: &Held) -> bool {
        let target = Target::Token(held.session, held.access_token.clone());
        let revoking = held.client.attempt_revoke(&held.access_token);
        self.revoke_by_client("revoke access token", target, revoking).await
    }

    /// A client revokes its refresh token, and so the session. Tells whether that was acknowledged.
    pub(super) async fn revoke_session(&self, session: SessionId) -> bool {
        let Some((client, refresh_token)) = self.model().refresh_token(session) else { return true };
        let revoking = client.attempt_revoke(&refresh_token);
        self.revoke_by_client("revoke refresh token", Target::Session(session), revoking).await
    }

    async fn revoke_by_client(
        &self,
        kind: &'static str,
        target: Target,
        revoking: impl Future<Output = Result<(), Failure>>,
    ) -> bool {
        let revocation = self.model().revoke(target, Instant::now());
        let answer = revoking.await;
        let (now, acknowledged) = (Instant::now(), answer.is_ok());
        self.figures().operation(kind, acknowledged);
        let mut model = self.model();
        model.revoked(&revocation, acknowledged.then_some(Acknowledged::Durable), now);
        if let Err(failure) = answer
            && !failure.is_outage()
        {
            // RFC 7009 section 2.2: even a token that is not known is answered with 200.
            model.judge(Kind::Lost, format!("a revocation was refused: {failure}"));
        }
        acknowledged
    }

    /// An operator revokes.
    pub(super) async fn revoke_as_operator(&self, target: Target) {
        let (kind, scope) = match &target {
            Target::Token(_, text) => {
                ("operator revokes token", token_id(text).map(|id| Scope::TokenId(id.as_bytes().to_vec())))
            }
            Target::Session(session) => {
                ("operator revokes grant", self.model().grant(*session).map(Scope::GrantId))
            }
            Target::Client(client) => ("operator revokes client", Some(Scope::ClientId(client.clone()))),
            Target::User(user) => {
                let (provider, subject) = ("corp".to_owned(), (*user).to_owned());
                ("operator revokes subject", Some(Scope::Subject(SubjectScope { provider, subject })))
            }
        };
        let Some(scope) = scope else { return };
        let known_client = matches!(target, Target::Client(_));
        let revocation = self.model().revoke(target, Instant::now());
        let scope = v1::Scope { kind: Some(scope) };
        let request = v1::RevokeRequest { scope: Some(scope), wait_ms: 1000 };
        let answer = self.admin.clone().revoke(request).await;
        let now = Instant::now();
        self.figures().operation(kind, answer.is_ok());
        let acknowledged = answer.as_ref().ok().map(|answer| {
            let answer = answer.get_ref();
            let everywhere =
                usize::try_from(answer.applied).is_ok_and(|applied| applied >= self.instances.len());
            if everywhere && answer.lagging.is_empty() {
                Acknowledged::Effective
            } else {
                Acknowledged::Durable
            }
        });
        let mut model = self.model();
        model.revoked(&revocation, acknowledged, now);
        // Where a grant is not found, another revocation was faster, and perhaps is not acknowledged yet: that
        // promises nothing. A client does not go away.
        if known_client && answer.is_err_and(|status| status.code() == Code::NotFound) {
            model.judge(Kind::Lost, "a client that has registered is not found".to_owned());
        }
    }
}

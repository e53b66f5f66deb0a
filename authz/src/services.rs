//! What Envoy may ask: for decisions, where it shows that it is the edge, and for health.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use portcullis_proto::mesh::Guard;
use tokio_util::either::Either;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tower::Service;

use crate::pieces::Pieces;

/// One service that only some may ask, and others. There is no router in front of that one: it is asked about every
/// request, and some of its answers would cost less than the router.
#[derive(Clone)]
pub struct Services<S> {
    guarded: S,
    guard: Guard,
    others: Routes,
}

/// The answer to somebody who may not ask.
type Refused = Ready<Result<Response<Body>, Infallible>>;

/// An answer to come, which goes out in [`Pieces`].
pub struct InPieces<F>(F);

// === impl Services ===

impl<S> Services<S> {
    /// `guarded` is for those whom the guard lets through.
    pub fn new(guarded: S, guard: Guard, others: Routes) -> Self {
        Self { guarded, guard, others }
    }
}

impl<S> Service<Request<Body>> for Services<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Unpin> + NamedService,
{
    type Response = Response<Pieces>;
    type Error = Infallible;
    type Future = InPieces<Either<S::Future, Either<Refused, <Routes as Service<Request<Body>>>::Future>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        match self.guarded.poll_ready(cx) {
            Poll::Ready(Ok(())) => Service::<Request<Body>>::poll_ready(&mut self.others, cx),
            pending => pending,
        }
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        InPieces(if is_for(S::NAME, request.uri().path()) {
            match self.guard.admit(request.extensions()) {
                Ok(()) => Either::Left(self.guarded.call(request)),
                Err(status) => Either::Right(Either::Left(ready(Ok(status.into_http())))),
            }
        } else {
            Either::Right(Either::Right(self.others.call(request)))
        })
    }
}

// === impl InPieces ===

impl<F: Future<Output = Result<Response<Body>, Infallible>> + Unpin> Future for InPieces<F> {
    type Output = Result<Response<Pieces>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_ok(|response| response.map(Pieces::from))
    }
}

/// Whether a path is that of one of a service's methods: `/` service `/` method.
fn is_for(service: &str, path: &str) -> bool {
    path.strip_prefix('/')
        .and_then(|path| path.strip_prefix(service))
        .is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_for_the_service_that_it_begins_with_and_for_no_other() {
        let service = "envoy.service.auth.v3.Authorization";
        for (path, expected) in [
            ("/envoy.service.auth.v3.Authorization/Check", true),
            ("/envoy.service.auth.v3.Authorization/Another", true),
            ("/envoy.service.auth.v3.Authorizations/Check", false),
            ("/envoy.service.auth.v3.Authorization", false),
            ("envoy.service.auth.v3.Authorization/Check", false),
            ("/grpc.health.v1.Health/Check", false),
            ("/", false),
        ] {
            assert_eq!(is_for(service, path), expected, "{path}");
        }
    }
}

//! What is fetched, and what is not, from a web site on loopback that the development setting names.

use std::time::{Duration, Instant};

use portcullis_control_plane::client_document::{
    Development, DocumentError, GuardedWeb, Page, Policy, Standing, Web,
};
use portcullis_control_plane::oauth::document_url::DocumentUrl;
use portcullis_tests::documents::{DocumentSite, Reply};

const PATH: &str = "/client.json";

fn policy(site: &DocumentSite) -> Policy {
    let ca = std::fs::read_to_string(site.ca()).unwrap();
    Policy { development: Development { addresses: vec![site.address()], ca: Some(ca) }, ..Policy::default() }
}

async fn get(site: &DocumentSite, policy: &Policy) -> Result<Page, DocumentError> {
    let url = DocumentUrl::parse(&site.url(PATH)).unwrap();
    GuardedWeb::new(policy).unwrap().get(&url, Standing::Stranger).await
}

async fn answered(reply: Reply) -> Result<Page, DocumentError> {
    let site = DocumentSite::start().await;
    site.reply(PATH, reply);
    get(&site, &policy(&site)).await
}

#[tokio::test]
async fn a_document_is_fetched_with_the_time_that_its_server_gives_it() {
    let reply = Reply { header: Some(("cache-control", "max-age=3600".into())), ..Reply::json("{}") };
    let page = Page { body: b"{}".to_vec(), fresh_for: Duration::from_hours(1) };
    assert_eq!(answered(reply).await, Ok(page));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let site = DocumentSite::start().await;
    site.publish("/other", &serde_json::json!({}));
    for status in [301, 302, 303, 307, 308] {
        let location = Some(("location", site.url("/other")));
        site.reply(PATH, Reply { status, header: location, ..Reply::json("{}") });
        assert_eq!(
            get(&site, &policy(&site)).await,
            Err(DocumentError::Unavailable("it redirects")),
            "{status}"
        );
    }
    assert_eq!(site.asked(), [PATH; 5]);
}

#[tokio::test]
async fn only_json_with_status_200_and_at_most_5_kib_is_a_document() {
    let long = |length: usize| Reply::json(&"x".repeat(length));
    assert_eq!(answered(long(5 * 1024)).await.map(|page| page.body.len()), Ok(5 * 1024));
    assert_eq!(answered(long(5 * 1024 + 1)).await, Err(DocumentError::Malformed));
    assert_eq!(answered(long(4 << 20)).await, Err(DocumentError::Malformed));
    let html = Reply { content_type: "text/html", ..Reply::json("{}") };
    assert_eq!(answered(html).await, Err(DocumentError::Malformed));
    for (status, expected) in [
        (201, DocumentError::Unavailable("its server answers with an error")),
        (403, DocumentError::Unavailable("its server answers with an error")),
        (404, DocumentError::Gone),
        (410, DocumentError::Gone),
        (500, DocumentError::Unavailable("its server answers with an error")),
    ] {
        assert_eq!(answered(Reply { status, ..Reply::json("{}") }).await, Err(expected), "{status}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_after_five_seconds() {
    let started = Instant::now();
    let answer = answered(Reply { hangs: true, ..Reply::json("{}") }).await;
    assert_eq!(answer, Err(DocumentError::Unavailable("no answer in time")));
    assert!((5..10).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
}

#[tokio::test]
async fn without_the_development_setting_loopback_is_out_of_reach() {
    let site = DocumentSite::start().await;
    site.publish(PATH, &serde_json::json!({}));
    assert_eq!(get(&site, &Policy::default()).await, Err(DocumentError::Port));

    // The port is open, but for another address: the name's own are not connected to.
    let mut elsewhere = policy(&site);
    elsewhere.development.addresses = vec![([127, 0, 0, 9], site.address().port()).into()];
    assert_eq!(get(&site, &elsewhere).await, Err(DocumentError::NotPublic));

    // The address is open, but nobody vouches for the certificate.
    let mut untrusted = policy(&site);
    untrusted.development.ca = None;
    assert_eq!(get(&site, &untrusted).await, Err(DocumentError::Unavailable("no connection")));
    assert!(site.asked().is_empty());
}

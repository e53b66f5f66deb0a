use std::sync::Mutex;

use http::HeaderValue;
use tokio::net::TcpListener;

use super::*;
use crate::client_document::Development;

/// One name, with whatever addresses.
#[derive(Default)]
struct Scripted {
    addresses: Vec<IpAddr>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Names for Scripted {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().unwrap().push(host.to_owned());
        Ok(self.addresses.clone())
    }
}

fn names(addresses: &[&str]) -> Arc<Scripted> {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    Arc::new(Scripted { addresses, ..Scripted::default() })
}

async fn resolved(addresses: &[&str], policy: &Policy, port: u16) -> Option<Vec<String>> {
    let guard = Guard { port, policy: Arc::new(policy.clone()), names: names(addresses) };
    match guard.resolve("app.example".parse().unwrap()).await {
        Ok(reached) => Some(reached.map(|address| address.to_string()).collect()),
        Err(error) => {
            assert!(error.is::<NoneReached>());
            None
        }
    }
}

#[tokio::test]
async fn of_an_answer_with_public_and_private_addresses_only_the_public_ones_are_connected_to() {
    let mixed = [
        "10.0.0.1",
        "1.1.1.1",
        "127.0.0.1",
        "::1",
        "2606:4700:4700::1111",
        "::ffff:1.1.1.1",
        "64:ff9b::101:101",
        "169.254.169.254",
    ];
    let reached = resolved(&mixed, &Policy::default(), 443).await.unwrap();
    assert_eq!(reached, ["1.1.1.1:443", "[2606:4700:4700::1111]:443"]);
    assert_eq!(resolved(&["10.0.0.1", "::1"], &Policy::default(), 443).await, None);
    assert_eq!(resolved(&[], &Policy::default(), 443).await, None);
}

/// Listens where a public name points to, and counts those who come.
#[tokio::test]
async fn a_document_is_never_fetched_from_a_private_address() {
    let private = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let port = private.local_addr().unwrap().port();
    // The port is open in development, for another address.
    let development = Development { addresses: vec![([127, 0, 0, 1], port).into()], ca: None };
    let policy = Policy { development, ..Policy::default() };
    let names = names(&["127.0.0.2", "10.0.0.1", "::1"]);
    let web = GuardedWeb::with_names(&policy, &|| names.clone()).unwrap();
    let url = DocumentUrl::parse(&format!("https://app.example:{port}/client.json")).unwrap();
    assert_eq!(web.get(&url, Standing::Stranger).await, Err(DocumentError::NotPublic));
    assert_eq!(*names.asked.lock().unwrap(), ["app.example"]);
    let nobody = tokio::time::timeout(Duration::from_millis(100), private.accept()).await;
    assert!(nobody.is_err(), "{nobody:?}");
}

#[tokio::test]
async fn other_ports_than_https_are_not_even_looked_up() {
    let names = names(&["1.1.1.1"]);
    let web = GuardedWeb::with_names(&Policy::default(), &|| names.clone()).unwrap();
    for url in ["https://app.example:8443/c", "https://app.example:22/c"] {
        assert_eq!(
            web.get(&DocumentUrl::parse(url).unwrap(), Standing::Known).await,
            Err(DocumentError::Port),
            "{url}"
        );
    }
    assert!(names.asked.lock().unwrap().is_empty());
}

/// One host's names cannot be looked up.
#[derive(Default)]
struct Hanging;

#[async_trait]
impl Names for Hanging {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        if host.ends_with("evil.example") {
            std::future::pending::<()>().await;
        }
        Ok(vec![[10, 0, 0, 1].into()])
    }
}

#[tokio::test(start_paused = true)]
async fn t17_a_site_that_hangs_keeps_no_other_from_being_fetched() {
    let web = Arc::new(GuardedWeb::with_names(&Policy::default(), &|| Arc::new(Hanging)).unwrap());
    let mut flood = tokio::task::JoinSet::new();
    for number in 0..100 {
        let web = web.clone();
        let url = DocumentUrl::parse(&format!("https://{number}.evil.example/c")).unwrap();
        flood.spawn(async move { web.get(&url, Standing::Stranger).await });
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    let url = DocumentUrl::parse("https://app.example/c").unwrap();
    for standing in [Standing::Stranger, Standing::Known] {
        assert_eq!(web.get(&url, standing).await, Err(DocumentError::NotPublic), "it was asked for");
    }
}

#[tokio::test(start_paused = true)]
async fn t17_those_who_are_known_do_not_wait_for_strangers() {
    let web = Arc::new(GuardedWeb::with_names(&Policy::default(), &|| Arc::new(Hanging)).unwrap());
    let mut flood = tokio::task::JoinSet::new();
    for number in 0..200 {
        let web = web.clone();
        let url = DocumentUrl::parse(&format!("https://a.{number}evil.example/c")).unwrap();
        flood.spawn(async move { web.get(&url, Standing::Stranger).await });
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    let url = DocumentUrl::parse("https://app.example/c").unwrap();
    let crowded = DocumentError::Unavailable("too many others are being fetched");
    assert_eq!(web.get(&url, Standing::Stranger).await, Err(crowded));
    assert_eq!(web.get(&url, Standing::Known).await, Err(DocumentError::NotPublic), "it was asked for");
}

#[test]
fn json_is_what_says_so() {
    let is = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(value).unwrap());
        is_json(&headers)
    };
    for value in ["application/json", "Application/JSON; charset=utf-8", "application/jwk-set+json"] {
        assert!(is(value), "{value}");
    }
    for value in ["text/html", "text/json", "application/jsonp", "application/x+json2", "json", ""] {
        assert!(!is(value), "{value}");
    }
    assert!(!is_json(&HeaderMap::new()));
}

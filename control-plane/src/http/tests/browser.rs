use axum::http::{Request, header};

use super::harness::World;
use super::login::{Browser, public, query};

#[tokio::test]
async fn the_cookie_is_for_this_host_alone_where_the_issuer_has_https() {
    for (url, name, secure) in [
        ("http://localhost:10000/demo/mcp", "portcullis", ""),
        ("https://mcp.example.com/mcp", "__Host-portcullis", "; Secure"),
    ] {
        let world = World::serving(&[("demo", url)]);
        let client = world.register(public()).await;
        let page = world.authorize(&client, &[]).await;
        let cookie = page.answer.header("set-cookie");
        let (value, attributes) =
            cookie.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).unwrap().split_at(43);
        assert!(value.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{cookie}");
        assert_eq!(attributes, format!("; Path=/; HttpOnly; SameSite=Lax{secure}"));
        // Over https, a cookie that another host or plain http could have set does not count.
        let planted = Browser(Some(format!("portcullis={value}")));
        let replaced =
            !world.authorize_in(&planted, &client, &[]).await.answer.header("set-cookie").is_empty();
        assert_eq!(replaced, url.starts_with("https"));
    }
}

#[tokio::test]
async fn t10_a_cookie_that_is_not_ours_or_there_twice_is_none() {
    let world = World::new();
    let client = world.register(public()).await;
    let page = world.authorize(&client, &[]).await;
    let cookie = page.browser.0.clone().unwrap();
    let other = world.authorize(&client, &[]).await.browser.0.unwrap();
    for cookies in [
        vec![format!("{cookie}; {other}")],
        vec![cookie.clone(), other.clone()],
        vec![cookie[..cookie.len() - 1].to_owned()],
        vec![format!("{cookie}x")],
        vec![cookie.replace("portcullis", "portcullis2")],
        vec![String::from("portcullis")],
        vec![String::from("portcullis=")],
    ] {
        let form = query(&[("request", &page.request), ("csrf", &page.csrf), ("decision", "approve")]);
        let mut request = Request::post("/consent")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin");
        for line in &cookies {
            request = request.header(header::COOKIE, line);
        }
        assert!(world.send(request, form).await.is_page(403), "{cookies:?}");
    }
    // Cookies of others beside it do no harm.
    let crowded = Browser(Some(format!("a=b; {cookie}; c; =d")));
    assert_eq!(world.authorize_in(&crowded, &client, &[]).await.answer.header("set-cookie"), "");
}

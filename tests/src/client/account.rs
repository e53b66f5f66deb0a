//! The account page, as a user has it in a browser.

use http::StatusCode;
use url::Url;

use super::{Answer, Browser, Visit};

/// Somebody who has logged in on the account page.
#[derive(Clone, Debug)]
pub struct Account {
    browser: Browser,
    url: Url,
}

// === impl Account ===

impl Account {
    /// Logs in on the account page of an origin, in a browser of its own.
    pub async fn log_in(origin: &str, user: &str) -> Self {
        let (browser, url) = (Browser::new(), format!("{origin}/account"));
        let start = Url::parse(&url).expect("a URL");
        browser.visit(&start, &url, Visit::approve(user)).await;
        let account = Self { browser, url: start };
        assert!(account.page().await.body.contains("Log out"), "{user} is not logged in");
        account
    }

    /// The page as it is now.
    pub async fn page(&self) -> Answer {
        let answer = self.browser.open(&self.url).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer
    }

    /// Presses one of its buttons.
    pub async fn press(&self, action: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.page().await.field("csrf");
        self.browser.submit(&self.action(action), &[&[("csrf", csrf.as_str())], fields].concat()).await
    }

    /// The same with all that is right, but from a page of another site.
    pub async fn press_from_elsewhere(&self, action: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.page().await.field("csrf");
        let fields = [&[("csrf", csrf.as_str())], fields].concat();
        self.browser.submit_from_elsewhere(&self.action(action), &fields).await
    }

    fn action(&self, action: &str) -> Url {
        Url::parse(&format!("{}/{action}", self.url)).expect("a URL")
    }
}

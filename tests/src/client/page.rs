//! What matters of an HTML page: its form, and where it leads by itself. Enough for the pages of the tests.

/// A page.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Where its form goes.
    pub(super) action: Option<String>,
    /// The form's inputs that have a name.
    pub(super) fields: Vec<(String, String)>,
    /// Its buttons that have a name.
    pub(super) buttons: Vec<(String, String)>,
    /// Where `<meta http-equiv="refresh">` leads.
    pub(super) leads_to: Option<String>,
}

// === impl Page ===

impl Page {
    pub(super) fn parse(html: &str) -> Self {
        let mut page = Self::default();
        for tag in html.split('<').skip(1) {
            let (name, rest) = tag.split_at(tag.find([' ', '>', '\n']).unwrap_or(tag.len()));
            let attributes = attributes(rest);
            let get = |wanted: &str| {
                attributes.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
            };
            let named = || Some((get("name")?, get("value").unwrap_or_default()));
            match name {
                "form" => page.action = get("action"),
                "input" => page.fields.extend(named()),
                "button" => page.buttons.extend(named()),
                "meta" if get("http-equiv").as_deref() == Some("refresh") => {
                    page.leads_to =
                        get("content").and_then(|content| Some(content.split_once("url=")?.1.to_owned()));
                }
                _ => {}
            }
        }
        page
    }
}

/// The attributes of a tag: `name="value"` pairs, and names alone.
fn attributes(mut rest: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start();
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>')).unwrap_or(rest.len());
        if end == 0 {
            return found;
        }
        let (name, after) = rest.split_at(end);
        let (value, after) = match after.strip_prefix("=\"").and_then(|quoted| quoted.split_once('"')) {
            Some((value, after)) => (unescape(value), after),
            None => (String::new(), after),
        };
        found.push((name.to_owned(), value));
        rest = after;
    }
}

fn unescape(text: &str) -> String {
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#38;", "&"),
        ("&amp;", "&"), // last: it may have escaped another
    ];
    entities.iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_found_with_its_fields_and_buttons() {
        let page = Page::parse(
            r#"<meta charset="utf-8"><form method="post" action="/consent?a=1&amp;b=2">
               <input required type="hidden" name="csrf" value="x&#34;y"><input name="login" required autofocus>
               <button type="submit" name="decision" value="approve">Allow</button></form>"#,
        );
        assert_eq!(page.action.as_deref(), Some("/consent?a=1&b=2"));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(page.fields, [pair("csrf", "x\"y"), pair("login", "")]);
        assert_eq!(page.buttons, [pair("decision", "approve")]);
        assert_eq!(page.leads_to, None);
    }

    #[test]
    fn a_page_that_leads_on_says_where() {
        let page = Page::parse(r#"<meta http-equiv="refresh" content="0;url=http://a/?x=1&amp;y=2"><p>"#);
        assert_eq!(page.leads_to.as_deref(), Some("http://a/?x=1&y=2"));
    }
}

//! What matters of an HTML page: its forms, its links, and where it leads by itself. Enough for the pages of the
//! tests.

/// A page.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Its forms.
    pub(super) forms: Vec<Form>,
    /// Where its links lead.
    pub(super) links: Vec<String>,
    /// Where `<meta http-equiv="refresh">` leads.
    pub(super) leads_to: Option<String>,
}

/// A form.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Form {
    /// Where it goes.
    pub(super) action: String,
    /// Its inputs that have a name.
    pub(super) fields: Vec<(String, String)>,
    /// Its radio buttons.
    pub(super) choices: Vec<(String, String)>,
    /// Its buttons that have a name.
    pub(super) buttons: Vec<(String, String)>,
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
            match (name, page.forms.last_mut()) {
                ("form", _) => {
                    let action = get("action").unwrap_or_default();
                    page.forms.push(Form { action, ..Form::default() });
                }
                ("input", Some(form)) if get("type").as_deref() == Some("radio") => {
                    form.choices.extend(named());
                }
                ("input", Some(form)) => form.fields.extend(named()),
                ("button", Some(form)) => form.buttons.extend(named()),
                ("a", _) => page.links.extend(get("href")),
                ("meta", _) if get("http-equiv").as_deref() == Some("refresh") => {
                    page.leads_to =
                        get("content").and_then(|content| Some(content.split_once("url=")?.1.to_owned()));
                }
                _ => {}
            }
        }
        page
    }

    /// The form to fill in: where each account has one, the one that names the user.
    pub(super) fn form_of(&self, user: &str) -> Option<&Form> {
        let names = |form: &&Form| form.fields.iter().any(|(_, value)| value == user);
        self.forms.iter().find(names).or(self.forms.first())
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
               <input type="radio" name="server" value="demo" required>
               <button type="submit" name="decision" value="approve">Allow</button></form>"#,
        );
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let form = Form {
            action: "/consent?a=1&b=2".to_owned(),
            fields: vec![pair("csrf", "x\"y"), pair("login", "")],
            choices: vec![pair("server", "demo")],
            buttons: vec![pair("decision", "approve")],
        };
        assert_eq!(page.forms, [form]);
        assert_eq!(page.leads_to, None);
    }

    #[test]
    fn of_several_forms_the_users_own_is_filled_in() {
        let page = Page::parse(
            r#"<form action="/a"><input name="login" value="ada"></form>
               <form action="/b"><input name="login" value="eve"></form> <a class="x" href="/c?d=1&amp;e">"#,
        );
        let action = |user| page.form_of(user).unwrap().action.as_str();
        assert_eq!([action("ada"), action("eve"), action("alan")], ["/a", "/b", "/a"]);
        assert_eq!(page.links, ["/c?d=1&e"]);
    }

    #[test]
    fn a_page_that_leads_on_says_where() {
        let page = Page::parse(r#"<meta http-equiv="refresh" content="0;url=http://a/?x=1&amp;y=2"><p>"#);
        assert_eq!(page.leads_to.as_deref(), Some("http://a/?x=1&y=2"));
    }
}

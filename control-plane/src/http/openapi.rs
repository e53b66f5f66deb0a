//! `GET /openapi.json`: what this surface is, for programs (`OpenAPI` 3.1).
//!
//! The description is written by hand. A test here holds it against the router; `schemathesis`, in the end-to-end
//! tests, against the answers.

use axum::http::header;
use axum::response::{IntoResponse, Response};

const DESCRIPTION: &str = include_str!("../../assets/openapi.json");

/// The description: the same at every origin.
pub async fn openapi() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "public, max-age=300"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, DESCRIPTION).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    const ROUTER: &str = include_str!("router.rs");
    const METHODS: [&str; 6] = ["get", "post", "put", "patch", "delete", "options"];
    /// What the fallback answers.
    const APPENDED: [&str; 2] =
        ["get /{}/.well-known/oauth-authorization-server", "get /{}/.well-known/openid-configuration"];

    fn description() -> Value {
        serde_json::from_str(DESCRIPTION).unwrap()
    }

    /// `get /a/{}`, whatever the parameter is called.
    fn endpoint(method: &str, path: &str) -> String {
        let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
        format!("{method} {}", segments.collect::<Vec<_>>().join("/"))
    }

    /// Every `.route(PATH, METHOD(…).METHOD(…))` of the router's source.
    fn routed() -> BTreeSet<String> {
        let mut endpoints = BTreeSet::new();
        for call in ROUTER.split(".route(").skip(1) {
            let (path, rest) = call.split_once(',').unwrap();
            let path = path.trim().trim_matches('"');
            // Up to the parenthesis that ends the call.
            let mut depth = 1;
            let handlers: String = rest
                .chars()
                .take_while(|c| {
                    depth += i32::from(*c == '(') - i32::from(*c == ')');
                    depth > 0
                })
                .collect();
            let methods = METHODS.iter().filter(|method| {
                handlers
                    .split(|c: char| !c.is_alphanumeric() && c != '_' && c != '(')
                    .any(|word| word.split_once('(').is_some_and(|(name, _)| name == **method))
            });
            let before = endpoints.len();
            endpoints.extend(methods.map(|method| endpoint(method, path)));
            assert!(endpoints.len() > before, "no method, or twice the same: {path}{handlers}");
        }
        endpoints
    }

    #[test]
    fn the_description_has_every_route_and_no_other() {
        let description = description();
        let paths = description["paths"].as_object().unwrap();
        let methods = |(path, item): (&String, &Value)| {
            item.as_object().unwrap().keys().map(|method| endpoint(method, path)).collect::<Vec<_>>()
        };
        let described: BTreeSet<_> = paths.iter().flat_map(methods).collect();
        let mut routed = routed();
        assert!(routed.len() >= 15, "{routed:?}");
        routed.extend(APPENDED.map(str::to_owned));
        assert_eq!(described, routed, "left: assets/openapi.json, right: router.rs");
    }

    #[test]
    fn each_operation_has_a_name_of_its_own() {
        let description = description();
        let operations = description["paths"].as_object().unwrap().values();
        let operations: Vec<_> = operations.flat_map(|item| item.as_object().unwrap().values()).collect();
        let names: BTreeSet<_> =
            operations.iter().map(|operation| operation["operationId"].as_str().unwrap()).collect();
        assert_eq!(names.len(), operations.len());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let description = description();
        for reference in DESCRIPTION.split("\"$ref\": \"#").skip(1) {
            let (pointer, _) = reference.split_once('"').unwrap();
            assert!(description.pointer(pointer).is_some(), "{pointer}");
        }
    }

    #[test]
    fn the_version_is_the_programs() {
        assert_eq!(description()["info"]["version"], env!("CARGO_PKG_VERSION"));
    }
}

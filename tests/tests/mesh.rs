//! Mutual TLS on every connection inside: Envoy to authz and to the OAuth surface, authz and operators to the control
//! plane.

use std::time::Duration;

use http::StatusCode;
use portcullis_proto::mesh::{Role, channel};
use portcullis_proto::v1::ListGrantsRequest;
use portcullis_proto::v1::admin_client::AdminClient;
use portcullis_tests::client::Client;
use portcullis_tests::stack::{Instance, Part, Stack};
use tokio::time::{sleep, timeout};
use tonic::Code;
use tonic::transport::Endpoint;

const MOMENT: Duration = Duration::from_secs(30);

async fn until(client: &Client, access_token: &str, status: StatusCode) {
    let reached = async {
        while client.status(access_token).await != status {
            sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(timeout(MOMENT, reached).await.is_ok(), "never {status}");
}

#[tokio::test]
async fn t26_with_certificates_everything_works_and_nobody_else_decides_or_revokes() {
    let stack = Stack::builder().mesh().authz(2).start().await;
    let client = Client::register(stack.url(), "Mesh").await;
    let tokens = client.login("ada").await;
    until(&client, &tokens.access_token, StatusCode::OK).await;

    // Whoever is not Envoy gets no decision, and whoever is no operator lists nothing.
    let plain = Instance::at(stack.addresses().authz[0], Duration::from_secs(5));
    assert!(plain.check(&tokens.access_token).await.is_err(), "without TLS");
    let endpoint = Endpoint::from_shared(stack.control_plane()).unwrap();
    let channel = channel(&endpoint, Some(stack.mesh().identity(Role::Edge)), Role::ControlPlane);
    let refused = AdminClient::new(channel).list_grants(ListGrantsRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);

    let listed = stack.cli(&["grants", "list"]).await;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let grant = listed.lines().nth(1).and_then(|line| line.split('\t').next()).expect("a grant");
    let revoked = stack.cli(&["grants", "revoke", grant]).await;
    let said = String::from_utf8_lossy(&revoked.stdout).into_owned();
    assert!(said.contains("effective on 2 of 2 instances"), "{revoked:?}");
    assert_eq!(client.status(&tokens.access_token).await, StatusCode::UNAUTHORIZED);
    let again = client.login("ada").await;
    until(&client, &again.access_token, StatusCode::OK).await;
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_without_a_restart() {
    let mut stack = Stack::builder().mesh().start().await;
    for (part, role) in [(Part::Authz(0), Role::Authz), (Part::ControlPlane, Role::ControlPlane)] {
        stack.mesh().renew(role);
        let taken = async {
            while !stack.log(part).contains("the mesh's files have changed and are in use") {
                sleep(Duration::from_millis(50)).await;
            }
        };
        assert!(timeout(MOMENT, taken).await.is_ok(), "{part:?} does not take it");
    }
    // Envoy connects anew, and so do authz and operators.
    stack.restart(Part::Edge).await;
    let client = Client::register(stack.url(), "Mesh").await;
    let tokens = client.login("ada").await;
    until(&client, &tokens.access_token, StatusCode::OK).await;
    assert!(stack.cli(&["instances", "list"]).await.status.success());
}
